"""The takeovers that all nodes tell, folded into one history: none lost, none twice."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.operator.cluster import router_status

from vrrp_api.node_status import RouterStatus, Transition
from vrrp_operator.report.history import newly_told, past_of, takeovers

KEPT = 5


def at(second: float) -> str:
    return f"2026-02-01T00:00:{second:09.6f}Z"


def rise(sequence: int, second: float) -> Transition:
    return Transition(at(second), "Backup", "Active", "ActiveDownTimerExpired", sequence)


def fall(sequence: int, second: float) -> Transition:
    return Transition(at(second), "Active", "Backup", "Handover", sequence)


def router(*past: Transition) -> RouterStatus:
    return replace(router_status("a", "Backup"), history=past)


def moves(history: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(entry["from"], entry["to"]) for entry in history]


def test_everything_that_happened_between_two_looks_is_told_in_order() -> None:
    told = [
        ("node-1", router(rise(1, 1), fall(2, 2), rise(3, 5), fall(4, 6))),
        ("node-2", router(rise(9, 2), fall(10, 5))),
        ("node-3", router(rise(1, 6))),
    ]
    history = takeovers([], told)
    assert moves(history) == [
        ("", "node-1"),
        ("node-1", "node-2"),
        ("node-2", "node-1"),
        ("node-1", "node-3"),
    ]
    assert history[0] == {
        "time": at(1),
        "from": "",
        "to": "node-1",
        "reason": "ActiveDownTimerExpired",
    }


def test_what_is_known_already_is_not_told_twice() -> None:
    told = [("node-1", router(rise(1, 1))), ("node-2", router(rise(1, 2)))]
    once = takeovers([], told)
    assert takeovers(once, told) == once
    assert takeovers(once, reversed(told)) == once


def test_what_a_node_has_forgotten_stays() -> None:
    """It booted, or was away longer than its history reaches."""
    known = takeovers([], [("node-1", router(rise(1, 1))), ("node-2", router(rise(1, 2)))])
    history = takeovers(known, [("node-1", router()), ("node-2", router(rise(7, 4)))])
    assert moves(history) == [("", "node-1"), ("node-1", "node-2"), ("node-2", "node-2")]


def test_what_comes_late_goes_where_it_belongs() -> None:
    known = takeovers([], [("node-1", router(rise(1, 1))), ("node-3", router(rise(1, 3)))])
    assert moves(known)[-1] == ("node-1", "node-3")
    history = takeovers(known, [("node-2", router(rise(1, 2)))])
    assert moves(history) == [("", "node-1"), ("node-1", "node-2"), ("node-2", "node-3")]


def test_the_oldest_that_is_kept_remembers_who_was_before_it() -> None:
    known = [{"time": at(1), "from": "node-9", "to": "node-1", "reason": "Startup"}]
    for told in ([], [("node-1", router(rise(1, 1)))]):
        assert takeovers(known, told)[0]["from"] == "node-9"


def test_a_nodes_own_order_is_that_of_its_sequence_whatever_its_clock_did() -> None:
    stepped = router(rise(1, 30), fall(2, 31), rise(3, 10))
    history = takeovers([], [("node-1", stepped)])
    assert [entry["time"] for entry in history] == [at(30), at(10)]
    shuffled = router(rise(3, 10), rise(1, 30), fall(2, 31))
    assert takeovers([], [("node-1", shuffled)]) == history


def test_speaker_that_tells_its_last_transition_only_is_understood() -> None:
    last = Transition(at(4), "Backup", "Active", "Handover")
    old = router_status("a", "Active", last=last)
    assert past_of(old) == (last,)
    assert moves(takeovers([], [("node-1", old)])) == [("", "node-1")]
    assert past_of(router_status("a", "Backup")) == ()


@pytest.mark.parametrize("seed", range(40))
def test_any_schedule_of_looks_and_losses_gives_the_last_five(seed: int) -> None:
    """Looks miss nodes, come rarely, and the one who looks starts anew from what is written."""
    chance = random.Random(seed)
    pasts: dict[str, list[Transition]] = {f"node-{n}": [] for n in range(1, 4)}
    truth: list[str] = []
    written: list[Any] = []
    holder = ""
    for second in range(60):
        to = chance.choice(sorted(pasts))
        if holder:
            pasts[holder].append(fall(2 * second + 1, second))
        pasts[to].append(rise(2 * second + 2, second + 0.5))
        truth.append(to)
        holder = to
        if chance.random() < 0.3:
            seen = [(n, router(*p[-10:])) for n, p in pasts.items() if chance.random() < 0.7]
            written = takeovers(written, seen)[-KEPT:]
    everyone = [(node, router(*past[-10:])) for node, past in pasts.items()]
    written = takeovers(written, everyone)[-KEPT:]
    assert [entry["to"] for entry in written] == truth[-KEPT:]
    assert all(a["to"] == b["from"] for a, b in pairwise(written))


# How many there were -------------------------------------------------------------------


def counted(known: list[Any], told: list[tuple[str, RouterStatus]]) -> tuple[int, list[Any]]:
    held = takeovers(known, told)
    return newly_told(known, held, KEPT), held[-KEPT:]


@pytest.mark.parametrize("seed", range(40))
def test_every_takeover_is_counted_once_whoever_looks_and_whoever_leaves(seed: int) -> None:
    """As long as all look at least once in five takeovers; looks may miss nodes meanwhile."""
    chance = random.Random(seed)
    pasts: dict[str, list[Transition]] = {f"node-{n}": [] for n in range(1, 5)}
    written: list[Any] = []
    count, holder, happened = 0, "", 0
    for second in range(60):
        to = chance.choice(sorted(pasts))
        if holder:
            pasts[holder].append(fall(2 * second + 1, second))
        pasts[to].append(rise(2 * second + 2, second + 0.5))
        holder, happened = to, happened + 1
        everybody = happened % KEPT == 0
        if everybody or chance.random() < 0.3:
            seen = [
                (n, router(*p[-10:]))
                for n, p in pasts.items()
                if everybody or chance.random() < 0.7
            ]
            new, written = counted(written, seen)
            count += new
        if everybody:
            assert count == happened
            assert counted(written, seen)[0] == 0
            if chance.random() < 0.3:  # it boots, or leaves: what it said is gone
                pasts[chance.choice(sorted(pasts.keys() - {holder}))].clear()


def test_a_node_that_left_or_began_anew_takes_nothing_from_the_count() -> None:
    told = [("node-1", router(rise(1, 1))), ("node-2", router(rise(1, 2)))]
    first, known = counted([], told)
    assert first == 2
    assert counted(known, [])[0] == 0
    assert counted(known, [("node-2", router())])[0] == 0
    assert counted(known, [("node-2", router(rise(1, 9)))])[0] == 1


def test_many_between_two_looks_are_all_counted_and_no_later_look_counts_them_again() -> None:
    told = [("node-1", router(*(rise(n, n) for n in range(1, 11))))]
    count, known = counted([], told)
    assert (count, len(known)) == (10, KEPT)
    assert counted(known, told)[0] == 0
    more = [("node-1", router(*(rise(n, n) for n in range(4, 14))))]
    count, known = counted(known, more)
    assert count == 3
    assert counted(known, more)[0] == 0


@pytest.mark.parametrize("seed", range(40))
def test_counting_comes_to_rest_whatever_nodes_say(seed: int) -> None:
    """Equal moments, clocks that step, times that are none: no status is written for ever."""
    chance = random.Random(seed)

    def odd(sequence: int) -> Transition:
        time = chance.choice((at(chance.randrange(4)), at(chance.randrange(60)), "", "yesterday"))
        return Transition(time, "Backup", "Active", "Startup", sequence)

    known: list[Any] = []
    for _ in range(6):
        told = [
            (f"node-{n}", router(*(odd(s) for s in range(chance.randrange(10))))) for n in range(3)
        ]
        before = None
        for _ in range(KEPT + 2):
            before, known = counted(known, told)
        assert before == 0


def test_a_moment_that_is_no_time_is_no_part_of_the_history() -> None:
    odd = Transition("soon", "Backup", "Active", "Startup", 1)
    assert takeovers([], [("node-1", router(odd))]) == []
    assert takeovers([{"time": "", "from": "", "to": "node-1", "reason": "x"}], []) == []
