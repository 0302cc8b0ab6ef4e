"""Each rule of the judge lets the right story pass and sees the wrong one.

Stories are worked out by hand: two nodes of priority 200 and 100 at 200 ms, so they wait 643 ms and
721 ms, hold a lease of a second, and settle within 1.64 s. Times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.chaos.causes import unplanted_starts
from tests.chaos.judge import Judge
from tests.chaos.observed import NOT_RUNNING, Allowance, Election, Held, Run, Struck, Turn
from tests.chaos.plan import Fault, Kind

MS = 1_000_000
ALLOWED = Allowance(
    slack_ns=10 * MS,
    lease_fuzz_ns=50 * MS,
    install_ns=100 * MS,
    resolve_ns=0,
    fork_ns=20 * MS,
    start_ns=3_000 * MS,
)
BEST, OTHER = 0, 1
END = 10_000
Line = tuple[int, int, str]
BEGINNING: tuple[Line, ...] = ((0, BEST, "Active"), (0, OTHER, "Backup"))
DOWN, HIGHER = "ActiveDownTimerExpired", "HigherPriorityAdvertisement"


def turns(*lines: tuple[int, int, str, str]) -> list[Turn]:
    """Return turns of (when, node, "before after", reason); without a reason "before" is left."""
    states = {BEST: "Active", OTHER: "Backup"}
    found = [Turn(0, node, state) for node, state in states.items()]
    for at_ms, node, state, reason in lines:
        before = "Initialize" if reason == "Startup" else states[node]
        found.append(Turn(at_ms * MS, node, state, reason, before if reason else ""))
        states[node] = state
    return found


def holding(*spans: tuple[int, int, int]) -> list[Held]:
    """Return what (node, from, until) means."""
    changes = [Held(begin * MS, node, "vip", held=True) for node, begin, _ in spans]
    changes += [Held(end * MS, node, "vip", held=False) for node, _, end in spans if end < END]
    return sorted(changes, key=lambda change: change.at_ns)


def struck(kind: Kind, node: int, begin: int, end: int, *others: int) -> Struck:
    """Return a fault that was carried out on time."""
    fault = Fault(kind, node, begin, end, others)
    return Struck(fault, begin * MS, begin * MS, end * MS, end * MS)


def rules(
    turned: Sequence[Turn],
    held: Sequence[Held],
    *faults: Struck,
    stalls: Sequence[tuple[int, int]] = (),
    unicast: bool = True,
    allowed: Allowance = ALLOWED,
) -> set[str]:
    """Return which rules the judge finds broken, none of it excused."""
    election = Election("vip", (200, 100), 200 * MS, unicast)
    run = Run(election, turned, held, faults, 0, END * MS, stalls)
    return {v.rule for v in Judge(run, allowed).violations() if not v.excused}


REST = turns(), holding((BEST, 0, END))
KILLED = struck(Kind.KILL, BEST, 1_000, 5_000)
BACK = (
    (5_300, BEST, "Backup", "Startup"),
    (5_943, BEST, "Active", DOWN),
    (5_944, OTHER, "Backup", HIGHER),
)
KILL = turns((1_000, BEST, NOT_RUNNING, ""), (1_721, OTHER, "Active", DOWN), *BACK)


def killed(*, lease_until: int = 1_900, taken_at: int = 1_721, left_at: int = 5_994) -> set[str]:
    """Return what is found wrong where the best is killed and comes back, told by these times."""
    spans = (BEST, 0, lease_until), (OTHER, taken_at, left_at), (BEST, 5_943, END)
    return rules(KILL, holding(*spans), KILLED)


def test_rest_and_a_death_as_they_should_be() -> None:
    assert rules(*REST) == set()
    assert killed() == set()


def test_dead_node_has_its_addresses_for_a_lease() -> None:
    assert killed(lease_until=2_040) == set()
    assert killed(lease_until=2_100) == {"left behind"}
    assert killed(lease_until=2_500) == {"left behind", "two have an address"}


def test_whoever_begins_removes_what_an_earlier_life_left() -> None:
    """It begins within the lease, and nobody took over."""

    def found(gone_at: int) -> set[str]:
        story = turns(
            (1_000, BEST, NOT_RUNNING, ""),
            (1_400, BEST, "Backup", "Startup"),
            (1_721, OTHER, "Active", DOWN),
            (2_043, BEST, "Active", DOWN),
            (2_044, OTHER, "Backup", HIGHER),
        )
        held = holding((BEST, 0, gone_at), (OTHER, 1_721, 2_094), (BEST, 2_043, END))
        return rules(story, held, struck(Kind.KILL, BEST, 1_000, 1_350))

    assert found(1_405) == set()
    assert found(1_430) == {"left behind"}


def test_whoever_yields_lets_go_after_the_grace() -> None:
    assert killed(left_at=6_003) == set()
    assert killed(left_at=6_130) == {"left behind"}


def test_whoever_is_killed_as_it_lets_go_keeps_the_addresses_for_a_lease() -> None:
    """It yielded after the killing had begun, and before that had its effect."""
    story = turns(
        (1_000, BEST, NOT_RUNNING, ""), (1_721, OTHER, "Active", DOWN), *BACK,
        (5_945, OTHER, NOT_RUNNING, ""), (8_000, OTHER, "Backup", "Startup"),
    )  # fmt: skip
    held = holding((BEST, 0, 1_900), (OTHER, 1_721, 6_900), (BEST, 5_943, END))
    fault = Fault(Kind.KILL, OTHER, 5_943, 7_500)
    late = Struck(fault, 5_943 * MS, 5_945 * MS, 7_500 * MS, 7_500 * MS)
    assert "left behind" not in rules(story, held, KILLED, late)


def test_whoever_is_active_has_the_addresses() -> None:
    assert killed(taken_at=1_730) == set()
    assert killed(taken_at=1_800) == {"Active without an address"}


@pytest.mark.parametrize(("address", "right"), [("192.0.2.50", False), ("2001:db8::50", True)])
def test_kernel_takes_longer_for_ipv6(address: str, right: bool) -> None:
    spans = holding((BEST, 0, 1_900), (OTHER, 1_800, 5_994), (BEST, 5_943, END))
    held = [replace(change, address=address) for change in spans]
    assert (rules(KILL, held, KILLED) == set()) is right


def test_nobody_waits_longer_than_a_down_interval() -> None:
    """The lease ended early, and the Backup takes over late."""
    late = turns((1_000, BEST, NOT_RUNNING, ""), (1_900, OTHER, "Active", DOWN), *BACK)
    spans = (OTHER, 1_900, 5_994), (BEST, 5_943, END)
    assert rules(late, holding((BEST, 0, 1_200), *spans), KILLED) == set()
    assert rules(late, holding((BEST, 0, 1_100), *spans), KILLED) == {"nobody has an address"}


def test_nobody_is_waited_for_by_a_backup_that_stands_still() -> None:
    story = turns((1_000, BEST, NOT_RUNNING, ""), (3_000, OTHER, "Active", DOWN), *BACK)
    held = holding((BEST, 0, 1_900), (OTHER, 3_000, 5_994), (BEST, 5_943, END))
    frozen = struck(Kind.FREEZE, OTHER, 1_100, 2_400)
    assert rules(story, held, KILLED, frozen) == set()
    assert rules(story, held, KILLED) == {"nobody has an address"}


@pytest.mark.parametrize(
    ("kind", "others"), [(Kind.PARTITION, (OTHER,)), (Kind.MUTE, (OTHER,)), (Kind.LOSS, ())]
)
def test_two_are_active_only_while_they_do_not_hear_each_other(
    kind: Kind, others: tuple[int, ...]
) -> None:
    def found(until: int, *faults: Struck) -> set[str]:
        story = turns((1_721, OTHER, "Active", DOWN), (until, OTHER, "Backup", HIGHER))
        return rules(story, holding((BEST, 0, END), (OTHER, 1_721, until + 50)), *faults)

    divided = struck(kind, BEST, 1_000, 3_000, *others)
    assert found(3_200, divided) == set()
    assert found(3_700, divided) == {"two are Active", "two have an address"}
    assert {"two are Active", "two have an address"} <= found(3_200)
    if others:
        elsewhere = struck(kind, BEST, 1_000, 3_000, 2)
        assert {"two are Active", "two have an address"} <= found(3_200, elsewhere)


def test_unicast_takes_its_time_to_find_a_peer_again() -> None:
    story = turns((1_721, OTHER, "Active", DOWN), (4_100, OTHER, "Backup", HIGHER))
    held = holding((BEST, 0, END), (OTHER, 1_721, 4_150))
    allowed = replace(ALLOWED, resolve_ns=1_000 * MS)
    divided = struck(Kind.PARTITION, BEST, 1_000, 3_000, OTHER)
    assert rules(story, held, divided, allowed=allowed) == set()
    assert rules(story, held, divided, allowed=allowed, unicast=False) != set()


FROZEN = struck(Kind.FREEZE, BEST, 1_000, 4_000)


def frozen(*, woken: str = "LateWake", leaves_at: int = 4_001, lease: int = 1_900) -> set[str]:
    """Return what is found wrong where the best stands still for longer than the other waits."""
    story = turns(
        (1_721, OTHER, "Active", DOWN),
        (leaves_at, BEST, "Backup", woken),
        (4_700, BEST, "Active", DOWN),
        (4_701, OTHER, "Backup", HIGHER),
    )
    spans = (BEST, 0, lease), (OTHER, 1_721, 4_751), (BEST, 4_700, END)
    return rules(story, holding(*spans), FROZEN)


def test_thawed_node_steps_down_at_once() -> None:
    assert frozen() == set()
    assert "woke late and went on" in frozen(leaves_at=4_050)


def test_thawed_node_has_no_address_and_a_frozen_one_loses_it() -> None:
    assert frozen(lease=2_040) == set()
    assert frozen(lease=2_200) == {"outlives its lease"}
    assert frozen(lease=2_500) == {"outlives its lease", "two have an address"}
    assert {"woke late with an address", "left behind"} <= frozen(lease=4_100)


def test_best_is_back_in_time_and_nothing_moves_at_rest() -> None:
    late = turns(
        (1_000, BEST, NOT_RUNNING, ""),
        (1_721, OTHER, "Active", DOWN),
        (5_300, BEST, "Backup", "Startup"),
        (7_100, BEST, "Active", DOWN),
        (7_101, OTHER, "Backup", HIGHER),
    )
    held = holding((BEST, 0, 1_900), (OTHER, 1_721, 7_151), (BEST, 7_100, END))
    assert rules(late, held, KILLED) == {"moves at rest", "not the best", "not where it belongs"}


def test_node_that_never_returns_is_missed() -> None:
    story = turns((1_000, BEST, NOT_RUNNING, ""), (1_721, OTHER, "Active", DOWN))
    held = holding((BEST, 0, 1_900), (OTHER, 1_721, END))
    assert rules(story, held, KILLED) == {"a node does not return"}


@pytest.mark.parametrize(
    ("state", "reason", "fault"),
    [
        ("Backup", "LateWake", Kind.MUTE),
        ("Fault", "Fault", Kind.FREEZE),
        ("Initialize", "Shutdown", Kind.KILL),
        ("Backup", "EqualPriorityGreaterAddress", Kind.FREEZE),
        ("Backup", "Startup", Kind.CUT),
    ],
)
def test_transition_without_a_cause_or_outside_the_table_is_illegal(
    state: str, reason: str, fault: Kind
) -> None:
    story = turns((2_000, BEST, state, reason))
    other = (OTHER,) if fault is Kind.MUTE else ()
    found = rules(story, holding((BEST, 0, 2_005)), struck(fault, BEST, 1_990, 2_500, *other))
    assert "illegal transition" in found


@pytest.mark.parametrize(("at", "right"), [(1_500, True), (2_900, False)])
def test_address_conflict_needs_somebody_who_left_the_address(at: int, right: bool) -> None:
    conflict = Turn(at * MS, OTHER, "Fault", "Fault", "Backup", "AddressConflict")
    story = [*turns(), Turn(1_000 * MS, BEST, NOT_RUNNING), conflict]
    found = rules(story, holding((BEST, 0, 1_900)), KILLED)
    assert ("illegal transition" not in found) is right


def test_transition_has_to_follow_the_one_before() -> None:
    story = [*turns(), Turn(2_000 * MS, OTHER, "Backup", HIGHER, "Active")]
    assert "illegal transition" in rules(story, holding((BEST, 0, END)))


@pytest.mark.parametrize("leaves_at", [1_390, 1_450])
def test_stopped_node_hands_over_for_a_bounded_time(leaves_at: int) -> None:
    """An interval and the longest Skew_Time: 399 ms."""
    story = turns((1_000, BEST, "Initialize", "Shutdown"), (1_250, OTHER, "Active", DOWN), *BACK)
    held = holding((BEST, 0, leaves_at), (OTHER, 1_250, 5_994), (BEST, 5_943, END))
    found = rules(story, held, struck(Kind.STOP, BEST, 1_000, 5_000))
    assert found == (set() if leaves_at < 1_400 else {"left behind"})


def test_node_without_a_link_drops_everything_at_once() -> None:
    def found(gone_at: int) -> set[str]:
        story = turns(
            (1_000, BEST, "Fault", "Fault"),
            (1_721, OTHER, "Active", DOWN),
            (5_000, BEST, "Backup", "FaultCleared"),
            *BACK[1:],
        )
        held = holding((BEST, 0, gone_at), (OTHER, 1_721, 5_994), (BEST, 5_943, END))
        return rules(story, held, struck(Kind.CUT, BEST, 1_000, 5_000))

    assert found(1_005) == set()
    assert found(1_050) == {"left behind"}


def test_replaced_engine_drops_what_its_predecessor_was_letting_go() -> None:
    def found(gone_at: int) -> set[str]:
        held = holding((BEST, 0, 1_900), (OTHER, 1_721, gone_at), (BEST, 5_943, END))
        return rules(KILL, held, KILLED, struck(Kind.ENGINE, OTHER, 5_990, 6_990))

    assert found(6_015) == set()
    assert found(6_200) == {"left behind"}


def test_replaced_engine_of_an_active_node_resumes() -> None:
    def found(*lines: tuple[int, int, str, str]) -> set[str]:
        engine = struck(Kind.ENGINE, BEST, 1_000, 2_000)
        return rules(turns(*lines), holding((BEST, 0, END)), engine)

    assert found() == set()
    restarted = (1_020, BEST, "Backup", "Startup"), (1_663, BEST, "Active", DOWN)
    assert "did not resume" in found(*restarted)


def test_what_a_machine_that_stood_still_explains_is_excused() -> None:
    held = holding((BEST, 0, 2_000), (BEST, 2_100, END))
    assert rules(turns(), held) != set()
    assert rules(turns(), held, stalls=[(1_900 * MS, 2_050 * MS)]) == set()


def test_engines_begin_only_where_one_was_ended() -> None:
    faults = (KILLED, struck(Kind.ENGINE, OTHER, 1_000, 2_000))
    planted = [(5_300 * MS, BEST), (1_010 * MS, OTHER)]
    assert unplanted_starts(planted, faults, ALLOWED, 0) == []
    for more in ((6_000 * MS, BEST), (900 * MS, OTHER)):
        assert len(unplanted_starts([*planted, more], faults, ALLOWED, 0)) == 1


def test_figures_are_those_of_the_story() -> None:
    spans = (BEST, 0, 1_500), (OTHER, 1_721, 5_994), (BEST, 5_943, END)
    election = Election("vip", (200, 100), 200 * MS)
    run = Run(election, KILL, holding(*spans), [KILLED], 0, END * MS)
    figures = Judge(run, ALLOWED).figures()
    assert (figures.nobody_ns, figures.nobody_longest_ns) == (221 * MS, 221 * MS)
    assert (figures.several_ns, figures.several_longest_ns) == (51 * MS, 51 * MS)
    assert (figures.transitions, figures.calms) == (4, 1)
    assert figures.settled_longest_ns == 644 * MS
