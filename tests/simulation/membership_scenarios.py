"""Lists of members that are late, one-sided or wrong, and elections that hold together.

Hand-worked like all scenarios: three advertisements of a second, (256 − 150) / 256 = 0.414 s.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.handover_scenarios import expect_handed_over, expect_holders
from tests.simulation.membership import OWN_KEY, run_membership_seed
from tests.simulation.settings import KEYS, SECOND, with_config
from tests.simulation.story import Story, expect
from tests.simulation.timeline import OracleViolation

from vrrp.authentication import HmacKeys, Mode, Stage
from vrrp.constants import State

_SEEDS, _SECONDS = range(6), 40


def _tell(story: Story, index: int, peers: Iterable[int]) -> None:
    """Give a node a list."""
    node = story.nodes[index]
    node.wanted = with_config(node.wanted, peers=frozenset(peers))
    node.apply_wanted(story.lan.now_ns)


def _signed(*priorities: int) -> Story:
    """Return a settled cluster whose election has a key of its own."""
    story = Story(*priorities, keys=OWN_KEY)
    story.settle()
    return story


def backup_that_is_dropped_and_cannot_be_told_stays_backup() -> None:
    """As one that is cut off from the API server while the others were told that it is gone."""
    story = _signed(200, 150, 100)
    _tell(story, 0, {2})
    _tell(story, 2, {0})
    story.run(300)
    story.oracle.check_quiet()
    expect_holders(story, 0)


def active_one_that_is_dropped_and_cannot_be_told_stays_active() -> None:
    """The others hear it, whatever their list says, and it hands over to them."""
    story = _signed(200, 150, 100)
    _tell(story, 1, {2})
    _tell(story, 2, {1})
    story.run(300)
    story.oracle.check_quiet()
    story.nodes[0].shut_down(story.lan.now_ns)
    story.run(3)
    expect_holders(story, 1)
    expect_handed_over(story)


def two_that_know_each_other_one_way_round_settle_at_once() -> None:
    """Whoever is not sent to becomes Active, is heard, answered, and steps down."""
    for knows in (0, 1):
        story = Story(200, 150, keys=OWN_KEY)
        for node in story.nodes:
            node.forget(0)
            _tell(story, node.index, {1 - node.index} if node.index == knows else ())
            node.learned.known_ns.clear()  # the list was never another one
        story.run(30)
        expect_holders(story, 0)
        expect(story.oracle.takeovers.count(1) <= 1, f"took over: {story.oracle.takeovers}")
        story.nodes[0].crash(story.lan.now_ns, power=True)
        story.run(4)
        expect(story.lan.active() == [1], f"Active are {story.lan.active()}")


def key_of_the_election_comes_step_by_step() -> None:
    """Nodes of neighbouring steps understand each other; nothing moves."""
    for order in (1, -1):
        story = Story(200, 150, 100, keys=HmacKeys({1: KEYS[1]}, 1, Mode.ENFORCE))
        story.settle()
        for stage in Stage:
            keys = HmacKeys({1: KEYS[1]}, 1, Mode.ENFORCE, stage=stage, election_keys={1: KEYS[2]})
            for node in story.nodes[::order]:
                node.wanted = with_config(node.wanted, authentication=keys)
                node.apply_wanted(story.lan.now_ns)
                story.run(10)
        story.oracle.check_quiet()
        expect(all(not node.rejected for node in story.nodes), "somebody was not understood")


def member_that_is_silent_for_long_is_forgotten_and_found_again() -> None:
    """After an hour it is not sent to; it takes over for a moment, and is a member again."""
    story = _signed(200, 150)
    _tell(story, 0, ())
    story.run(3000)
    story.oracle.check_quiet()
    active = story.nodes[0]
    expect(bool(active.learned.known_ns), "forgotten before its time")
    story.lan.run_for(700 * SECOND)
    active.forget_silent(story.lan.now_ns)
    expect(not active.learned.known_ns, "not forgotten")
    story.run(5)
    expect(story.oracle.takeovers == [1], f"took over: {story.oracle.takeovers}")
    expect(story.nodes[1].state is State.BACKUP, f"became {story.nodes[1].state}")
    expect_holders(story, 0)


def lists_reach_nodes_in_any_order() -> None:
    """A few of the seeds of ``membership``; ``test_membership`` has more."""
    for seed in _SEEDS:
        failure = run_membership_seed(seed, _SECONDS)
        if failure is not None:
            raise OracleViolation(str(failure))


MEMBERSHIP_SCENARIOS = (
    backup_that_is_dropped_and_cannot_be_told_stays_backup,
    active_one_that_is_dropped_and_cannot_be_told_stays_active,
    two_that_know_each_other_one_way_round_settle_at_once,
    key_of_the_election_comes_step_by_step,
    member_that_is_silent_for_long_is_forgotten_and_found_again,
    lists_reach_nodes_in_any_order,
)
