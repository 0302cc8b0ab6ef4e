"""The version before and this one in one cluster, node by node, up and down.

``WAYS=all`` (``make versions``) plays every way down, beside the one that Helm takes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.versions import Moves, Previous, install_kinds, probing
from tests.conftest import cannot_run, lab_or_skip
from tests.eventually import eventually
from tests.netns.observe import metric, settled
from tests.previous import CRDS as FROZEN

from vrrp_lab.lab import CRDS, Lab, LabOptions
from vrrp_lab.namespaces import LabError
from vrrp_lab.node import Node

pytestmark = pytest.mark.cluster
EVERYTHING: dict[str, Any] = {
    "interface": "eth0",
    "nodeSelector": {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]},
    "candidates": 4,
    "advertisementInterval": "200ms",
    "downAdvertisements": 10,
    "transport": {"mode": "Unicast", "ttl": {"send": 255, "acceptMinimum": 255}},
    "preemption": {"mode": "Always", "delay": "0s"},
    "healthChecks": [{"name": "link", "weight": 0}, {"name": "weighed", "weight": -5}],
    "announcements": {"burst": 3, "repeatAfter": "2s", "refresh": "30s"},
    "conflictDetection": True,
    "splitBrainPolicy": "PreferAvailability",
}
CHECKS: dict[str, dict[str, Any]] = {
    "link": {"interface": {"name": "eth0"}},
    "weighed": {"nodeCondition": {"type": "Ready", "status": "True"}, "weight": -5},
}
VIPS: dict[str, tuple[str, dict[str, Any]]] = {
    "everything": ("192.0.2.50", EVERYTHING),
    "multicast": ("192.0.2.51", {"transport": {"mode": "Multicast"}, "downAdvertisements": 10}),
    "named-key": ("192.0.2.52", {"authentication": {"type": "HMAC", "keyRef": "cluster"}}),
    "version-2": ("192.0.2.53", {"version": 2, "advertisementInterval": "1s"}),
}
ADDRESSES = [address for address, _ in VIPS.values()]
WITH_OWN_KEYS = ("everything", "multicast")
_QUIET_S = 1.0

WAYS_DOWN: dict[str, Sequence[str]] = {
    "as Helm rolls back": ("old kinds", "old operator", "old speakers"),
    "speakers first": ("old speakers", "old operator", "old kinds"),
    "operator and back": ("old operator", "new operator"),
    "kinds and back": ("old kinds", "new kinds"),
}
PLAYED = [way for n, way in enumerate(WAYS_DOWN) if n == 0 or os.environ.get("WAYS") == "all"]


@pytest.fixture
def previous(tmp_path: Path) -> Previous:
    """The code and the kinds of the version before."""
    try:
        return Previous(tmp_path)
    except LabError as error:
        cannot_run(error)


@pytest.fixture
def cluster(previous: Previous) -> Iterator[Lab]:
    """A cluster of the version before, with a VirtualIP of each kind that runs."""
    for lab in lab_or_skip(LabOptions(start_operator=False, start_speakers=False)):
        install_kinds(lab, previous.crds)
        lab.operator.start(under=previous.under)
        for node in lab.nodes:
            node.start_speaker(under=previous.under)
        objects = [manifest("HealthCheck", name, spec) for name, spec in CHECKS.items()]
        objects += [
            manifest("VirtualIP", name, {"addresses": [{"address": address}], **spec})
            for name, (address, spec) in VIPS.items()
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        lab.kubectl("apply", "-f", "-", stdin=text)
        yield lab


def manifest(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name}
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


class Rolling:
    """Changes one part after the other; notes the moves that were not planned."""

    def __init__(self, lab: Lab, previous: Previous, moves: Moves) -> None:
        self._lab = lab
        self._previous = previous
        self._moves = moves
        self._seen = 0
        self.planned = 0
        self.unplanned: list[str] = []

    def do(self, what: str) -> None:
        """Change one part, or roll the speakers, and wait until all is quiet."""
        age, part = what.split()
        under = self._previous.under if age == "old" else ()
        if part == "kinds":
            install_kinds(self._lab, *([self._previous.crds] if age == "old" else []))
        elif part == "operator":
            self._lab.operator.stop()
            self._lab.operator.start(under=under)
        else:
            for node in self._lab.nodes:
                self._restart(node, under)
            return
        self._note(what, {})

    def _restart(self, node: Node, under: Sequence[str]) -> None:
        held = {name: 2 for name, (address, _) in VIPS.items() if node.holds(address)}
        node.stop_speaker()
        node.start_speaker(under=under)
        self._note(f"{node.name} restarts", held)

    def _note(self, what: str, planned: dict[str, int]) -> None:
        self.wait_quiet()
        for name, (address, _) in VIPS.items():
            found = self._moves.takeovers(address, self._seen)
            self.planned += planned.get(name, 0)
            if len(found) > planned.get(name, 0):
                self.unplanned.append(f"{what}: {name}: {found}")
        self._seen = len(self._moves.events)

    def wait_quiet(self) -> None:
        """Wait until every address is where it belongs and has stayed there for a while."""
        while True:
            before = len(self._moves.events)
            for name, (address, _) in VIPS.items():
                settled(self._lab, name, address, within_s=120)
            time.sleep(_QUIET_S)  # a move that nobody planned shows only by being waited for
            if len(self._moves.events) == before:
                return


def keys(lab: Lab) -> set[str | None]:
    """Return how far the elections have come that are to have keys of their own."""
    return {
        router["authentication"].get("electionKey")
        for config in lab.kubectl_json("get", "nodeconfigs")["items"]
        for router in config["spec"].get("virtualRouters", ())
        if router["name"] in WITH_OWN_KEYS
    }


@pytest.mark.parametrize("way", PLAYED)
def test_up_and_down_loses_no_probe_and_moves_what_was_planned(
    cluster: Lab, previous: Previous, way: str, record_property: Callable[[str, object], None]
) -> None:
    begun_s = time.monotonic()
    for name, (address, _) in VIPS.items():
        settled(cluster, name, address, within_s=60)
    with Moves(cluster, ADDRESSES) as moves, probing(cluster, ADDRESSES) as lost:
        rolling = Rolling(cluster, previous, moves)
        for what in ("new kinds", "new operator", "new speakers"):
            rolling.do(what)
        eventually(lambda: keys(cluster) == {"Require"}, within_s=120)
        for what in WAYS_DOWN[way]:
            rolling.do(what)
    taken_s = time.monotonic() - begun_s
    record_property(
        "measured",
        f"up and down ({way}) in {taken_s:.0f} s: lost {sum(lost.values())},"
        f" at most {rolling.planned} moves planned, unplanned {len(rolling.unplanned)}",
    )
    assert lost == dict.fromkeys(ADDRESSES, 0)
    assert not rolling.unplanned


# What is newer than this version --------------------------------------------------------

TOMORROW = {
    "novel-field": "192.0.2.60",
    "novel-value": "192.0.2.61",
    "ordinary": "192.0.2.62",
}
OPERATOR = "system:serviceaccount:kube-vrrp:kube-vrrp-operator"


def kinds_of_tomorrow() -> str:
    """Return NodeConfig's kind with a field and a value that nobody knows yet."""
    kind: dict[str, Any] = yaml.safe_load((CRDS / "nodeconfigs.yaml").read_text())
    schema = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    router = schema["properties"]["spec"]["properties"]["virtualRouters"]["items"]["properties"]
    router["novel"] = {"type": "object", "properties": {"x": {"type": "integer"}}}
    router["transport"]["properties"]["mode"]["enum"].append("Anycast")
    return json.dumps(kind)


def write_as_tomorrow(lab: Lab) -> bool:
    """Write the NodeConfigs as a newer operator does: one election's field, another's value.

    Return whether all of it is there: an API server that takes in new kinds just now may refuse
    it, or drop the field.
    """
    for config in lab.kubectl_json("get", "nodeconfigs")["items"]:
        for router in config["spec"]["virtualRouters"]:
            if router["name"] == "novel-field":
                router["novel"] = {"x": 1}
            elif router["name"] == "novel-value":
                router["transport"]["mode"] = "Anycast"
        anew = {key: config[key] for key in ("apiVersion", "kind", "spec")}
        anew["metadata"] = {"name": config["metadata"]["name"]}
        lab.kubectl(
            *("apply", "--server-side", "--force-conflicts", f"--as={OPERATOR}"),
            *("--field-manager=kube-vrrp-operator", "-f", "-"),
            stdin=json.dumps(anew),
        )
    return novelties(lab) == [({"x": 1}, "Anycast")] * len(lab.nodes)


def told(lab: Lab, *novel: str) -> bool:
    """Return whether every node says what it does not know."""
    statuses = [c.get("status", {}) for c in lab.kubectl_json("get", "nodeconfigs")["items"]]
    faults = [
        router["name"]
        for status in statuses
        for router in status.get("virtualRouters", ())
        if any(fault.startswith("NotUnderstood: ") for fault in router.get("faults", ()))
    ]
    field = "spec.virtualRouters.novel"
    counted = [metric(n, "kube_vrrp_config_ignored_fields", field=field) for n in lab.nodes]
    return faults == [*novel] * len(lab.nodes) and counted == [1.0] * len(lab.nodes)


def programmed(lab: Lab) -> dict[str, str]:
    """Return the reason of each VirtualIP's condition Programmed."""
    return {
        vip["metadata"]["name"]: condition["reason"]
        for vip in lab.kubectl_json("get", "vip")["items"]
        for condition in vip.get("status", {}).get("conditions", ())
        if condition["type"] == "Programmed"
    }


def novelties(lab: Lab) -> list[tuple[Any, str]]:
    """Return what the NodeConfigs have of both elections."""
    found = []
    for config in lab.kubectl_json("get", "nodeconfigs")["items"]:
        routers = {router["name"]: router for router in config["spec"]["virtualRouters"]}
        mode = routers["novel-value"]["transport"]["mode"]
        found.append((routers["novel-field"].get("novel"), mode))
    return found


def test_what_a_newer_operator_wrote_changes_no_running_election(lab: Lab) -> None:
    addresses = list(TOMORROW.values())
    for name, address in TOMORROW.items():
        spec = {"addresses": [{"address": address}]}
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(manifest("VirtualIP", name, spec)))
    for name, address in TOMORROW.items():
        settled(lab, name, address, within_s=60)
    eventually(lambda: set(programmed(lab).values()) == {"Programmed"}, within_s=60)
    with Moves(lab, addresses) as moves, probing(lab, addresses) as lost:
        lab.operator.stop()
        lab.kubectl("apply", "-f", "-", stdin=kinds_of_tomorrow())
        eventually(lambda: write_as_tomorrow(lab), within_s=60)
        eventually(lambda: told(lab, "novel-value"), within_s=60)
        lab.operator.start()
        later = manifest("VirtualIP", "later", {"addresses": [{"address": "192.0.2.63"}]})
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(later))
        settled(lab, "later", "192.0.2.63", within_s=60)
        waits = {"novel-field": "NotUnderstood", "novel-value": "NotUnderstood"}
        others = {"ordinary": "Programmed", "later": "Programmed"}
        eventually(lambda: programmed(lab) == {**waits, **others}, within_s=60)
        assert novelties(lab) == [({"x": 1}, "Anycast")] * len(lab.nodes)
    assert moves.events == []
    assert lost == dict.fromkeys(addresses, 0)
    # To go away is understood by everybody.
    lab.kubectl("delete", "vip", "--all", "--wait=true")
    eventually(lambda: not any(lab.holders(a) for a in addresses), within_s=60)
    install_kinds(lab)


def test_frozen_kinds_are_those_of_the_commit(previous: Previous) -> None:
    for kind in CRDS.glob("*.yaml"):
        assert (FROZEN / kind.name).read_text() == (previous.crds / kind.name).read_text()
