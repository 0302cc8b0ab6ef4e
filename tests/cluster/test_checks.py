"""Health checks whose answer the cluster has: endpoints, node conditions, and panic."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.observe import metric, settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node
from vrrp_lab.web import WebServer

pytestmark = pytest.mark.cluster
VIP, ADDRESS = "checked", "192.0.2.60"
SERVICE = "shop"


def health_check(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": name},
        "spec": spec,
    }


def virtual_ip(*checks: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": VIP},
        "spec": {
            "addresses": [{"address": ADDRESS}],
            "healthChecks": [{"name": name} for name in checks],
            **spec,
        },
    }


def slice_of(service: str, **ready: bool) -> dict[str, Any]:
    """Return an EndpointSlice with one endpoint on each node named."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": [
            {
                "addresses": [f"10.0.0.{number}"],
                "nodeName": node.replace("_", "-"),
                "conditions": {"ready": up},
            }
            for number, (node, up) in enumerate(ready.items(), 1)
        ],
    }


def apply(lab: Lab, *objects: dict[str, Any]) -> None:
    for obj in objects:
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)


def condition(lab: Lab, kind: str, name: str, of_type: str) -> tuple[str, str, str]:
    status = lab.kubectl_json("get", kind, name).get("status", {})
    for item in status.get("conditions", ()):
        if item["type"] == of_type:
            return item["status"], item["reason"], item["message"]
    return "", "", ""


def at_home(lab: Lab) -> Node:
    """Wait until the node with the highest priority is Active, the others Backup; return it."""

    def home() -> Node | None:
        holder = settled(lab, VIP, ADDRESS)
        priorities = {}
        for node in lab.nodes:
            (router,) = lab.kubectl_json("get", "nodeconfig", node.name)["spec"]["virtualRouters"]
            priorities[node.name] = router["basePriority"]
        return holder if holder.name == max(priorities, key=priorities.__getitem__) else None

    found = eventually(home, within_s=60)
    assert found is not None
    return found


def row(lab: Lab, check: str) -> list[str]:
    """Return what kubectl shows of a HealthCheck."""
    return lab.kubectl("get", "vhc", check).stdout.splitlines()[1].split()


def ready_endpoints(lab: Lab, node: str) -> int | None:
    """Return what a node is told of the Service."""
    spec = lab.kubectl_json("get", "nodeconfig", node)["spec"]
    for check in spec.get("healthChecks", ()):
        if "service" in check:
            found: int | None = check["service"].get("readyEndpoints")
            return found
    return None


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster; whatever a test applied is gone afterwards."""
    yield lab
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    lab.kubectl("delete", "vhc", "--all", "--wait=true", check=True)
    lab.kubectl("delete", "endpointslices", "--all", "-n", "default", "--wait=true", check=True)
    eventually(lambda: not any(n.holds(ADDRESS) for n in lab.nodes), within_s=60)


@pytest.fixture
def servers(cluster: Lab) -> Iterator[dict[str, WebServer]]:
    """A web server on each node."""
    found = {node.name: WebServer(node, cluster.lan.processes) for node in cluster.nodes}
    for server in found.values():
        server.start()
    yield found
    for server in found.values():
        server.stop()


def everywhere(lab: Lab) -> dict[str, bool]:
    return {node.name.replace("-", "_"): True for node in lab.nodes}


# Service ------------------------------------------------------------------------------


def test_the_address_follows_the_ready_endpoints_of_a_service(
    cluster: Lab, record_testsuite_property: Callable[[str, object], None]
) -> None:
    ready = everywhere(cluster)
    apply(
        cluster,
        slice_of(SERVICE, **ready),
        health_check("shop", service={"namespace": "default", "name": SERVICE}),
        virtual_ip("shop"),
    )
    holder = at_home(cluster)
    eventually(
        lambda: condition(cluster, "vhc", "shop", "Passing")[:2] == ("True", "Passing"), within_s=10
    )
    told = ["shop", "service", f"default/{SERVICE}", "3", "0"]
    eventually(lambda: row(cluster, "shop")[:5] == told, within_s=10)

    ready[holder.name.replace("-", "_")] = False
    apply(cluster, slice_of(SERVICE, **ready))
    begun_s = time.monotonic()
    eventually(lambda: ready_endpoints(cluster, holder.name) == 0, within_s=10, every_s=0.02)
    record_testsuite_property("endpoint_to_node_config_s", round(time.monotonic() - begun_s, 3))
    eventually(lambda: not holder.holds(ADDRESS), within_s=60)
    eventually(lambda: len(cluster.holders(ADDRESS)) == 1, within_s=60)
    eventually(lambda: state(holder, VIP) == "Fault", within_s=5)
    eventually(
        lambda: (
            f"{holder.name}: Service default/{SERVICE} has no ready endpoint here"
            in condition(cluster, "vhc", "shop", "Passing")[2]
        ),
        within_s=5,
    )
    ready[holder.name.replace("-", "_")] = True
    apply(cluster, slice_of(SERVICE, **ready))
    assert at_home(cluster) is holder


def test_a_service_that_does_not_exist_is_named_and_moves_nothing(cluster: Lab) -> None:
    absent = health_check("shop", service={"namespace": "default", "name": "absent"})
    apply(cluster, virtual_ip())
    holder = at_home(cluster)
    apply(cluster, absent, virtual_ip("shop"))
    eventually(
        lambda: condition(cluster, "vhc", "shop", "Passing")[1] == "ServiceNotFound", within_s=10
    )
    described = cluster.kubectl("describe", "vhc", "shop").stdout
    assert "Service default/absent does not exist" in described
    eventually(lambda: condition(cluster, "vip", VIP, "ChecksIgnored")[0] == "True", within_s=60)
    assert cluster.holders(ADDRESS) == [holder]
    # It comes to be: every node without an endpoint fails, the one with one passes.
    passing = next(node for node in cluster.nodes if node is not holder)
    apply(cluster, slice_of("absent", **{passing.name.replace("-", "_"): True}))
    eventually(lambda: cluster.holders(ADDRESS) == [passing], within_s=60)


def test_what_was_observed_last_holds_while_the_operator_is_away(cluster: Lab) -> None:
    ready = everywhere(cluster)
    apply(
        cluster,
        slice_of(SERVICE, **ready),
        health_check("shop", service={"namespace": "default", "name": SERVICE}),
        virtual_ip("shop"),
    )
    holder = at_home(cluster)
    eventually(lambda: ready_endpoints(cluster, holder.name) == 1, within_s=10)
    cluster.operator.stop()
    apply(cluster, slice_of(SERVICE, **{**ready, holder.name.replace("-", "_"): False}))
    assert ready_endpoints(cluster, holder.name) == 1
    assert cluster.holders(ADDRESS) == [holder]
    cluster.operator.start()
    eventually(lambda: ready_endpoints(cluster, holder.name) == 0, within_s=60)
    eventually(lambda: len(set(cluster.holders(ADDRESS)) - {holder}) == 1, within_s=60)


# Bad input that only a node can know ---------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words", "reason"),
    [
        ({"exec": {"script": "absent.sh"}}, "No such file or directory", "CheckFailed"),
        (
            {"file": {"path": "/etc/shadow"}},
            "outside the speaker's --file-folders",
            "CheckFailed",
        ),
        (
            {"tcp": {"address": "203.0.113.9:80"}},
            "203.0.113.9 is not among --check-targets (accepted: Node, Subnets)",
            "TargetNotAllowed",
        ),
    ],
    ids=["unknown script", "path outside", "target behind a router"],
)
def test_what_a_node_refuses_is_visible_in_describe(
    cluster: Lab, kind: dict[str, Any], words: str, reason: str
) -> None:
    apply(cluster, health_check("bad", **kind), virtual_ip("bad"))
    # Nodes that still report of a check that had the name before are heard first.
    eventually(lambda: words in cluster.kubectl("describe", "vhc", "bad").stdout, within_s=60)
    failing = ("False", reason)
    eventually(lambda: condition(cluster, "vhc", "bad", "Passing")[:2] == failing, within_s=10)


# Node condition -----------------------------------------------------------------------


def test_the_address_leaves_a_node_whose_condition_says_so(cluster: Lab) -> None:
    wanted = {"type": "DiskPressure", "status": "False"}
    for node in cluster.nodes:
        set_condition(cluster, node, "False")
    apply(cluster, health_check("disk", nodeCondition=wanted), virtual_ip("disk"))
    holder = at_home(cluster)
    set_condition(cluster, holder, "True")
    eventually(lambda: len(set(cluster.holders(ADDRESS)) - {holder}) == 1, within_s=60)
    eventually(
        lambda: (
            f"{holder.name}: DiskPressure is True"
            in condition(cluster, "vhc", "disk", "Passing")[2]
        ),
        within_s=5,
    )


def set_condition(lab: Lab, node: Node, status: str) -> None:
    said = {"type": "DiskPressure", "status": status}
    patch = json.dumps({"status": {"conditions": [said]}})
    lab.kubectl("patch", "node", node.name, "--subresource=status", "-p", patch, check=True)


# Panic --------------------------------------------------------------------------------


def test_a_check_that_fails_everywhere_moves_nothing_until_one_recovers(
    cluster: Lab, servers: dict[str, WebServer]
) -> None:
    web = health_check(
        "web", http={"url": "http://127.0.0.1:8080/"}, interval="100ms", rise=1, fall=2
    )
    apply(cluster, web, virtual_ip("web"))
    holder = at_home(cluster)
    others = [node for node in cluster.nodes if node is not holder]
    moves = metric(holder, "kube_vrrp_transitions_total", virtual_ip=VIP)
    with cluster.client.probe(ADDRESS) as probe:
        probe.wait_answered(30)
        since_ns = time.monotonic_ns()
        for node in others:
            servers[node.name].stop()
        eventually(lambda: [state(n, VIP) for n in others] == ["Fault", "Fault"], within_s=60)
        servers[holder.name].stop()
        eventually(
            lambda: (
                condition(cluster, "vip", VIP, "ChecksIgnored")[:2]
                == ("True", "PanicThresholdReached")
            ),
            within_s=60,
        )
        eventually(lambda: [state(n, VIP) for n in others] == ["Backup", "Backup"], within_s=60)
        assert probe.report(since_ns).lost == 0
    assert cluster.holders(ADDRESS) == [holder]
    assert metric(holder, "kube_vrrp_transitions_total", virtual_ip=VIP) == moves
    message = condition(cluster, "vip", VIP, "ChecksIgnored")[2]
    assert message.startswith("HealthCheck web: ignored, for 3 of 3 candidates fail (node-1, ")
    eventually(lambda: condition(cluster, "vhc", "web", "Panic")[0] == "True", within_s=10)
    assert "panicThreshold 100%" in cluster.kubectl("describe", "vhc", "web").stdout

    servers[others[0].name].start()
    eventually(lambda: cluster.holders(ADDRESS) == [others[0]], within_s=30)
    eventually(lambda: condition(cluster, "vip", VIP, "ChecksIgnored")[0] == "False", within_s=60)
    eventually(lambda: state(holder, VIP) == "Fault", within_s=10)


# Weights ------------------------------------------------------------------------------


def test_a_weight_that_never_moves_anything_is_told_with_the_arithmetic(cluster: Lab) -> None:
    small = health_check("small", tcp={"address": "127.0.0.1:9"}, weight=-5)
    apply(cluster, small, virtual_ip("small"))
    eventually(
        lambda: (
            condition(cluster, "vip", VIP, "WeightIneffective")[:2] == ("True", "WeightIneffective")
        ),
        within_s=60,
    )
    assert "200 - 5 = 195 at worst" in condition(cluster, "vip", VIP, "WeightIneffective")[2]
    apply(cluster, {**small, "spec": {**small["spec"], "weight": -50}})
    eventually(
        lambda: condition(cluster, "vip", VIP, "WeightIneffective")[0] == "False", within_s=10
    )
