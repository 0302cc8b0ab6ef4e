"""Wall clocks that step by an hour, nodes that meet for the first time after it, and late boots."""

from __future__ import annotations

from tests.simulation.settings import SECOND
from tests.simulation.story import HOUR_NS, Story, acquaintances, expect, play

from vrrp.validation import Datagram

_SETTLED_S = 600


def stepped_clock_before_a_first_takeover() -> None:
    """A Backup an hour off takes over for the first time; the other Backup must hear it."""
    for stepped in (1, 2):
        for step_ns in (HOUR_NS, -HOUR_NS):
            story = Story(200, 150, 100)
            story.settle()
            story.nodes[stepped].wall_offset_ns = step_ns
            story.nodes[0].crash(story.lan.now_ns)
            story.run(20)
            expect(story.lan.active() == [1], f"Active are {story.lan.active()}")


def stepped_clock_and_a_peer_that_restarts() -> None:
    """The Active Router's clock jumped; a peer that lost its memory must hear it."""
    for step_ns in (HOUR_NS, -HOUR_NS):
        story = acquaintances()
        story.nodes[0].wall_offset_ns = step_ns
        story.run(5)
        story.nodes[1].crash(story.lan.now_ns)
        story.nodes[1].forget(0)
        story.nodes[1].start(story.lan.now_ns)
        story.run(20)
        expect(story.lan.active() == [0], f"Active are {story.lan.active()}")


def stepped_clock_and_a_replay() -> None:
    """A receiver's clock goes back to when something was captured; that stays a replay."""
    story = Story(200, 100)
    captured: list[Datagram] = []
    story.nodes[1].on_accept = lambda _, datagram: captured.append(datagram)
    story.settle()
    early = captured[:2]
    story.run(100)
    story.nodes[1].wall_offset_ns = -100 * SECOND
    play(story, early)


def clock_that_is_put_right_after_boot() -> None:
    """A node boots with a wrong clock; once that is right, everybody hears each other."""
    for booted in (0, 2):
        for wrong_ns in (HOUR_NS, -HOUR_NS, 100 * SECOND, -31 * SECOND, -20_000 * HOUR_NS):
            story = acquaintances()
            node = story.nodes[booted]
            node.crash(story.lan.now_ns, power=True)
            story.run(5)
            node.boot(story.lan.now_ns, 20 * SECOND)
            node.forget(wrong_ns)
            node.start(story.lan.now_ns)
            story.run(10)
            node.wall_offset_ns = 0
            story.run(10)
            expect(story.lan.active() == [0], f"Active are {story.lan.active()}")
            story.nodes[1].crash(story.lan.now_ns)
            story.nodes[1].forget(0)
            story.nodes[1].start(story.lan.now_ns)
            story.run(10)
            expect(story.lan.active() == [0], f"to a stranger {story.lan.active()} are Active")


def clock_that_goes_wrong_while_it_settles() -> None:
    """Who was heard before stays heard, even by a node that follows its clock."""
    for step_ns in (HOUR_NS, -HOUR_NS):
        story = Story(200, 150)
        story.nodes[1].crash(0, power=True)
        story.nodes[1].boot(0, 20 * SECOND)
        story.nodes[1].start(0)
        story.settle()
        story.nodes[1].wall_offset_ns = step_ns
        story.run(10)
        story.oracle.check_quiet()


def clock_that_is_put_right_a_little() -> None:
    """The sequence counts on from where a clock was that was only some seconds ahead."""
    story = acquaintances()
    story.nodes[0].crash(story.lan.now_ns, power=True)
    story.run(5)
    story.nodes[0].boot(story.lan.now_ns, 20 * SECOND)
    story.nodes[0].forget(20 * SECOND)
    story.nodes[0].start(story.lan.now_ns)
    story.run(10)
    story.nodes[0].wall_offset_ns = 0
    story.oracle.begin_stage()
    story.run(30)
    story.oracle.check_quiet()


def engine_replaced_while_its_sequence_is_ahead() -> None:
    """The successor counts on where it stood, although its clock is behind."""
    story = acquaintances()
    story.nodes[0].crash(story.lan.now_ns, power=True)
    story.run(5)
    story.nodes[0].boot(story.lan.now_ns, 20 * SECOND)
    story.nodes[0].forget(29 * SECOND)
    story.nodes[0].start(story.lan.now_ns)
    story.run(10)
    story.nodes[0].wall_offset_ns = 0
    story.run(2)
    story.nodes[0].crash(story.lan.now_ns)
    story.nodes[0].start(story.lan.now_ns, resume=True)
    story.run(2)
    expect(story.lan.active() == [0], f"Active are {story.lan.active()}")


def stepped_clock_when_it_had_settled() -> None:
    """Some minutes after boot a clock is right, and is not followed any more."""
    for step_ns in (HOUR_NS, -HOUR_NS):
        story = Story(200, 150, 100)
        story.nodes[1].crash(0, power=True)
        story.nodes[1].boot(0, (_SETTLED_S - 20) * SECOND)
        story.nodes[1].forget(0)
        story.nodes[1].start(0)
        story.settle()
        story.run(20)
        story.nodes[1].wall_offset_ns = step_ns
        story.nodes[0].crash(story.lan.now_ns)
        story.run(20)
        expect(story.lan.active() == [1], f"Active are {story.lan.active()}")


CLOCK_SCENARIOS = (
    stepped_clock_before_a_first_takeover,
    stepped_clock_and_a_peer_that_restarts,
    stepped_clock_and_a_replay,
    clock_that_is_put_right_after_boot,
    clock_that_goes_wrong_while_it_settles,
    clock_that_is_put_right_a_little,
    engine_replaced_while_its_sequence_is_ahead,
    stepped_clock_when_it_had_settled,
)
