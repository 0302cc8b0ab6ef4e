"""Wall clocks that step by an hour, and nodes that meet for the first time after it.

Told twice: with nodes that go by the wall clock wherever it steps, and with nodes that read it once
at their start and count on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tests.simulation.settings import SECOND
from tests.simulation.story import HOUR_NS, Story, acquaintances, expect, play

from vrrp.validation import Datagram


def stepped_clock_before_a_first_takeover(*, anchored: bool) -> None:
    """A Backup an hour off takes over for the first time; the other Backup must hear it."""
    for stepped in (1, 2):
        for step_ns in (HOUR_NS, -HOUR_NS):
            story = Story(200, 150, 100, anchored=anchored)
            story.settle()
            story.nodes[stepped].wall_offset_ns = step_ns
            story.nodes[0].crash(story.lan.now_ns)
            story.run(20)
            expect(story.lan.active() == [1], f"Active are {story.lan.active()}")


def stepped_clock_and_a_peer_that_restarts(*, anchored: bool) -> None:
    """The Active Router's clock jumped; a peer that lost its memory must hear it."""
    for step_ns in (HOUR_NS, -HOUR_NS):
        story = acquaintances(anchored=anchored)
        story.nodes[0].wall_offset_ns = step_ns
        story.run(5)
        story.nodes[1].crash(story.lan.now_ns)
        story.nodes[1].forget(0)
        story.nodes[1].start(story.lan.now_ns)
        story.run(20)
        expect(story.lan.active() == [0], f"Active are {story.lan.active()}")


def stepped_clock_and_a_replay(*, anchored: bool) -> None:
    """A receiver's clock goes back to when something was captured; that stays a replay."""
    story = Story(200, 100, anchored=anchored)
    captured: list[Datagram] = []
    story.nodes[1].on_accept = lambda _, datagram: captured.append(datagram)
    story.settle()
    early = captured[:2]
    story.run(100)
    story.nodes[1].wall_offset_ns = -100 * SECOND
    play(story, early)


_CLOCK_STORIES = (
    stepped_clock_before_a_first_takeover,
    stepped_clock_and_a_peer_that_restarts,
    stepped_clock_and_a_replay,
)
CLOCK_SCENARIOS: Mapping[str, Callable[[], None]] = {
    f"{story.__name__}[{'anchored' if anchored else 'followed'}]": partial(story, anchored=anchored)
    for story in _CLOCK_STORIES
    for anchored in (False, True)
}
"""What happens to strangers when wall clocks step, with clocks followed and anchored."""
