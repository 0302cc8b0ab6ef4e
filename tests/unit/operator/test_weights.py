"""Weights that can never move a VirtualIP: the arithmetic, and a search through every state."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, snapshot, tcp_check, virtual_ip

from vrrp_operator.plan.planner import plan
from vrrp_operator.plan.ranking import expected_priorities
from vrrp_operator.report.check_conditions import weight_warnings
from vrrp_operator.report.status import virtual_ip_status


def warnings(
    priorities: Sequence[int], *checks: dict[str, Any], references: Any = None, **spec: Any
) -> list[str]:
    named = references or [{"name": check["metadata"]["name"]} for check in checks]
    cluster = snapshot([virtual_ip("a", healthChecks=named, **spec)], (), checks)
    return weight_warnings(cluster.virtual_ips[0], cluster, priorities)


def warned(priorities: Sequence[int], weight: int, **spec: Any) -> bool:
    return bool(warnings(priorities, tcp_check("web", weight=weight, **spec)))


RANKED = (200, 180, 160)


@pytest.mark.parametrize(
    ("priorities", "weight", "ineffective"),
    [
        (RANKED, -19, True),
        (RANKED, -20, False),  # the second holds on at equal priorities, and loses then
        (RANKED, 19, True),
        (RANKED, 20, False),
        (RANKED, 0, False),
        ((200, 100, 95), -6, False),  # the first may be away
        ((254, 253), 10, False),  # equal at 254, as long as both pass
        ((254, 253), -2, False),
        ((2, 1), -254, True),  # nothing is below 1
        ((3, 2), -2, False),
        ((200,), -1, False),  # one candidate: no question of moving
        ((), -1, False),
    ],
)
def test_a_weight_moves_something_or_is_warned_of(
    priorities: tuple[int, ...], weight: int, ineffective: bool
) -> None:
    assert warned(priorities, weight) is ineffective


def test_reverse_turns_the_sign_and_not_the_size() -> None:
    assert warned(RANKED, -19, reverse=True)
    assert not warned(RANKED, -20, reverse=True)
    assert not warned((2, 1), -2, reverse=True)  # failing lifts: 1 + 2 is above 2


def test_other_weights_may_make_up_for_a_small_one() -> None:
    small, other = tcp_check("small", weight=-10), tcp_check("other", weight=-15)
    assert len(warnings(RANKED, small)) == 1
    assert warnings(RANKED, small, other) == []  # together -25
    tiny = tcp_check("tiny", weight=-3)
    found = warnings(RANKED, small, tiny)
    assert len(found) == 2
    assert "whatever the other checks say" in found[0]


def test_a_weight_of_the_virtual_ip_beats_the_checks_own() -> None:
    check = tcp_check("web", weight=-100)
    assert warnings(RANKED, check, references=[{"name": "web", "weight": -5}])


def test_no_warning_where_a_number_or_a_stranger_decides() -> None:
    file = {**tcp_check("n"), "spec": {"file": {"path": "/run/n"}, "weight": 1}}
    assert warnings(RANKED, file, tcp_check("web", weight=-1)) == []
    outside = {"externalPeers": ["192.0.2.2"]}
    assert warnings(RANKED, tcp_check("web", weight=-1), transport=outside) == []
    multicast = {"mode": "Multicast"}
    assert warnings(RANKED, tcp_check("web", weight=-1), transport=multicast) == []


def test_a_script_of_254_counts_as_253_as_keepalived_has_it() -> None:
    # 254 - 253 = 1 is not below 1.
    assert warned((254, 1), -254)


def test_the_warning_has_the_arithmetic_and_what_would_do() -> None:
    (text,) = warnings(RANKED, tcp_check("web", weight=-10))
    assert text == (
        "HealthCheck web, weight -10: the candidate in place 1 has 200 - 10 = 190 at worst and the"
        " candidate in place 2 180 at best, so its result never puts another candidate above"
        " (accepted: -20 or less, or onFailure: Fault)"
    )
    (text,) = warnings((2, 1), tcp_check("web", weight=-10))
    assert text.endswith("(accepted: onFailure: Fault)")
    (text,) = warnings(RANKED, tcp_check("web", weight=5))
    assert "200 at worst" in text
    assert "180 + 5 = 185 at best" in text
    assert text.endswith("(accepted: 20 or more, or onFailure: Fault)")


def _moves(bases: Sequence[int], weights: Sequence[int], index: int) -> bool:
    """Try every state of every check on every two nodes."""

    def effective(base: int, states: Sequence[bool]) -> int:
        counted = [w for w, up in zip(weights, states, strict=True) if up == (w > 0)]
        return min(254, max(1, base + sum(counted)))

    every = list(itertools.product((False, True), repeat=len(weights)))
    for own, rival in itertools.permutations(bases, 2):
        for states, others in itertools.product(every, every):
            turned = [up != (i == index) for i, up in enumerate(states)]
            if effective(own, states) >= effective(rival, others) > effective(own, turned):
                return True
    return False


def test_the_answer_is_that_of_a_search_through_every_state() -> None:
    chance = random.Random(6)
    seen = set()
    for _ in range(400):
        bases = sorted(chance.sample(range(1, 255), chance.randint(2, 4)), reverse=True)
        weights = [
            chance.choice((-1, 1)) * chance.randint(1, 60) for _ in range(chance.randint(1, 3))
        ]
        checks = [tcp_check(f"c{i}", weight=w) for i, w in enumerate(weights)]
        text = "\n".join(warnings(bases, *checks))
        for index in range(len(weights)):
            moves = _moves(bases, weights, index)
            assert (f"HealthCheck c{index}," not in text) is moves, (bases, weights, index)
            seen.add(moves)
    assert seen == {True, False}


def test_the_virtual_ip_has_a_condition_with_the_nodes_names() -> None:
    check = tcp_check("web", weight=-10)
    cluster = snapshot([virtual_ip("a", healthChecks=[{"name": "web"}])], nodes(2), [check])
    planned = plan(cluster)
    status = virtual_ip_status(cluster.virtual_ips[0], cluster, planned, "2026-01-01T00:00:00Z")
    (found,) = [c for c in status["conditions"] if c["type"] == "WeightIneffective"]
    first, second = planned.candidates["a"]
    assert (found["status"], found["reason"]) == ("True", "WeightIneffective")
    assert f"{first} has 200 - 10 = 190 at worst and {second} 180 at best" in found["message"]


@pytest.mark.parametrize(
    ("spec", "priorities"),
    [
        ({}, (200, 180, 160, 140, 120)),
        ({"candidates": 2}, (200, 180)),
        ({"candidates": 1}, (200,)),
        ({"nodePriorities": [{"node": "b", "priority": 90}, {"node": "a", "priority": 100}],
          "candidates": 3}, (100, 90, 70)),
        ({"nodePriorities": [{"node": "b", "priority": 1}, {"node": "a", "priority": 100}]},
         (100, 1)),
    ],
)  # fmt: skip
def test_priorities_can_be_told_before_there_are_nodes(
    spec: dict[str, Any], priorities: tuple[int, ...]
) -> None:
    record = snapshot([virtual_ip("v", **spec)]).virtual_ips[0]
    assert record.spec is not None
    assert expected_priorities(record.spec) == priorities
