"""What stories of ``messages`` are told with: a settled cluster, and who is Active in it."""

from __future__ import annotations

from tests.simulation.machine import Machine
from tests.simulation.messages import Messages
from tests.simulation.messages_draw import Draw
from tests.simulation.settings import SECOND
from tests.simulation.story import expect

CALM = Draw(4, 5, 1_000, 1, calm=True, preempt=True, signed=False, leases=True)
_BEGUN_S = 120
"""Also where writes are lost, and waited for."""
LAST: list[Messages] = []
"""The clusters of the running story, for the timeline of a failure."""


def begin(
    drawn: Draw = CALM, seed: int = 0, ignorant: tuple[str, ...] | None = None
) -> tuple[Messages, Machine, list[Machine]]:
    """Return a settled cluster, who is Active in its first election, and the others."""
    story = Messages(seed, drawn, ignorant)
    LAST.append(story)
    story.lan.run_until(_BEGUN_S * SECOND)
    (holder,) = [machine for machine in story.machines if machine.seats[0].active]
    for oracles in story.oracles_of.values():
        oracles.takeovers.clear()
    return story, holder, [m for m in story.machines if m is not holder]


def begin_alone(drawn: Draw = CALM, seed: int = 0) -> tuple[Messages, Machine, list[Machine]]:
    """Return a cluster whose first election has lost all others, a minute after they were told."""
    story, holder, others = begin(drawn, seed)
    for machine in others:
        story.unselect(machine)
    story.lan.run_for(60 * SECOND)
    return story, holder, others


def cut_off(*machines: Machine) -> None:
    """Cut machines off from the API server."""
    for machine in machines:
        machine.lose_api()


def heal(story: Messages, *machines: Machine) -> None:
    """Let machines reach the API server again, for a minute."""
    for machine in machines:
        machine.reconnect(story.lan.now_ns)
    story.lan.run_for(60 * SECOND)


def expect_no_takeover(story: Messages) -> None:
    """Nothing moved in the first election."""
    expect(not story.oracles.takeovers, f"took over: {story.oracles.takeovers}")


def listed_by(*machines: Machine) -> set[str]:
    """Return whom machines were asked to list in the first election."""
    return {p.node for m in machines if m.router is not None for p in m.router.peers}
