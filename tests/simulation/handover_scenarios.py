"""Make before break: addresses that stay until a successor has them, and those that may not.

Hand-worked like all scenarios: the successor waits (256 − 150) / 256 of a second, everybody has the
addresses for 140 ms after it is heard, and nobody for more than an interval and the longest skew.
"""

from __future__ import annotations

from tests.simulation.faults import named
from tests.simulation.rightful import GRACE_NS
from tests.simulation.settings import MS, SECOND
from tests.simulation.story import Story, expect

from vrrp.constants import State
from vrrp.events import AdvertisementReceived

_DELIVERY_NS = 2 * MS


def expect_holders(story: Story, *holders: int) -> None:
    """Check which nodes have the addresses."""
    expect(story.lan.holders() == list(holders), f"addresses are on {story.lan.holders()}")


def expect_handed_over(story: Story) -> None:
    """Check that the addresses were somewhere always, and on two nodes for the grace."""
    holding = story.lan.holding
    holding.note(story.lan.now_ns)
    expect(holding.nobody_ns == 0, f"nobody had the addresses for {holding.nobody_ns / MS} ms")
    both_ns = holding.several_ns
    right = GRACE_NS <= both_ns <= GRACE_NS + _DELIVERY_NS
    expect(right, f"two had the addresses for {both_ns / MS} ms")


def planned_stop_is_seen_by_nobody() -> None:
    """The addresses are on the old node, then on both for the grace, then on the new one."""
    for version, interval_ns, down in ((3, SECOND, 3), (3, 100 * MS, 2), (2, 3 * SECOND, 3)):
        story = Story(200, 150, 100, version=version, interval_ns=interval_ns, down=down)
        story.settle()
        story.run(0.05)
        story.nodes[0].shut_down(story.lan.now_ns)
        skew_s = 106 / 256 * (1 if version == 2 else interval_ns / SECOND)
        story.run(skew_s - 0.005)
        expect_holders(story, 0)
        story.run(0.025)
        expect_holders(story, 0, 1)
        story.run(GRACE_NS / SECOND)
        expect_holders(story, 1)
        expect_handed_over(story)
        expect(story.nodes[0].router is None, "the stopped node does not end")


def clients_know_the_winner_whoever_hears_whom_first_after_a_cut() -> None:
    """The loser may hear the winner first, and step down before that has heard of it."""
    for version in (2, 3):
        for heal_ms in range(0, 1000, 50):
            story = Story(200, 150, version=version)
            story.settle()
            story.lan.blocked = {(0, 1), (1, 0)}
            story.run(6 + heal_ms / 1000)
            expect_holders(story, 0, 1)
            expect(story.lan.told == {0: 0, 1: 1}, f"clients think: {story.lan.told}")
            story.lan.blocked = set()
            story.run(1.01)  # an interval, and the way
            expect(story.lan.told == {0: 0, 1: 0}, f"clients think: {story.lan.told}")
            story.run(0.14)
            expect_holders(story, 0)


def stop_without_a_successor_ends() -> None:
    """Nobody takes over: the addresses go after an interval and the longest Skew_Time."""
    for version, interval_ns, bound_ns in (
        (3, SECOND, 1_996_093_750),
        (3, 100 * MS, 199_609_375),
        (2, 3 * SECOND, 3_996_093_750),
    ):
        story = Story(200, 100, version=version, interval_ns=interval_ns, down=5)
        story.settle()
        story.nodes[1].crash(story.lan.now_ns)
        story.nodes[0].shut_down(story.lan.now_ns)
        story.lan.run_for(bound_ns - MS)
        expect_holders(story, 0)
        story.lan.run_for(2 * MS)
        expect_holders(story)
        expect(story.nodes[0].router is None, "the stopped node does not end")


def fault_is_handed_over_and_a_lost_link_is_not() -> None:
    """A failing check keeps the addresses for the successor; a node without a link drops them."""
    for link in (False, True):
        story = Story(200, 150, 100)
        story.settle()
        story.nodes[0].set_fault(story.lan.now_ns, True, link=link)
        expect_holders(story, *(() if link else (0,)))
        story.run(1)
        expect_holders(story, 1)
        if not link:
            expect_handed_over(story)
        story.oracle.check_one_takeover(story.nodes[1])


def link_lost_while_handing_over() -> None:
    """Whatever was meant to stay goes with the link."""
    for stops in (False, True):
        story = Story(200, 150)
        story.settle()
        if stops:
            story.nodes[0].shut_down(story.lan.now_ns)
        else:
            story.nodes[0].set_fault(story.lan.now_ns, True)
        story.run(0.1)
        story.nodes[0].set_fault(story.lan.now_ns, True, link=True)
        expect_holders(story)


def fault_that_ends_before_there_is_a_successor() -> None:
    """Backup again, still with the addresses: they go once the successor is heard."""
    for preempt in (False, True):
        story = Story(200, 150, 100, preempt=preempt)
        story.settle()
        story.nodes[0].set_fault(story.lan.now_ns, True)
        story.run(0.1)
        story.nodes[0].set_fault(story.lan.now_ns, False)
        expect_holders(story, 0)
        story.run(0.5)
        expect_holders(story, 1)
        expect_handed_over(story)


def stop_while_a_fault_is_handed_over() -> None:
    """The addresses are still waiting for their successor."""
    story = Story(200, 150)
    story.settle()
    story.nodes[0].set_fault(story.lan.now_ns, True)
    story.nodes[0].shut_down(story.lan.now_ns)
    expect_holders(story, 0)
    story.run(1)
    expect_holders(story, 1)
    expect_handed_over(story)


def returning_better_node_is_given_the_addresses() -> None:
    """Whoever yields keeps them for the grace."""
    story = Story(200, 150, 100)
    story.nodes[0].crash(0)
    story.run(10)
    story.oracle.begin_stage()
    story.nodes[0].start(story.lan.now_ns)
    story.run(10)
    story.oracle.check_one_takeover(story.nodes[0])
    expect_holders(story, 0)
    expect_handed_over(story)


def release_of_another_is_no_successor() -> None:
    """Only who advertises has the addresses."""
    story = Story(200, 150)
    story.settle()
    story.nodes[0].shut_down(story.lan.now_ns)
    release = AdvertisementReceived(story.nodes[1].address, 0, 100)
    story.nodes[0].handle(story.lan.now_ns, release)
    story.run(2 * GRACE_NS / SECOND)
    expect_holders(story, 0)


def grace_counts_from_the_first_advertisement() -> None:
    """A successor that advertises twice is given 140 ms all the same."""
    story = Story(200, 150)
    story.settle()
    story.nodes[0].shut_down(story.lan.now_ns)
    heard = AdvertisementReceived(story.nodes[1].address, 150, 100)
    for _ in range(2):
        expect_holders(story, 0)
        story.nodes[0].handle(story.lan.now_ns, heard)
        story.run(0.6 * GRACE_NS / SECOND)
    expect_holders(story)


def frozen_while_handing_over() -> None:
    """Whoever wakes when its time is over drops the addresses first."""
    story = Story(200, 150, down=5)
    story.settle()
    story.nodes[0].shut_down(story.lan.now_ns)
    story.nodes[0].freeze(story.lan.now_ns)
    story.run(2.5)
    expect_holders(story, 0, 1)
    story.nodes[0].wake(story.lan.now_ns)
    expect_holders(story, 1)


def late_wake_while_handing_over_as_backup() -> None:
    """Backup again after a short fault, then late: the addresses go before it listens."""
    story = Story(200, 150, interval_ns=100 * MS)
    story.settle()
    story.nodes[0].set_fault(story.lan.now_ns, True)
    story.nodes[0].set_fault(story.lan.now_ns, False)
    story.nodes[0].freeze(story.lan.now_ns)
    story.run(0.5)
    expect_holders(story, 0, 1)
    story.nodes[0].wake(story.lan.now_ns)
    expect_holders(story, 1)


def named_successor_takes_over_at_once() -> None:
    """It does not wait for anything, and does not have to preempt."""
    for preempt in (False, True):
        story = Story(200, 150, 100, preempt=preempt)
        story.settle()
        for node in reversed(story.nodes):
            node.wanted = named(2, 1, node.index, node.wanted)
            node.apply_wanted(story.lan.now_ns)
        expect_holders(story, 0, 2)
        story.run(5)
        story.oracle.check_one_takeover(story.nodes[2])
        expect_holders(story, 2)
        expect_handed_over(story)


def named_successor_with_a_fault_does_nothing() -> None:
    """Who cannot hold the addresses is no successor, whatever the planner thought."""
    story = Story(200, 150)
    story.nodes[1].set_fault(0, True)
    story.settle()
    story.nodes[1].wanted = named(1, 1, 1, story.nodes[1].wanted)
    story.nodes[1].apply_wanted(story.lan.now_ns)
    expect(story.nodes[1].state is State.FAULT, f"became {story.nodes[1].state}")
    story.run(5)
    story.oracle.check_quiet()


HANDOVER_SCENARIOS = (
    planned_stop_is_seen_by_nobody,
    clients_know_the_winner_whoever_hears_whom_first_after_a_cut,
    stop_without_a_successor_ends,
    fault_is_handed_over_and_a_lost_link_is_not,
    link_lost_while_handing_over,
    stop_while_a_fault_is_handed_over,
    fault_that_ends_before_there_is_a_successor,
    returning_better_node_is_given_the_addresses,
    release_of_another_is_no_successor,
    grace_counts_from_the_first_advertisement,
    frozen_while_handing_over,
    late_wake_while_handing_over_as_backup,
    named_successor_takes_over_at_once,
    named_successor_with_a_fault_does_nothing,
)
