"""Stories of nodes that leave elections, for good or for a moment, each with one outcome."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.messages_story import CALM, begin
from tests.simulation.settings import SECOND
from tests.simulation.sim_operator import KEY_REF
from tests.simulation.story import expect

from vrrp.actions import StateChanged
from vrrp.constants import State

_BOOTS_INTO_IT = 1
"""A seed with which a node loads the newest configuration before the one that it had kept."""
_TOLD_FIRST = 2
"""A seed with which a leaver would load what takes its router before its successor is Active."""
_BOTH_MATTER = 58
"""A seed with whose delays each of two steps matters that are left out one by one."""


def who_leaves_goes_when_another_one_has_the_addresses() -> None:
    """It yields as a Backup of the election, and only then gives its router up."""
    story, holder, _ = begin(seed=_TOLD_FIRST)
    slot = holder.slot
    assert slot is not None
    became: list[State] = []

    def note(_now_ns: int, index: int, change: StateChanged) -> None:
        if index == slot.index:
            became.append(change.after)

    story.lan.watchers.append(note)
    story.set_apart(holder)
    story.lan.run_for(60 * SECOND)
    expect(became == [State.BACKUP, State.INITIALIZE], f"it became {became}")


def a_successor_that_boots_into_what_it_is_asked_takes_over() -> None:
    """Nothing changes for it then, and by priority alone it does not preempt."""
    drawn = replace(CALM, machines=3, candidates=2, preempt=False)
    story, holder, others = begin(drawn, _BOOTS_INTO_IT)
    (successor,) = [machine for machine in others if machine.slot is not None]
    (spare,) = [machine for machine in others if machine.slot is None]
    story.unselect(spare)
    story.set_apart(holder)
    for _ in range(600):
        story.lan.run_for(SECOND // 100)
        (router,) = story.api.objects["nodeconfigs"][successor.name]["spec"]["virtualRouters"]
        if "takeOver" in router:
            break
    successor.crash(story.lan.now_ns)
    story.lan.run_for(2 * SECOND)
    successor.start(story.lan.now_ns)
    story.lan.run_for(120 * SECOND)
    expect(successor.active, "it has not taken over")
    expect(holder.slot is None, "it runs the election yet")


def a_leaver_gives_its_key_up_for_a_successor_that_does_not_know_it() -> None:
    """An older speaker joins an election that is signed without a key of its own, or never."""
    drawn = replace(CALM, signed=True, own_keys=True)
    story, holder, others = begin(drawn, _BOTH_MATTER, ignorant=("node-4",))
    coming = story.machines[3]
    if coming is holder:
        holder = others[0]
    for machine in story.machines:
        if machine is not holder:
            story.unselect(machine)
    story.lan.run_for(60 * SECOND)
    said = holder.router.election.authentication if holder.router is not None else None
    expect(said is not None and said.key_ref == KEY_REF, f"it has {said}")
    expect(said is not None and said.election_key == "Require", f"it has {said}")
    story.unselect(holder)
    story.unselect(coming)
    story.lan.run_for(120 * SECOND)
    expect(coming.active, "it has not joined")
    expect(holder.slot is None, "it runs the election yet")


def nodes_that_all_get_other_addresses_take_them_in_turn() -> None:
    """Somebody runs the election all the time."""
    story, _, _ = begin()
    for machine in story.machines:
        story.readdress(machine)
    for _ in range(240):
        story.lan.run_for(SECOND // 2)
        expect(any(machine.slot is not None for machine in story.machines), "nobody runs it")
    for machine in story.machines:
        taken = machine.slot is story.slot_of(machine, machine.seats[0])
        expect(taken, f"{machine.name} has its old address yet")


LEAVE_SCENARIOS = (
    who_leaves_goes_when_another_one_has_the_addresses,
    a_successor_that_boots_into_what_it_is_asked_takes_over,
    a_leaver_gives_its_key_up_for_a_successor_that_does_not_know_it,
    nodes_that_all_get_other_addresses_take_them_in_turn,
)
