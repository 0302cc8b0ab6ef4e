"""Signed elections know their members, whatever list reached which node, late or never."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, routers

from vrrp_lab.lab import new_key
from vrrp_lab.lan import Host, Lan
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
VIP, VIP6 = "192.0.2.50", "2001:db8:0:1::50"


@dataclass
class Pair:
    """Two nodes of one election whose lists are what the test says."""

    lan: Lan
    folder: Path
    six: bool
    nodes: list[Node]
    applied_before: dict[str, int] = field(default_factory=dict)
    """What each node's engine ran when it was told something last; a file's texts are counted."""

    @property
    def address(self) -> str:
        return VIP6 if self.six else VIP

    def own(self, host: Host) -> str:
        return host.address6 if self.six else host.address

    def tell(self, node: Node, *peers: Node, stage: str | None = "Require", **more: Any) -> None:
        """Give a node its configuration, with these peers on its list."""
        authentication = {"type": "HMAC", "keyRef": "cluster"}
        router = {
            "name": "v",
            "virtualIPGeneration": 1,
            "virtualRouterID": 51,
            "interface": "eth0",
            "addresses": [{"address": self.address + ("/64" if self.six else "/24")}],
            "basePriority": 220 - node.host.number,
            "authentication": {**authentication, **({"electionKey": stage} if stage else {})},
            "conflictDetection": False,
            "peers": [
                {
                    "node": peer.name,
                    "address": self.own(peer.host),
                    "priority": 220 - peer.host.number,
                }
                for peer in peers
            ],
            **more,
        }
        spec = {
            "node": node.name,
            "addresses": [self.own(node.host)],
            "healthChecks": [],
            "virtualRouters": [router],
        }
        path = self.folder / f"{node.name}.json"
        try:
            self.applied_before[node.name] = engine(node).generation
        except (OSError, AssertionError):
            self.applied_before[node.name] = 0
        text = json.dumps(
            {
                "apiVersion": "kube-vrrp.io/v1alpha1",
                "kind": "NodeConfig",
                "metadata": {"name": node.name},
                "spec": spec,
            }
        )
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)

    def applied(self, node: Node) -> None:
        """Wait until a node's engine runs what was told last."""
        eventually(lambda: engine(node).generation > self.applied_before[node.name], within_s=20)

    def states(self) -> list[str]:
        found = []
        for node in self.nodes:
            try:
                found.append(routers(node)["v"].state)
            except (OSError, KeyError, AssertionError):
                found.append("")
        return found

    def settle(self, *wanted: str) -> None:
        eventually(lambda: self.states() == list(wanted), within_s=20, every_s=0.05)

    def holders(self) -> list[str]:
        return [node.name for node in self.nodes if node.host.holds(self.address)]


@contextmanager
def pair(lan: Lan, folder: Path, *, six: bool = False) -> Iterator[Pair]:
    """Two speakers with the same key and, so far, no configuration."""
    nodes = [
        Node(host, folder, ["--config", str(folder / f"{host.name}.json")])
        for host in lan.hosts[:2]
    ]
    key = new_key()
    for node in nodes:
        node.write_key("cluster.1", key)
    made = Pair(lan, folder, six, nodes)
    try:
        yield made
    finally:
        for node in nodes:
            if node.running:
                node.kill_speaker()


Told = Callable[[Pair], None]


def never_told_of_the_newcomer(two: Pair) -> None:
    """The Active node's list is empty, the newcomer knows it."""
    best, other = two.nodes
    two.tell(best)
    two.tell(other, best)


def newcomer_knows_nobody(two: Pair) -> None:
    """The other way round: nobody told the newcomer of the Active node."""
    best, other = two.nodes
    two.tell(best, other)
    two.tell(other)


@pytest.mark.parametrize("six", [False, True], ids=["four", "six"])
@pytest.mark.parametrize("told", [never_told_of_the_newcomer, newcomer_knows_nobody])
def test_two_that_are_told_of_each_other_one_way_round_are_one_election(
    lan: Lan, tmp_path: Path, told: Told, six: bool
) -> None:
    with pair(lan, tmp_path, six=six) as two:
        best, other = two.nodes
        told(two)
        best.start_speaker()
        eventually(lambda: two.holders() == [best.name], within_s=20)
        other.start_speaker()
        eventually(lambda: sum(len(routers(n)["v"].learned) for n in two.nodes) == 1, within_s=20)
        two.settle("Active", "Backup")
        before = routers(other)["v"].transitions
        eventually(lambda: two.holders() == [best.name], within_s=5)
        time.sleep(3)  # five down intervals in which nothing may move
        assert routers(other)["v"].transitions == before
        assert two.holders() == [best.name]
        metrics = [node.get("/metrics") for node in two.nodes]
        assert sum("kube_vrrp_learned_members" in line and line.endswith(" 1.0")
                   for text in metrics for line in text.splitlines()) == 1  # fmt: skip


def test_backup_that_the_others_drop_from_their_list_stays_backup(lan: Lan, tmp_path: Path) -> None:
    """It cannot be told, as one that is cut off from the API server."""
    with pair(lan, tmp_path) as two:
        best, other = two.nodes
        two.tell(best, other)
        two.tell(other, best)
        for node in two.nodes:
            node.start_speaker()
        two.settle("Active", "Backup")
        two.tell(best)
        two.applied(best)
        before = [routers(node)["v"].transitions for node in two.nodes]
        time.sleep(3)  # five down intervals
        assert [routers(node)["v"].transitions for node in two.nodes] == before
        # The Active node's engine is replaced by one that has the same in mind.
        eventually(lambda: best.heir, within_s=20)  # it is at once, however busy the machine is
        engine_pid = best.processes()["engine"]
        best.host.namespace.run("kill", "-9", str(engine_pid))
        eventually(lambda: best.processes().get("engine") not in (None, engine_pid), within_s=5)
        time.sleep(2)
        assert [routers(node)["v"].transitions for node in two.nodes] == before
        # And it hands over to whom its list does not have.
        best.stop_speaker()
        two.settle("Initialize", "Active")
        eventually(lambda: two.holders() == [other.name], within_s=5)


def test_closed_list_goes_on_to_be_closed(lan: Lan, tmp_path: Path) -> None:
    """Without a key of the election's own: what this is about, and what others expect."""
    with pair(lan, tmp_path) as two:
        best, other = two.nodes
        two.tell(best, stage=None)
        two.tell(other, best, stage=None)
        for node in two.nodes:
            node.start_speaker()
        two.settle("Active", "Active")
        eventually(lambda: engine(best).rejected["unknown_source"] > 5, within_s=10)
        assert routers(best)["v"].learned == ()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_stages_are_rolled_out_without_a_transition(
    lan: Lan, tmp_path: Path, order: tuple[int, int]
) -> None:
    with pair(lan, tmp_path) as two:
        best, other = two.nodes
        lists = {best: other, other: best}
        for node in two.nodes:
            two.tell(node, lists[node], stage=None)
            node.start_speaker()
        two.settle("Active", "Backup")
        before = [routers(node)["v"].transitions for node in two.nodes]
        for stage in ("Accept", "Sign", "Require"):
            for index in order:
                node = two.nodes[index]
                two.tell(node, lists[node], stage=stage)
                two.applied(node)
                time.sleep(1)  # longer than a down interval
        assert [routers(node)["v"].transitions for node in two.nodes] == before
        assert engine(other).rejected["auth_invalid"] == 0
