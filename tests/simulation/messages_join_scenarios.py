"""Stories of nodes that join elections, or come in the place of others, each with one outcome."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.messages_cluster import SECOND_ELECTION
from tests.simulation.messages_story import (
    CALM,
    begin,
    begin_alone,
    cut_off,
    expect_no_takeover,
    heal,
    listed_by,
)
from tests.simulation.settings import SECOND
from tests.simulation.story import expect

_TWO_OF_THREE = replace(CALM, machines=3, candidates=2)
_GONE_S = 330
_LATE_TO_JOIN = 6
"""A seed with which a node takes in that it is to join after it was told to leave."""


def a_holder_that_is_heard_is_not_replaced() -> None:
    """It is out of the operator's reach for ten minutes, and has the addresses all the time."""
    story, holder, others = begin(_TWO_OF_THREE)
    (spare,) = [machine for machine in others if machine.slot is None]
    cut_off(holder)
    story.lan.run_for(600 * SECOND)
    expect(spare.slot is None, "another one has joined")
    heal(story, holder)
    expect_no_takeover(story)


def who_joins_beside_one_that_is_gone_is_not_put_above_it() -> None:
    """It cannot be told, and would be Active itself if it heard nobody that it knows."""
    story, holder, others = begin(_TWO_OF_THREE)
    (gone,) = [machine for machine in others if machine.slot is not None]
    (spare,) = [machine for machine in others if machine.slot is None]
    cut_off(gone)
    story.lan.run_for(_GONE_S * SECOND)
    expect(spare.slot is not None, "nobody has joined in its place")
    expect(gone.name in listed_by(holder) & listed_by(spare), "it is not listed any more")
    story.vip.annotate(handover_to=spare.name)
    story.lan.run_for(60 * SECOND)
    expect_no_takeover(story)


def who_is_dropped_and_cannot_be_told_is_a_member_by_its_signature() -> None:
    """Its Node is deleted while it has lost the API server alone: none is Active beside it."""
    story, holder, others = begin(replace(CALM, signed=True, own_keys=True), ignorant=())
    cut_off(holder)
    story.lan.run_for(60 * SECOND)
    story.api.delete("nodes", holder.name)
    story.lan.run_for(600 * SECOND)
    expect(holder.name not in listed_by(*others), "it is listed yet")
    expect_no_takeover(story)
    heal(story, holder)
    expect(holder.slot is None, "it runs the election yet")
    active = [machine.name for machine in others if machine.active]
    expect(len(active) == 1, f"Active are {active}")


def a_node_that_may_join_yet_is_known_by_its_old_address() -> None:
    """It was asked to join, then not to, and takes the first in when it has another address."""
    story, _, others = begin(replace(CALM, longest_ms=30_000), _LATE_TO_JOIN)
    machine = others[0]
    story.unselect(machine)
    story.lan.run_for(60 * SECOND)
    expect(machine.slot is None, "it runs the election yet")
    story.unselect(machine)
    for _ in range(600):
        story.lan.run_for(SECOND // 10)
        if story.api.objects["nodeconfigs"][machine.name]["spec"]["virtualRouters"]:
            break
    story.unselect(machine)
    story.readdress(machine)
    story.lan.run_for(120 * SECOND)
    expect(machine.slot is None, "it runs the election yet")


def who_was_alone_and_cannot_be_told_is_known_by_its_old_address() -> None:
    """Whoever joins when it counts as gone lists it where it is."""
    story, holder, others = begin_alone()
    cut_off(holder)
    story.lan.run_for(60 * SECOND)
    story.readdress(holder)
    story.lan.run_for(60 * SECOND)
    story.unselect(holder)
    story.unselect(others[0])
    story.lan.run_for(230 * SECOND)
    expect(others[0].slot is not None, "nobody has joined in its place")
    heal(story, holder)
    expect(holder.slot is None, "it runs the election yet")
    expect(others[0].active, "nobody has the addresses")


def who_was_silent_before_the_operator_began_is_known_by_its_old_address() -> None:
    """To an operator that has just begun everybody seems to report."""
    story, holder, others = begin_alone()
    cut_off(holder)
    story.lan.run_for(60 * SECOND)
    story.operators[0].end()
    story.begin_operator(0)
    story.readdress(holder)
    story.lan.run_for(60 * SECOND)
    story.unselect(holder)
    story.unselect(others[0])
    story.lan.run_for(_GONE_S * SECOND)
    expect(others[0].slot is not None, "nobody has joined in its place")
    heal(story, holder)
    expect(holder.slot is None, "it runs the election yet")
    expect(others[0].active, "nobody has the addresses")


def nobody_leaves_for_one_that_is_on_its_way() -> None:
    """The only one that is wanted is to leave another election for its new address first."""
    story, _, others = begin(replace(CALM, second=4))
    here, coming = others[:2]
    for machine in story.machines:
        if machine is not here:
            story.unselect(machine, SECOND_ELECTION)
    story.lan.run_for(60 * SECOND)
    expect(here.seats[1].active, "another one has the addresses")
    cut_off(coming)
    story.readdress(coming)
    story.unselect(coming, SECOND_ELECTION)
    story.unselect(here, SECOND_ELECTION)
    story.lan.run_for(60 * SECOND)
    expect(here.seats[1].active, "it left, and nobody is there")
    heal(story, coming)
    story.lan.run_for(60 * SECOND)
    expect(here.seats[1].slot is None, "it runs the election yet")
    expect(coming.seats[1].active, "nobody has the addresses")


JOIN_SCENARIOS = (
    a_holder_that_is_heard_is_not_replaced,
    who_joins_beside_one_that_is_gone_is_not_put_above_it,
    who_is_dropped_and_cannot_be_told_is_a_member_by_its_signature,
    a_node_that_may_join_yet_is_known_by_its_old_address,
    who_was_alone_and_cannot_be_told_is_known_by_its_old_address,
    who_was_silent_before_the_operator_began_is_known_by_its_old_address,
    nobody_leaves_for_one_that_is_on_its_way,
)
