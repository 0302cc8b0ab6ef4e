"""Stories of two operators, of which one decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.messages import Messages
from tests.simulation.messages_story import CALM, begin
from tests.simulation.settings import MS, SECOND
from tests.simulation.sim_elector import SimulatedElector
from tests.simulation.sim_operator import SimulatedOperator
from tests.simulation.story import expect

from vrrp_operator.lead.leadership import DURATION_S

_TWO = replace(CALM, machines=5, operators=2, longest_ms=200)
_TAKEN_S = DURATION_S + 4
"""Its duration, a claim that gets no answer, and the next one."""


def who_cannot_renew_writes_no_more() -> None:
    """Its Lease is taken; it hears nothing of that, and everything else reaches it."""
    story, leader, other = _two()
    _elector(leader).cut_off = True
    story.lan.run_for(_TAKEN_S * SECOND)
    expect(_elector(other).leads(), "nobody took over")
    expect(not _elector(leader).leads(), "the former leader leads yet")
    _edit(story)
    _elector(leader).cut_off = False
    story.lan.run_for(60 * SECOND)
    expect(_elector(other).leads(), "it gave the Lease back")


def what_a_stopped_leader_was_sending_is_refused_as_it_goes_on() -> None:
    """What it was made from is no more: another one led meanwhile, and wrote."""
    story, leader, other = _two()
    story.vip.write(preemption={"mode": "Never"})
    while not leader.is_writing:
        story.lan.run_for(MS)
    leader.came_late.clear()
    leader.stand_still(story.lan.now_ns + 30 * SECOND)
    story.vip.write(preemption={"mode": "Always"})
    story.lan.run_for(_TAKEN_S * SECOND)
    expect(_elector(other).leads(), "nobody took over")
    story.lan.run_for(60 * SECOND)
    expect(leader.came_late == [False], f"done: {leader.came_late}")
    expect(_elector(other).leads(), "it gave the Lease back")


def who_takes_over_from_one_that_died_moves_nothing() -> None:
    """Whatever the dead one was about to write."""
    story, leader, other = _two()
    holder = next(m for m in story.machines if m.seats[0].active)
    for machine in story.machines:
        if machine is not holder:
            story.set_apart(machine)
            break
    story.lan.run_for(SECOND // 10)
    leader.end()
    story.lan.run_for(60 * SECOND)
    expect(_elector(other).leads(), "nobody took over")
    expect(not story.oracles.takeovers, f"took over: {story.oracles.takeovers}")


def _two() -> tuple[Messages, SimulatedOperator, SimulatedOperator]:
    """Return a settled cluster, the operator that leads, and the one that stands by."""
    story, _, _ = begin(_TWO)
    one, two = story.operators
    leads = [_elector(operator).leads() for operator in (one, two)]
    expect(sum(leads) == 1, f"lead: {leads}")
    return (story, one, two) if leads[0] else (story, two, one)


def _elector(operator: SimulatedOperator) -> SimulatedElector:
    assert operator.elector is not None
    return operator.elector


def _edit(story: Messages) -> None:
    """Have nodes leave and come, so that every NodeConfig is written."""
    for machine in (*story.machines[:3], *story.machines[:3]):
        story.set_apart(machine)
        story.lan.run_for(10 * SECOND)


OPERATOR_SCENARIOS: tuple[Callable[[], None], ...] = (
    who_cannot_renew_writes_no_more,
    what_a_stopped_leader_was_sending_is_refused_as_it_goes_on,
    who_takes_over_from_one_that_died_moves_nothing,
)
