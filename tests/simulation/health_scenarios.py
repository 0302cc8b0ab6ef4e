"""What health checks do to an Active Router: offering, and standing for election anew.

Hand-worked like all scenarios: priority 150 waits (256 − 150) / 256 = 0.414 s at an interval of a
second, priority 80 waits 0.6875 s.
"""

from __future__ import annotations

from tests.simulation.handover_scenarios import expect_handed_over, expect_holders
from tests.simulation.story import Story, expect

from vrrp.constants import State
from vrrp.events import AdvertisementReceived


def _offering(*, preempt: bool = True) -> Story:
    """Return a LAN in which node 0 has begun to offer and nobody is able to take over."""
    story = Story(200, 150, preempt=preempt)
    story.settle()
    for node in reversed(story.nodes):
        node.set_fault(story.lan.now_ns, True, keeps=True)
    return story


def check_that_fails_everywhere_moves_nothing() -> None:
    """The holder keeps the addresses until somebody recovers."""
    story = Story(200, 150, 100)
    story.settle()
    for node in reversed(story.nodes):
        node.set_fault(story.lan.now_ns, True, keeps=True)
    story.run(30)
    expect_holders(story, 0)
    expect(story.nodes[0].state is State.ACTIVE, f"became {story.nodes[0].state}")
    story.nodes[2].set_fault(story.lan.now_ns, False)
    story.run(5)
    expect_holders(story, 2)
    expect_handed_over(story)
    expect(story.nodes[0].state is State.FAULT, f"became {story.nodes[0].state}")


def holder_that_recovers_first_goes_on() -> None:
    """Nobody else took over, and nobody does when the others are able again."""
    story = _offering()
    story.run(3)
    story.nodes[0].set_fault(story.lan.now_ns, False)
    story.nodes[1].set_fault(story.lan.now_ns, False)
    story.run(5)
    expect_holders(story, 0)
    expect(not story.oracle.takeovers, f"took over: {story.oracle.takeovers}")


def link_lost_while_offering() -> None:
    """Whatever was kept for a successor goes with the link."""
    story = _offering()
    story.run(3)
    story.nodes[0].set_fault(story.lan.now_ns, True, link=True)
    expect_holders(story)


def release_of_another_does_not_end_an_offer() -> None:
    """It has no successor either."""
    story = _offering()
    story.nodes[0].handle(story.lan.now_ns, AdvertisementReceived(story.nodes[1].address, 0, 100))
    story.run(3)
    expect_holders(story, 0)


def what_the_agent_repeats_changes_nothing() -> None:
    """The releases of an offer keep their rhythm."""
    story = _offering()
    for _ in range(10):
        story.run(0.3)
        story.nodes[0].set_fault(story.lan.now_ns, True, keeps=True)
    expect_holders(story, 0)


def late_wake_while_offering() -> None:
    """It has slept too long to know who has the addresses, and is not able to find out."""
    story = _offering()
    story.nodes[0].freeze(story.lan.now_ns)
    story.run(5)
    story.nodes[0].wake(story.lan.now_ns)
    expect(story.nodes[0].state is State.FAULT, f"became {story.nodes[0].state}")
    expect_holders(story)


def priority_that_falls_while_offering() -> None:
    """It has nothing to stand for."""
    story = _offering(preempt=False)
    story.nodes[0].set_priority(story.lan.now_ns, 80, unhealthy=True)
    story.run(3)
    expect_holders(story, 0)


def unhealthy_one_yields_where_nobody_may_preempt() -> None:
    """The best of the others has the addresses after its Skew_Time, and nobody missed them."""
    story = Story(200, 150, 100, preempt=False)
    story.settle()
    begun_ns = story.lan.now_ns
    story.nodes[0].set_priority(begun_ns, 80, unhealthy=True)
    story.run(1)
    story.took_over_after(begun_ns, 1, 414_062_500)
    expect_holders(story, 1)
    expect_handed_over(story)


def unhealthy_one_that_is_still_the_best_stays() -> None:
    """It waits its own Skew_Time with the addresses in place."""
    story = Story(200, 60, preempt=False)
    story.settle()
    begun_ns = story.lan.now_ns
    story.nodes[0].set_priority(begun_ns, 80, unhealthy=True)
    story.run(1)
    story.took_over_after(begun_ns, 0, 687_500_000)
    story.run(4)
    expect(story.oracle.takeovers == [0], f"took over: {story.oracle.takeovers}")
    expect_holders(story, 0)


def two_that_offer_settle_on_one() -> None:
    """Cut off from each other both held the addresses; then a check fails everywhere."""
    for heal_ms in range(0, 1000, 50):
        story = Story(200, 150)
        story.settle()
        story.lan.blocked = {(0, 1), (1, 0)}
        story.run(6)
        expect_holders(story, 0, 1)
        for node in story.nodes:
            node.set_fault(story.lan.now_ns, True, keeps=True)
        story.run(3 + heal_ms / 1000)
        story.lan.blocked = set()
        story.run(2.5)  # two intervals, and the grace
        expect_holders(story, 1)  # it has the greater address
        expect(set(story.lan.told.values()) == {1}, f"clients think: {story.lan.told}")
        expect(story.nodes[0].state is State.FAULT, f"became {story.nodes[0].state}")


def healthy_one_takes_over_from_two_that_offer() -> None:
    """They release in turns; a Backup does not wait for the end of that."""
    for apart_ms in range(0, 1000, 100):
        story = Story(200, 150, 100)
        story.settle()
        story.lan.blocked = {(0, 1), (1, 0), (0, 2), (2, 0)}
        story.run(6)
        story.lan.blocked = {(0, 1), (1, 0)}  # these two still do not hear each other
        story.nodes[2].set_fault(story.lan.now_ns, True, keeps=True)
        story.nodes[0].set_fault(story.lan.now_ns, True, keeps=True)
        story.run(apart_ms / 1000)
        story.nodes[1].set_fault(story.lan.now_ns, True, keeps=True)
        story.run(2)
        expect_holders(story, 0, 1)
        story.nodes[2].set_fault(story.lan.now_ns, False)
        story.run(2)  # an interval, its Skew_Time, and the grace
        expect_holders(story, 2)
        expect(set(story.lan.told.values()) == {2}, f"clients think: {story.lan.told}")


HEALTH_SCENARIOS = (
    two_that_offer_settle_on_one,
    healthy_one_takes_over_from_two_that_offer,
    check_that_fails_everywhere_moves_nothing,
    holder_that_recovers_first_goes_on,
    link_lost_while_offering,
    release_of_another_does_not_end_an_offer,
    what_the_agent_repeats_changes_nothing,
    late_wake_while_offering,
    priority_that_falls_while_offering,
    unhealthy_one_yields_where_nobody_may_preempt,
    unhealthy_one_that_is_still_the_best_stays,
)
