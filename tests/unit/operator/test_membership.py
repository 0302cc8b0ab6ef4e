"""Membership step by step: what each node is told, and what the next step waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, snapshot, virtual_ip

from vrrp_api.conditions import Reason
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig, parse_node_config
from vrrp_api.node_status import NodeConfigStatus, RouterStatus
from vrrp_operator.membership.facts import facts_of
from vrrp_operator.membership.steps import next_step
from vrrp_operator.planner import Plan, plan
from vrrp_operator.snapshot import Node, NodeReport

ACTIVE, BACKUP, FAULT = "Active", "Backup", "Fault"


@dataclass
class Cluster:
    """Nodes that take in what is written when a test says so, and what they report.

    ``states`` overrides what a node reports of its router; by default the one of highest priority
    is Active. ``mute`` nodes neither read nor report; ``ignorant`` ones have speakers of an
    earlier version, which take in nothing that has a key of an election's own.
    """

    nodes: list[Node]
    vip: dict[str, Any]
    default_key_ref: str | None = None
    written: dict[str, NodeConfig] = field(default_factory=dict)
    applied: dict[str, NodeConfig] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    ignorant: set[str] = field(default_factory=set)
    _told: dict[str, NodeConfigStatus] = field(default_factory=dict)

    def cycle(self) -> Plan:
        """Let the operator decide and write; nobody takes anything in."""
        found = plan(snapshot([self.vip], self.nodes, reports=self.reports()), self.default_key_ref)
        for name, config in found.configs.items():
            before = self.written.get(name)
            generation = before.generation if before is not None else 0
            if before is None or before != replace(config, generation=generation):
                self.written[name] = replace(config, generation=generation + 1)
        for name in self.written.keys() - found.configs.keys():
            self.written.pop(name)
            self.applied.pop(name, None)
        return found

    def apply(self, *names: str) -> None:
        """Let these nodes take in what is written, all without a name."""
        for name in names or tuple(self.written):
            if name not in self.mute and not (name in self.ignorant and self._is_new(name)):
                self.applied[name] = self.written[name]

    def _is_new(self, name: str) -> bool:
        said = [r.election.authentication for r in self.written[name].virtual_routers]
        return any(a is not None and a.election_key is not None for a in said)

    def settle(self) -> Plan:
        """Go on until nothing is written any more."""
        for _ in range(30):
            before = dict(self.written), dict(self.applied)
            found = self.cycle()
            self.apply()
            if (self.written, self.applied) == before:
                return found
        raise AssertionError("no end")

    def reports(self) -> dict[str, NodeReport]:
        """Return what is known of each node."""
        found = {}
        for name, config in self.written.items():
            if name not in self.mute:
                self._told[name] = self._says(name)
            status = self._told.get(name)
            found[name] = NodeReport(config, status, name not in self.mute)
        return found

    def _says(self, name: str) -> NodeConfigStatus:
        mine = self.applied.get(name)
        routers = tuple(self._router(name, r) for r in mine.virtual_routers) if mine else ()
        generation = mine.generation if mine else 0
        features = () if name in self.ignorant else ("ElectionKeys",)
        return NodeConfigStatus(
            generation, "2026-01-01T00:00:00Z", "0", 0, "API", routers, (), features
        )

    def _router(self, name: str, router: VirtualRouterConfig) -> RouterStatus:
        running = {
            n: r.base_priority
            for n, config in self.applied.items()
            for r in config.virtual_routers
            if self.states.get(n, "") != FAULT
        }
        best = max(running, key=lambda n: (running[n], n), default="")
        state = self.states.get(name) or (ACTIVE if name == best else BACKUP)
        since = "2026-01-01T00:00:00Z"
        return RouterStatus(router.name, 1, state, since, router.base_priority, "eth0", (), 1, None)

    def router(self, node: str) -> VirtualRouterConfig | None:
        """Return what a node is asked to run."""
        routers = self.written[node].virtual_routers
        return routers[0] if routers else None

    def peers(self, node: str) -> set[str]:
        """Return whom a node is asked to list."""
        router = self.router(node)
        return {peer.node for peer in router.peers} if router is not None else set()

    def priorities(self) -> dict[str, int]:
        """Return the base priority of each node that is asked to run the election."""
        routers = {name: self.router(name) for name in self.written}
        return {name: r.base_priority for name, r in routers.items() if r is not None}

    def change(self, name: str, **changes: Any) -> None:
        """Change one Node."""
        self.nodes = [replace(n, **changes) if n.name == name else n for n in self.nodes]

    def taking_part(self) -> list[str]:
        """Return who is asked to run the election, best first."""
        found = self.priorities()
        return sorted(found, key=lambda name: -found[name])


def cluster(count: int = 3, *, spare: int = 0, **spec: Any) -> Cluster:
    """Return a settled cluster of so many candidates, and further nodes without a speaker."""
    of_nodes = nodes(count + spare)
    apart = [replace(n, has_speaker=i < count) for i, n in enumerate(of_nodes)]
    made = Cluster(apart, virtual_ip("a", vrid=1, **spec))
    made.settle()
    return made


def reasons(found: Plan) -> list[Reason]:
    return [wait.reason for wait in found.waits.get("a", ())]


def messages(found: Plan) -> str:
    return "; ".join(wait.message for wait in found.waits.get("a", ()))


# Joining ------------------------------------------------------------------------------


def test_nodes_of_an_election_that_nobody_runs_begin_at_once() -> None:
    made = Cluster(nodes(3), virtual_ip("a", vrid=1))
    made.cycle()
    for node in made.written:
        assert made.peers(node) == set(made.written) - {node}


def test_a_newcomer_is_listed_by_all_before_it_gets_its_router() -> None:
    made = cluster(2, spare=1)
    made.change("node-3", has_speaker=True)
    made.cycle()
    assert made.peers("node-1") == {"node-2", "node-3"}
    assert made.peers("node-2") == {"node-1", "node-3"}
    assert made.router("node-3") is None
    made.apply("node-1", "node-3")
    found = made.cycle()
    assert made.router("node-3") is None
    assert reasons(found) == [Reason.PENDING]
    assert "node-3 joins once every member knows it; waiting for node-2" in messages(found)
    made.apply("node-2")
    assert messages(made.cycle()) == ""
    assert made.peers("node-3") == {"node-1", "node-2"}


def test_a_newcomer_moves_nothing_and_changes_nobody() -> None:
    made = cluster(2, spare=1)
    before = made.priorities()
    made.change("node-3", has_speaker=True)
    made.settle()
    assert made.priorities() == {**before, "node-3": min(before.values()) - 20}


def test_two_newcomers_list_each_other() -> None:
    made = cluster(2, spare=2)
    made.change("node-3", has_speaker=True)
    made.change("node-4", has_speaker=True)
    made.cycle()
    made.apply()
    made.cycle()
    assert made.peers("node-3") == {"node-1", "node-2", "node-4"}
    assert made.peers("node-4") == {"node-1", "node-2", "node-3"}


def test_a_newcomer_waits_for_a_member_that_cannot_be_told_and_says_for_whom() -> None:
    made = cluster(2, spare=1)
    made.mute = {"node-1"}
    made.change("node-3", has_speaker=True)
    found = made.settle()
    assert made.router("node-3") is None
    assert reasons(found) == [Reason.NODE_UNREACHABLE]
    assert "no report from node-1: if it is off, delete its Node or taint it" in messages(found)


def test_a_member_that_is_off_or_deleted_is_not_waited_for() -> None:
    for off in (True, False):
        made = cluster(2, spare=1)
        made.mute = {"node-1"}
        made.change("node-3", has_speaker=True)
        if off:
            made.change("node-1", off=True, out_of_service=True)
        else:
            made.nodes = [node for node in made.nodes if node.name != "node-1"]
        made.settle()
        assert made.router("node-3") is not None
        assert ("node-1" in made.peers("node-2")) is off


# Replacing ----------------------------------------------------------------------------


def silent(made: Cluster, node: str) -> None:
    """Let a node be silent for five minutes."""
    made.mute = {node}
    made.change(node, gone=True)


def test_a_gone_member_is_replaced_beside_it_and_stays_listed() -> None:
    made = cluster(2, spare=1, candidates=2)
    second = made.taking_part()[1]
    silent(made, second)
    made.change("node-3", has_speaker=True)
    before = made.priorities()
    found = made.settle()
    assert made.peers("node-3") == {"node-1", "node-2"}
    assert second in made.peers(made.taking_part()[0])
    assert second not in found.candidates["a"]
    assert made.priorities()["node-3"] < min(before.values())  # whoever may be deaf to it is above


def test_who_joins_without_a_members_knowing_is_below_all_others() -> None:
    pinned = [{"node": "node-3", "priority": 250}]
    made = cluster(2, spare=1, nodePriorities=pinned)
    before, second = made.priorities(), made.taking_part()[1]
    silent(made, second)
    made.change("node-3", has_speaker=True)
    made.settle()
    assert made.priorities()["node-3"] == min(before.values()) - 1
    made.mute = set()
    made.change(second, gone=False)
    made.settle()
    assert made.priorities()["node-3"] == 250


def test_a_silent_member_that_is_heard_is_not_gone() -> None:
    """The others are Backup: somebody has the addresses, and it was the last to say so."""
    made = cluster(3, spare=1, candidates=4)
    first = made.taking_part()[0]
    silent(made, first)
    made.change("node-4", has_speaker=True)
    found = made.settle()
    assert made.router("node-4") is None
    assert first in found.candidates["a"]


def test_a_gone_member_that_comes_back_has_its_place_again() -> None:
    made = cluster(3, candidates=2)
    before, (first, second) = made.priorities(), made.taking_part()
    silent(made, second)
    made.settle()
    assert len(made.priorities()) == 3
    made.mute = set()
    made.change(second, gone=False)
    made.settle()
    assert made.priorities() == before
    assert (made.peers(first), made.peers(second)) == ({second}, {first})


# Leaving ------------------------------------------------------------------------------


def test_a_backup_leaves_and_is_dropped_when_it_says_that_it_left() -> None:
    made = cluster(3)
    first, second, third = made.taking_part()
    made.change(second, out_of_service=True)
    made.cycle()
    assert made.router(second) is None
    assert made.peers(first) == {second, third}
    made.apply(first, third)
    made.cycle()
    assert made.peers(first) == {second, third}
    made.apply(second)
    made.cycle()
    assert made.peers(first) == {third}


def test_who_is_active_leaves_once_its_successor_is() -> None:
    made = cluster(3)
    first, second, _ = made.taking_part()
    made.change(first, out_of_service=True)
    made.cycle()
    assert made.router(first) is not None
    successor = made.router(second)
    assert successor is not None
    assert successor.base_priority > made.priorities()[first] == 200
    assert successor.take_over == first  # whatever preemption says
    made.apply(first)
    made.cycle()
    assert made.router(first) is not None
    made.apply(second)
    made.cycle()
    assert made.router(first) is None
    assert made.peers(second) >= {first}
    made.settle()
    assert first not in made.peers(second)
    assert made.priorities()[second] == 200


def test_who_cannot_be_told_to_leave_yields_by_priority_and_stays_listed() -> None:
    made = cluster(3)
    first, second, third = made.taking_part()
    made.mute = {first}
    made.states = {first: ACTIVE, second: BACKUP, third: BACKUP}
    made.change(first, out_of_service=True)
    made.cycle()
    assert made.priorities()[second] == 221
    made.states = {second: ACTIVE, third: BACKUP}
    made.apply()
    found = made.settle()
    assert made.router(first) is None
    assert first in made.peers(second) & made.peers(third)
    assert made.priorities()[second] == 221  # above what the other one may still run with
    assert Reason.NODE_UNREACHABLE in reasons(found)
    assert f"{first} is to leave and cannot be told" in messages(found)
    made.mute = set()
    made.settle()
    assert first not in made.peers(second)


def test_nobody_leaves_before_another_one_can_hold_the_addresses() -> None:
    made = cluster(2)
    first, second = made.taking_part()
    made.states = {second: FAULT}
    made.change(first, out_of_service=True)
    found = made.settle()
    assert made.router(first) is not None
    assert reasons(found) == [Reason.WAITING_FOR_SUCCESSOR]
    assert f"{first} to leave once another node can hold the addresses: {second} Fault" in (
        messages(found)
    )


def test_who_is_alone_and_cannot_be_told_stays_and_it_says_who_waits_for_it() -> None:
    """A node cut off as its election begins: nobody else got its router yet."""
    made = cluster(1, spare=1)
    made.change("node-2", has_speaker=True)
    made.cycle()
    made.mute = {"node-1"}
    made.change("node-1", out_of_service=True)
    found = made.settle()
    assert [made.router(name) is not None for name in ("node-1", "node-2")] == [True, False]
    assert "node-1 to leave once another node can hold the addresses: nobody else" in (
        messages(found)
    )
    assert "node-2 joins once every member knows it; no report from node-1" in messages(found)


def test_another_holder_that_cannot_report_is_not_put_below_anybody() -> None:
    """A Backup leaves while the Active node is silent, and heard."""
    made = cluster(3)
    first, second, third = made.taking_part()
    made.mute = {first}
    made.states = {second: BACKUP, third: BACKUP}
    made.change(second, out_of_service=True)
    made.settle()
    assert made.taking_part() == [first, third]


def test_a_node_that_leaves_the_cluster_alive_leaves_its_elections_first() -> None:
    made = cluster(3)
    first, second, _ = made.taking_part()
    made.nodes = [node for node in made.nodes if node.name != first]
    made.cycle()
    assert made.router(first) is not None
    assert made.priorities()[second] == 221
    made.settle()
    assert first not in made.written


def test_nobody_is_left_where_nobody_is_wanted() -> None:
    made = cluster(3, nodeSelector={"matchLabels": {}})
    made.vip = virtual_ip("a", vrid=1, nodeSelector={"matchLabels": {"no": "node"}})
    made.settle()
    assert made.priorities() == {}


# Parameters ---------------------------------------------------------------------------


def authentications(made: Cluster) -> set[str]:
    found = set()
    for name in made.written:
        router = made.router(name)
        if router is not None and router.election.authentication is not None:
            said = router.election.authentication
            found.add(said.mode if said.type == "HMAC" else said.type)
    return found


def test_signatures_come_in_steps_and_wait_for_everybody() -> None:
    made = cluster(2)
    made.vip = virtual_ip("a", vrid=1, authentication={"type": "HMAC", "keyRef": "own"})
    seen = []
    for _ in range(2):
        made.cycle()
        seen.append(authentications(made))
        made.apply("node-1")
        found = made.cycle()
        assert authentications(made) == seen[-1]
        assert "authentication changes once every member can take part in it" in messages(found)
        made.apply("node-2")
    made.settle()
    seen.append(authentications(made))
    assert seen == [{"ReceiveOnly"}, {"Permissive"}, {"Enforce"}]


def test_signatures_go_in_steps() -> None:
    made = cluster(2, authentication={"type": "HMAC", "keyRef": "own"})
    made.vip = virtual_ip("a", vrid=1, authentication={"type": "None"})
    seen = []
    for _ in range(3):
        made.cycle()
        seen.append(authentications(made))
        made.apply()
    assert seen == [{"Permissive"}, {"ReceiveOnly"}, {"None"}]


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({}, {"version": 2, "advertisementInterval": "1s"}, "version"),
        (
            {"authentication": {"type": "HMAC", "keyRef": "old"}},
            {"authentication": {"type": "HMAC", "keyRef": "new"}},
            "authentication",
        ),
        ({}, {"transport": {"mode": "Multicast"}}, "transport.mode"),
        ({}, {"transport": {"ttl": {"send": 9, "acceptMinimum": 9}}}, "transport.ttl"),
    ],
)
def test_what_no_two_would_hear_is_changed_by_one_alone(
    before: Mapping[str, Any], after: Mapping[str, Any], what: str
) -> None:
    made = cluster(3, **before)
    first = made.taking_part()[0]
    old = made.router(first)
    assert old is not None
    made.vip = virtual_ip("a", vrid=1, **after)
    found = made.cycle()
    assert made.taking_part() == [first]
    assert reasons(found) == [Reason.ELECTION_RESTARTS]
    assert what in messages(found)
    assert f"{first} changes alone" in messages(found)
    kept = made.router(first)
    assert kept is not None
    assert kept.election == old.election
    made.apply()
    made.cycle()
    changed = made.router(first)
    assert changed is not None
    assert changed.election != old.election
    assert made.taking_part() == [first]
    made.settle()
    assert len(made.taking_part()) == 3
    assert len({router.election for n in made.written if (router := made.router(n))}) == 1


def test_who_leaves_for_such_a_change_is_not_let_in_again_before_it_has_left() -> None:
    made = cluster(2, authentication={"type": "HMAC", "keyRef": "one"})
    first, second = made.taking_part()
    made.vip = virtual_ip("a", vrid=1, authentication={"type": "HMAC", "keyRef": "two"})
    for _ in range(3):
        made.cycle()
        made.apply(first)
        assert made.taking_part() == [first]
    made.settle()
    assert made.taking_part() == [first, second]


def test_such_a_change_waits_for_who_cannot_be_told_to_leave() -> None:
    made = cluster(3)
    first, second, third = made.taking_part()
    made.mute = {third}
    made.vip = virtual_ip("a", vrid=1, version=2, advertisementInterval="1s")
    found = made.settle()
    router = made.router(first)
    assert router is not None
    assert router.election.version == 3
    assert third in messages(found)
    assert made.router(second) is None


def test_intervals_of_version_three_change_at_once() -> None:
    made = cluster(3)
    made.vip = virtual_ip("a", vrid=1, advertisementInterval="1s")
    found = made.cycle()
    routers = [made.router(n) for n in made.written]
    assert {r.election.advertisement_interval_ns for r in routers if r} == {1_000_000_000}
    assert messages(found) == ""


# Addresses ----------------------------------------------------------------------------


def test_another_address_is_taken_outside_of_the_election() -> None:
    made = cluster(3)
    first, second, _ = made.taking_part()
    made.change(second, addresses=("192.0.2.99",))
    made.cycle()
    assert made.router(second) is None
    assert made.written[second].addresses[0] != "192.0.2.99"
    made.apply(second)
    made.cycle()
    assert made.written[second].addresses == ("192.0.2.99",)
    assert made.router(second) is None
    made.settle()
    router = made.router(first)
    assert router is not None
    assert "192.0.2.99" in [peer.address for peer in router.peers]
    assert made.router(second) is not None


def test_addresses_that_all_change_are_taken_one_after_the_other() -> None:
    made = cluster(2)
    first, second = made.taking_part()
    made.change(first, addresses=("192.0.2.98",))
    made.change(second, addresses=("192.0.2.99",))
    made.cycle()
    assert made.router(first) is not None
    assert made.router(second) is None
    made.settle()
    assert made.written[first].addresses == ("192.0.2.98",)
    assert made.written[second].addresses == ("192.0.2.99",)
    assert len(made.priorities()) == 2


def test_members_stay_where_the_only_one_wanted_is_on_the_way_to_another_address() -> None:
    """All leave other elections for new addresses, and the newcomer is not here yet."""
    made = cluster(2, spare=1)
    made.change("node-3", has_speaker=True)
    now = snapshot([made.vip], made.nodes, reports=made.reports())
    router = made.router("node-1")
    assert router is not None
    moving = frozenset(("node-1", "node-2", "node-3"))
    step = next_step({"node-3": router}, facts_of("a", 4, now, frozenset()), moving)
    assert step.routers.keys() == {"node-1", "node-2"}
    said = {wait.reason for wait in step.waits}
    assert said == {Reason.WAITING_FOR_SUCCESSOR, Reason.PENDING}


def test_a_node_alone_takes_its_new_address_at_once() -> None:
    made = cluster(1)
    made.change("node-1", addresses=("192.0.2.99",))
    made.cycle()
    assert made.written["node-1"].addresses == ("192.0.2.99",)
    assert made.router("node-1") is not None


def test_addresses_that_vanish_are_kept() -> None:
    made = cluster(3)
    before = dict(made.written)
    for node in list(made.nodes):
        made.change(node.name, addresses=())
    found = made.cycle()
    assert made.written == before
    assert [node.kept for node in found.nodes] == [n.addresses for n in before.values()]


def test_an_address_of_a_virtual_ip_is_no_nodes() -> None:
    made = cluster(3)
    before = dict(made.written)
    made.change("node-1", addresses=("192.0.2.50",))
    found = made.cycle()
    assert found.problems == {}
    assert made.written == before
    assert found.nodes[0].refused == ("192.0.2.50 is the address of VirtualIP a",)


def test_an_address_of_another_node_is_not_taken() -> None:
    made = cluster(3)
    before = dict(made.written)
    made.change("node-2", addresses=("192.0.2.11",))
    found = made.cycle()
    assert made.written == before
    assert found.nodes[1].refused == ("192.0.2.11 is the address of node node-1",)


def test_new_nodes_that_claim_one_address_are_no_candidates_and_say_why() -> None:
    made = cluster(2, spare=2)
    for name in ("node-3", "node-4"):
        made.change(name, has_speaker=True, addresses=("192.0.2.77",))
    found = made.settle()
    assert set(found.candidates["a"]) == {"node-1", "node-2"}
    assert set(found.without_address["a"]) == {"node-3", "node-4"}
    assert "192.0.2.77 is said to be the address of node-4, too" in found.nodes[2].refused


def test_a_doubted_node_goes_on_where_it_is_and_joins_nothing() -> None:
    made = cluster(2)
    made.change("node-1", addresses=(), refused=("'x' is no IP address",))
    made.settle()
    assert made.router("node-1") is not None
    second = virtual_ip("b", "192.0.2.60", vrid=2)
    found = plan(snapshot([made.vip, second], made.nodes, reports=made.reports()))
    assert found.candidates == {"a": tuple(made.taking_part()), "b": ("node-2",)}


# A key of the election's own ----------------------------------------------------------


def stages(made: Cluster) -> set[str | None]:
    routers = [made.router(name) for name in made.written]
    found = [r.election.authentication for r in routers if r is not None]
    return {a.election_key for a in found if a is not None}


def signed(count: int = 2, *, knowing: bool = True) -> Cluster:
    """Return a settled cluster with a default key, whose speakers know keys of elections or not."""
    made = Cluster(nodes(count), virtual_ip("a", vrid=1), "cluster")
    made.ignorant = set() if knowing else {node.name for node in made.nodes}
    made.settle()
    return made


def test_an_election_that_all_can_sign_for_begins_with_its_own_key() -> None:
    made = signed()
    assert stages(made) == {"Require"}


def test_its_own_key_comes_in_steps_once_the_last_speaker_knows_it() -> None:
    made = signed(knowing=False)
    assert stages(made) == {None}
    made.ignorant = {"node-2"}
    made.settle()
    assert stages(made) == {None}
    made.ignorant = set()
    seen = []
    for _ in range(3):
        made.cycle()
        seen.append(stages(made))
        made.apply("node-1")
        made.cycle()
        assert stages(made) == seen[-1]  # not before node-2 has it
        made.apply("node-2")
    assert seen == [{"Accept"}, {"Sign"}, {"Require"}]


def test_before_a_node_joins_that_does_not_know_it_the_key_goes_in_steps() -> None:
    made = signed()
    made.nodes = nodes(3)
    made.ignorant = {"node-3"}
    seen = []
    for _ in range(6):
        made.cycle()
        seen += [s for s in [stages(made)] if s not in seen]
        if made.router("node-3") is not None:
            break
        made.apply()
    assert seen == [{"Sign"}, {"Accept"}, {None}]
    assert made.router("node-3") is not None


def test_a_member_that_does_not_know_it_any_more_leaves_and_joins_without() -> None:
    made = signed(3)
    made.ignorant = {"node-2"}
    made.settle()
    assert stages(made) == {None}
    assert made.router("node-2") is not None


def test_speakers_that_all_forget_it_come_to_sign_without() -> None:
    made = signed(2)
    made.ignorant = {"node-1", "node-2"}
    made.settle()
    assert stages(made) == {None}
    assert len(made.taking_part()) == 2


@pytest.mark.parametrize(
    "spec",
    [
        {"authentication": {"type": "HMAC", "keyRef": "cluster"}},
        {"version": 2, "advertisementInterval": "1s"},
        {"transport": {"externalPeers": ["192.0.2.3"]}},
    ],
)
def test_keys_that_others_have_to_know_stay_as_they_are(spec: dict[str, Any]) -> None:
    made = signed()
    made.vip = virtual_ip("a", vrid=1, **spec)
    for _ in range(20):
        made.cycle()
        for config in made.written.values():
            parse_node_config(config.to_object())  # whatever comes on the way, a speaker takes it
        made.apply()
    assert stages(made) == {None}
    assert len(made.taking_part()) == 2
