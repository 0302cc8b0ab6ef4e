"""Stories of nodes that lose the API server and nothing else, each with one outcome."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.messages import Messages
from tests.simulation.messages_join_scenarios import JOIN_SCENARIOS
from tests.simulation.messages_leave_scenarios import LEAVE_SCENARIOS
from tests.simulation.messages_link_scenarios import LINK_SCENARIOS
from tests.simulation.messages_operator_scenarios import OPERATOR_SCENARIOS
from tests.simulation.messages_story import (
    CALM,
    LAST,
    begin,
    begin_alone,
    cut_off,
    expect_no_takeover,
    heal,
    listed_by,
)
from tests.simulation.settings import SECOND
from tests.simulation.sim_operator import KEY_REF
from tests.simulation.simulation import Failure
from tests.simulation.story import expect
from tests.simulation.timeline import OracleViolation

from vrrp.actions import StateChanged
from vrrp.constants import State

_TEN_MINUTES_S = 600
_LATE_TO_LOAD = 47
"""A seed with which a node loads what it kept after others were told, and before it is told."""
_LATE_TO_LEAVE = 2
"""A seed with which one of two that leave says so before the other one has heard of it."""


def whoever_is_cut_off_for_ten_minutes_moves_nothing() -> None:
    """The holder, a Backup, both: with the LAN whole nobody notices."""
    for places in ((0,), (1,), (0, 1, 2)):
        story, holder, others = begin()
        away = [[holder, *others][place] for place in places]
        cut_off(*away)
        story.lan.run_for(_TEN_MINUTES_S * SECOND)
        heal(story, *away)
        expect_no_takeover(story)


def a_cut_off_holder_that_is_to_leave_yields() -> None:
    """It cannot be told, moves by the protocol once, and is dropped when it can."""
    for preempt in (True, False):
        story, holder, others = begin(replace(CALM, preempt=preempt))
        cut_off(holder)
        story.lan.run_for(10 * SECOND)
        story.set_apart(holder)
        story.lan.run_for(_TEN_MINUTES_S * SECOND)
        expect(not holder.active, "it is Active yet")
        expect(len(story.oracles.takeovers) == 1, f"took over: {story.oracles.takeovers}")
        heal(story, holder)
        expect(holder.slot is None, "it runs the election yet")
        expect(holder.name not in listed_by(*others), "it is listed yet")
        expect(len(story.oracles.takeovers) == 1, f"took over: {story.oracles.takeovers}")


def a_backup_leaves_beside_a_holder_that_cannot_report() -> None:
    """Nobody is put above a holder that stays."""
    story, holder, others = begin()
    cut_off(holder)
    story.lan.run_for(60 * SECOND)
    story.set_apart(others[0])
    story.lan.run_for(60 * SECOND)
    heal(story, holder)
    expect(others[0].slot is None, "it runs the election yet")
    expect_no_takeover(story)


def who_was_told_to_leave_in_vain_is_known_by_its_old_address() -> None:
    """It runs yet, from there; who begins when it counts as gone lists it so."""
    story, holder, others = begin_alone()
    cut_off(holder)
    story.unselect(holder)
    story.lan.run_for(20 * SECOND)
    story.readdress(holder)
    story.lan.run_for(330 * SECOND)
    story.unselect(others[0])
    story.lan.run_for(60 * SECOND)
    expect(others[0].slot is not None, "nobody begins in its place")
    heal(story, holder)
    expect(holder.slot is None, "it runs the election yet")
    expect(others[0].active, "nobody has the addresses")


def an_older_status_that_came_late_is_written_over() -> None:
    """Its node says again what it runs, or others would wait for it for ever."""
    story, _, others = begin()
    machine = others[0]
    old = story.api.objects["nodeconfigs"][machine.name]["status"]
    story.vip.write(candidates=2)
    story.lan.run_for(60 * SECOND)
    newest = story.api.objects["nodeconfigs"][machine.name]["status"]
    expect(old["observedGeneration"] < newest["observedGeneration"], "nothing was told")
    story.api.put("nodeconfigs", machine.name, status=old)
    story.lan.run_for(60 * SECOND)
    newest = story.api.objects["nodeconfigs"][machine.name]
    generations = newest["status"]["observedGeneration"], newest["metadata"]["generation"]
    expect(generations[0] == generations[1], f"told and asked: {generations}")


def a_write_of_an_operator_that_ended_comes_too_late() -> None:
    """What it decided from may be another thing by now, though nobody wrote there since."""
    story, holder, _ = begin()
    found = story.api.objects["nodeconfigs"][holder.name]
    story.operators[0].end()
    story.lan.run_for(20 * SECOND)
    story.begin_operator(0)
    story.lan.run_for(20 * SECOND)
    version = found["metadata"]["resourceVersion"]
    wrote = story.api.apply("nodeconfigs", holder.name, found["spec"], version)
    expect(not wrote, "it was done")


def who_was_alone_and_comes_back_is_not_forgotten() -> None:
    """Its speaker, an older one, reports before it has loaded what it ran; that has changed."""
    story, holder, others = begin_alone(replace(CALM, longest_ms=30_000), _LATE_TO_LOAD)
    holder.crash(story.lan.now_ns)
    holder.reporter.is_older = True
    story.unselect(holder)
    story.unselect(others[0])
    story.lan.run_for(10 * SECOND)
    holder.start(story.lan.now_ns)
    story.lan.run_for(120 * SECOND)
    expect(holder.slot is None, "it runs the election yet")
    expect(others[0].active, "nobody has the addresses")


def signatures_wait_for_a_backup_that_cannot_be_told() -> None:
    """Whoever does not know them yet goes on hearing the others, and is heard."""
    story, _, others = begin()
    cut_off(others[0])
    story.vip.sign("own")
    story.lan.run_for(120 * SECOND)
    heal(story, others[0])
    story.lan.run_for(60 * SECOND)
    expect_no_takeover(story)
    _expect_signed(story, "own")


def nobody_is_let_in_again_that_left_for_another_key() -> None:
    """Nobody hears both keys: all but the holder leave, it changes, and they join again, once."""
    story, _, others = begin(replace(CALM, signed=True), _LATE_TO_LEAVE)
    begun = {machine.name: 0 for machine in others}

    def count(_now_ns: int, index: int, change: StateChanged) -> None:
        for machine in others:
            mine = any(slot.index == index for slot in machine.seats[0].slots)
            begun[machine.name] += mine and change.before is State.INITIALIZE

    story.lan.watchers.append(count)
    cut_off(others[0])
    story.vip.sign("other")
    story.lan.run_for(60 * SECOND)
    heal(story, others[0])
    story.lan.run_for(120 * SECOND)
    expect_no_takeover(story)
    expect(set(begun.values()) == {1}, f"began: {begun}")
    _expect_signed(story, "other")


def the_key_of_its_own_waits_for_every_speaker() -> None:
    """An election comes to it once all know such keys, with everybody hearing everybody."""
    drawn = replace(CALM, signed=True, own_keys=True)
    story, _, _ = begin(drawn, ignorant=("node-2",))
    _expect_signed(story, KEY_REF)
    story.machines[1].upgrade(story.lan.now_ns)
    story.lan.run_for(120 * SECOND)
    expect_no_takeover(story)
    _expect_signed(story, KEY_REF, "Require")


def an_older_speakers_status_that_came_late_parts_nobody() -> None:
    """It says of the holder that it does not know the key that the election has by now."""
    drawn = replace(CALM, signed=True, own_keys=True)
    story, holder, _ = begin(drawn, ignorant=tuple(f"node-{n + 1}" for n in range(4)))
    old = story.api.objects["nodeconfigs"][holder.name]["status"]
    for machine in story.machines:
        machine.upgrade(story.lan.now_ns)
    story.lan.run_for(60 * SECOND)  # later than that no write is done
    _expect_signed(story, KEY_REF, "Require")
    story.api.put("nodeconfigs", holder.name, status=old)
    story.lan.run_for(60 * SECOND)
    expect_no_takeover(story)
    _expect_signed(story, KEY_REF, "Require")


def _expect_signed(story: Messages, key: str, own: str | None = None) -> None:
    for machine in story.machines:
        said = machine.router.election.authentication if machine.router is not None else None
        expect(said is not None, f"{machine.name} does not run the election")
        assert said is not None
        right = (said.key_ref, said.mode, said.election_key) == (key, "Enforce", own)
        expect(right, f"{machine.name} has {said}")


MESSAGES_SCENARIOS: dict[str, Callable[[], None]] = {
    scenario.__name__: scenario
    for scenario in (
        whoever_is_cut_off_for_ten_minutes_moves_nothing,
        a_cut_off_holder_that_is_to_leave_yields,
        a_backup_leaves_beside_a_holder_that_cannot_report,
        who_was_told_to_leave_in_vain_is_known_by_its_old_address,
        an_older_status_that_came_late_is_written_over,
        a_write_of_an_operator_that_ended_comes_too_late,
        who_was_alone_and_comes_back_is_not_forgotten,
        signatures_wait_for_a_backup_that_cannot_be_told,
        nobody_is_let_in_again_that_left_for_another_key,
        the_key_of_its_own_waits_for_every_speaker,
        an_older_speakers_status_that_came_late_parts_nobody,
        *JOIN_SCENARIOS,
        *LEAVE_SCENARIOS,
        *LINK_SCENARIOS,
        *OPERATOR_SCENARIOS,
    )
}


def run_messages_scenario(name: str) -> Failure | None:
    """Run a scenario; return what went wrong, or None."""
    LAST.clear()
    try:
        MESSAGES_SCENARIOS[name]()
    except OracleViolation as violation:
        rule = str(violation)
    except Exception:
        rule = traceback.format_exc()
    else:
        return None
    text = LAST[-1].lan.timeline.text(150) if LAST else ""
    return Failure(name, rule, text, f"--story {name}")
