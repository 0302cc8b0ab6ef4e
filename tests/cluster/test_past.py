"""What happened is told completely and once: history and Events, over outages and restarts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.inside import routers
from tests.netns.observe import settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node
from vrrp_lab.web import WebServer

pytestmark = pytest.mark.cluster
VIP, ADDRESS = "main", "192.0.2.50"


def apply(lab: Lab, kind: str, name: str, spec: dict[str, Any]) -> None:
    obj = {"apiVersion": "kube-vrrp.io/v1alpha1", "kind": kind, "metadata": {"name": name}}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({**obj, "spec": spec}), check=True)


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster with one settled VirtualIP; nothing else, and no Event of it, afterwards."""
    apply(lab, "VirtualIP", VIP, {"addresses": [{"address": ADDRESS}]})
    eventually(lambda: holder_is_shown(lab), within_s=30)
    yield lab
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    lab.kubectl("delete", "vhc", "--all", "--wait=true", check=True)
    lab.kubectl("delete", "events", "--all", "-n", "default", check=True)
    eventually(lambda: not lab.holders(ADDRESS), within_s=60)


def status(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.kubectl_json("get", "vip", VIP).get("status", {})
    return found


def holder_is_shown(lab: Lab) -> bool:
    """Return whether the best node has it, so that nothing moves by itself, and is shown."""
    holder = settled(lab, VIP, ADDRESS).name
    priorities = {
        item["metadata"]["name"]: router["basePriority"]
        for item in lab.kubectl_json("get", "nodeconfigs")["items"]
        for router in item["spec"].get("virtualRouters", ())
    }
    best = max(priorities, key=lambda name: priorities[name])
    return len(priorities) == len(lab.nodes) and holder == best == status(lab).get("activeNode")


def events(lab: Lab, name: str = VIP) -> list[dict[str, Any]]:
    """Return the Events of an object, the oldest first."""
    listed = lab.kubectl_json("get", "events.events.k8s.io", "-n", "default")["items"]
    own = [event for event in listed if event["regarding"]["name"] == name]
    return sorted(own, key=lambda event: str(event["eventTime"]))


def told(lab: Lab, name: str = VIP) -> list[tuple[str, str]]:
    return [(event["reason"], event["note"]) for event in events(lab, name)]


def takeovers(lab: Lab) -> list[tuple[str, str]]:
    """Return (time, node) of every takeover, as the engines themselves wrote them."""
    found = []
    for node in lab.nodes:
        for past in routers(node)[VIP].history:
            if past.after == "Active":
                moment = datetime.fromtimestamp(past.wall_ns / 1e9, UTC)
                found.append((moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), node.name))
    return sorted(found)


def move(lab: Lab) -> None:
    """Let the address move away from whoever has it, and that node come back."""
    before = settled(lab, VIP, ADDRESS, within_s=60)
    before.host.exec("ip", "link", "set", "eth0", "down")
    others = [node for node in lab.nodes if node is not before]
    eventually(lambda: "Active" in [state(node, VIP) for node in others], within_s=60)
    before.host.exec("ip", "link", "set", "eth0", "up")
    eventually(lambda: settled(lab, VIP, ADDRESS), within_s=60)


def restart_agent(node: Node) -> None:
    agent = node.processes()["agent"]
    os.kill(agent, signal.SIGKILL)
    eventually(lambda: node.processes().get("agent") not in (None, agent), within_s=60)


def test_moves_while_the_api_server_is_away_are_told_in_order_and_once(cluster: Lab) -> None:
    """The agents and the operator start anew meanwhile: neither is what remembers."""
    cluster.control_plane.stop()
    try:
        for _ in range(2):
            move(cluster)
        cluster.operator.stop()
        for node in cluster.nodes:
            restart_agent(node)
        eventually(lambda: settled(cluster, VIP, ADDRESS), within_s=60)
    finally:
        cluster.control_plane.start()
    cluster.operator.start()
    truth = takeovers(cluster)[-5:]
    assert len(truth) >= 3

    def shown() -> list[tuple[str, str]]:
        return [(entry["time"], entry["to"]) for entry in status(cluster)["history"]]

    eventually(lambda: shown() == truth, within_s=30)
    history = status(cluster)["history"]
    chained = [entry["from"] for entry in history[1:]]
    assert chained == [entry["to"] for entry in history[:-1]]
    expected = [node for _, node in takeovers(cluster)]
    eventually(lambda: became_active(cluster) == expected, within_s=60)
    written = status(cluster)
    # Once more: what was told is neither told again nor forgotten.
    cluster.operator.stop()
    cluster.operator.start()
    apply(cluster, "VirtualIP", VIP, {"addresses": [{"address": ADDRESS}], "candidates": 4})
    eventually(lambda: status(cluster)["observedGeneration"] == 2, within_s=60)
    eventually(lambda: "known" in outcomes(cluster), within_s=60)
    assert status(cluster)["history"] == written["history"]
    assert became_active(cluster) == expected


def became_active(lab: Lab) -> list[str]:
    return [note.split()[0] for reason, note in told(lab) if reason == "BecameActive"]


def outcomes(lab: Lab) -> set[str]:
    """Return what became of the operator's Events, of the kinds that there were any."""
    lines = [
        line.partition('outcome="')[2].split('"} ')
        for line in lab.operator.get("/metrics").splitlines()
        if line.startswith("kube_vrrp_events_total{")
    ]
    return {outcome for outcome, count in lines if float(count)}


def test_describe_tells_where_the_address_came_from_and_went(cluster: Lab) -> None:
    before = settled(cluster, VIP, ADDRESS).name
    after = next(node.name for node in cluster.nodes if node.name != before)
    cluster.kubectl("annotate", "vip", VIP, f"kube-vrrp.io/handover-to={after}", check=True)
    for words in (
        "virtual router ID 1",
        f"from {before} to {after}, as its annotation asks",
        f"{before} resigned: ",
        f"{after} became Active: ",
    ):
        eventually(partial(describes, cluster, words), within_s=60)
    reasons = [reason for reason, _ in told(cluster)]
    assert reasons.count("HandoverStarted") == 1
    assert reasons.count("VRIDAllocated") == 1


def describes(lab: Lab, words: str) -> bool:
    return words in described(lab, "vip", VIP)


def described(lab: Lab, kind: str, name: str) -> str:
    return lab.kubectl("describe", kind, name, check=True).stdout


def test_check_that_fails_and_recovers_is_told_where(cluster: Lab) -> None:
    servers = {node.name: WebServer(node, cluster.lan.processes) for node in cluster.nodes}
    for server in servers.values():
        server.start()
    spec = {"tcp": {"address": "127.0.0.1:8080"}, "interval": "100ms", "rise": 1, "fall": 2}
    apply(cluster, "HealthCheck", "web", spec)
    checked = {"addresses": [{"address": ADDRESS}], "healthChecks": [{"name": "web"}]}
    apply(cluster, "VirtualIP", VIP, checked)
    eventually(lambda: passing(cluster) == 3, within_s=15)
    assert [reason for reason, _ in told(cluster, "web")] in ([], ["CheckFailed"] * 3)
    servers["node-2"].stop()
    eventually(lambda: failed(cluster, "node-2"), within_s=60)
    servers["node-2"].start()
    eventually(lambda: ("CheckRecovered", "passes on node-2") in told(cluster, "web"), within_s=60)
    assert "passes on node-2" in described(cluster, "vhc", "web")
    for server in servers.values():
        server.stop()


def passing(lab: Lab) -> int:
    return int(lab.kubectl_json("get", "vhc", "web").get("status", {}).get("passing", 0))


def failed(lab: Lab, node: str) -> bool:
    return any(
        reason == "CheckFailed" and note.startswith(f"fails on {node}: ")
        for reason, note in told(lab, "web")
    )
