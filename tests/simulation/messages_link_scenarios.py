"""Stories of what nodes hear on their links, and how they speak there, each with one outcome."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.messages import Messages
from tests.simulation.messages_cluster import SECOND_ELECTION
from tests.simulation.messages_story import CALM, begin, cut_off, expect_no_takeover, heal
from tests.simulation.settings import SECOND
from tests.simulation.story import expect


def a_cut_of_the_other_link_moves_what_is_there_alone() -> None:
    """One election's advertisements are on one link, its addresses and the other's on the other."""
    story, _, _ = begin(replace(CALM, across=True, second=6))
    (other_holder,) = [m for m in story.machines if m.seats[1].active]
    numbers = range(len(story.machines))
    mine = story.machines.index(other_holder)
    cut = story.links[1].cut(mine, [number for number in numbers if number != mine])
    story.lan.run_for(30 * SECOND)
    expect_no_takeover(story)
    active = [m.name for m in story.machines if m.seats[1].active]
    expect(len(active) == 2, f"Active beyond the cut are {active}")
    story.links[1].mend(cut)
    story.lan.run_for(10 * SECOND)
    active = [m.name for m in story.machines if m.seats[1].active]
    expect(active == [other_holder.name], f"Active after it are {active}")
    expect_no_takeover(story)
    told = story.oracles_of[SECOND_ELECTION].takeovers
    expect(len(told) == 1, f"took over: {told}")


def who_is_heard_by_some_only_is_active_beside_one_that_it_cannot_hear() -> None:
    """Three in a row: the ends cannot know of each other, who is between hears both."""
    story, holder, others = begin(replace(CALM, machines=3))
    ranked = sorted(others, key=lambda m: m.slot.priority if m.slot is not None else 0)
    end = ranked[0]
    cut = story.links[0].cut(story.machines.index(end), [story.machines.index(holder)])
    story.lan.run_for(30 * SECOND)
    expect_active(story, {holder.name, end.name})
    story.links[0].mend(cut)
    story.lan.run_for(10 * SECOND)
    expect_active(story, {holder.name})


def who_hears_the_holder_and_is_not_heard_stays_backup() -> None:
    """The other way round it is Active, and yields once it hears."""
    story, holder, others = begin()
    mine, away = story.machines.index(holder), story.machines.index(others[0])
    cut = story.links[0].cut(away, [mine], back=False)
    story.lan.run_for(30 * SECOND)
    expect_no_takeover(story)
    story.links[0].mend(cut)
    cut = story.links[0].cut(away, [mine], to=False)
    story.lan.run_for(30 * SECOND)
    expect_active(story, {holder.name, others[0].name})
    story.links[0].mend(cut)
    story.lan.run_for(10 * SECOND)
    expect_active(story, {holder.name})
    expect(len(story.oracles.takeovers) == 1, f"took over: {story.oracles.takeovers}")


def the_version_changes_on_one_alone_and_waits_for_who_is_not_told() -> None:
    """Nobody hears both: all but the holder leave, it changes, and they join again."""
    for version in (2, 3):
        story, holder, others = begin(replace(CALM, longest_ms=5_000))
        if version == 3:
            story.vip.write(version=2)
            story.lan.run_for(120 * SECOND)
        story.oracles.takeovers.clear()
        cut_off(others[0])
        story.vip.write(version=version)
        story.lan.run_for(120 * SECOND)
        expect_no_takeover(story)
        heal(story, others[0])
        story.lan.run_for(60 * SECOND)
        spoken = {m.slot.config.version for m in story.machines if m.slot is not None}
        expect(spoken == {version}, f"spoken are {spoken}")
        expect(all(m.slot is not None for m in story.machines), "somebody has not joined again")
        slots = [node for _, node in story.oracles.takeovers]
        expect(slots == [s.index for s in holder.seats[0].slots[:1]], f"took over: {slots}")


def expect_active(story: Messages, names: set[str]) -> None:
    """These are Active in the first election, and nobody else."""
    active = {machine.name for machine in story.machines if machine.seats[0].active}
    expect(active == names, f"Active are {sorted(active)}")


LINK_SCENARIOS = (
    a_cut_of_the_other_link_moves_what_is_there_alone,
    who_is_heard_by_some_only_is_active_beside_one_that_it_cannot_hear,
    who_hears_the_holder_and_is_not_heard_stays_backup,
    the_version_changes_on_one_alone_and_waits_for_who_is_not_told,
)
