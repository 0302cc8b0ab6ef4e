"""Parameters and keys that members come to share, in steps that all of them hear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, virtual_ip
from tests.unit.operator.membership_cluster import Cluster, cluster, messages, reasons

from vrrp_api.conditions import Reason
from vrrp_api.node_config import parse_node_config

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
    made.vip = virtual_ip("a", vrid=1, authentication={"type": "HMAC", "keyName": "own"})
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
    made = cluster(2, authentication={"type": "HMAC", "keyName": "own"})
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
            {"authentication": {"type": "HMAC", "keyName": "old"}},
            {"authentication": {"type": "HMAC", "keyName": "new"}},
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
    made = cluster(2, authentication={"type": "HMAC", "keyName": "one"})
    first, second = made.taking_part()
    made.vip = virtual_ip("a", vrid=1, authentication={"type": "HMAC", "keyName": "two"})
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


def test_a_leaver_gives_the_key_up_in_steps_for_a_successor_that_does_not_know_it() -> None:
    made = signed(1)
    made.nodes = [replace(made.nodes[0], out_of_service=True), nodes(2)[1]]
    made.ignorant = {"node-2"}
    seen = []
    for _ in range(20):
        made.cycle()
        seen += [s for s in [stages(made)] if s not in seen]
        made.apply()
    assert seen == [{"Sign"}, {"Accept"}, {None}]
    assert made.taking_part() == ["node-2"]


def test_it_goes_in_steps_too_where_no_step_leads_to_what_is_wanted() -> None:
    """The only member leaves while the version changes: its successor can speak the old one."""
    made = signed(1)
    made.nodes = [replace(made.nodes[0], out_of_service=True), nodes(2)[1]]
    made.ignorant = {"node-2"}
    made.vip = virtual_ip("a", vrid=1, version=2, advertisementInterval="1s")
    made.settle()
    assert made.taking_part() == ["node-2"]
    router = made.router("node-2")
    assert router is not None
    assert router.election.version == 2


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
        {"authentication": {"type": "HMAC", "keyName": "cluster"}},
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
