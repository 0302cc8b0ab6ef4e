"""Timers that are running when what they were made of changes, and answers that may not be lost."""

from __future__ import annotations

from tests.simulation.settings import MS, SECOND, with_config
from tests.simulation.story import Story, expect, expect_sends

from vrrp.events import AdvertisementReceived


def lowered_priority_moves_the_running_timer() -> None:
    """A Backup that became worse in the meantime leaves the takeover to the other."""
    story = Story(250, 150, 100)
    story.settle()
    story.nodes[0].crash(story.lan.now_ns)
    story.run(1)
    story.nodes[1].set_priority(story.lan.now_ns, 20)
    story.run(4)
    expect(story.oracle.takeovers == [2], f"took over: {story.oracle.takeovers}")


def fewer_down_advertisements_move_the_running_timer() -> None:
    """A Backup told to wait for two instead of five does so at once."""
    story = Story(200, 150, down=5)
    story.settle()
    story.nodes[0].crash(story.lan.now_ns)
    last_ns = story.nodes[0].last_sent_ns
    story.nodes[1].wanted = with_config(story.nodes[1].config, down_advertisements=2)
    story.nodes[1].apply_wanted(story.lan.now_ns)
    story.run(4)
    story.took_over_after(last_ns, 1, 2_414_062_500)


def suppressed_answer_comes_before_anybody_acts() -> None:
    """Two releases a millisecond apart: whoever heard the second is told in time, too."""
    story = Story(254, 100, preempt=False)
    story.nodes[0].crash(0)
    story.run(10)
    story.nodes[0].start(story.lan.now_ns)
    story.run(5)
    story.oracle.begin_stage()
    release = AdvertisementReceived(story.lan.cluster.stranger, 0, 100)
    for _ in range(2):
        for node in story.nodes:
            node.handle(story.lan.now_ns, release)
        story.run(0.001)
    story.run(1)
    story.oracle.check_quiet()


def longer_interval_is_waited_for_at_once() -> None:
    """A Backup told of a longer interval before the Active Router still hears it in time."""
    story = Story(200, 150, interval_ns=100 * MS)
    story.settle()
    for node in reversed(story.nodes):
        node.wanted = with_config(node.config, interval_ns=3 * SECOND)
        node.apply_wanted(story.lan.now_ns)
    story.nodes[0].crash(story.lan.now_ns)
    last_ns = story.nodes[0].last_sent_ns
    story.run(15)
    story.took_over_after(last_ns, 1, 10_242_187_500)


def shorter_interval_counts_at_once_in_version_2() -> None:
    """Nobody would tell: in version 2 all intervals are one's own."""
    story = Story(200, 150, version=2, interval_ns=3 * SECOND)
    story.settle()
    story.nodes[0].crash(story.lan.now_ns)
    last_ns = story.nodes[0].last_sent_ns
    story.nodes[1].wanted = with_config(story.nodes[1].config, interval_ns=SECOND)
    story.nodes[1].apply_wanted(story.lan.now_ns)
    story.run(4)
    story.took_over_after(last_ns, 1, 3_414_062_500)


def interval_that_was_told_outlives_other_changes() -> None:
    """One's own interval is longer, but the Active Router's was heard: that is waited for."""
    story = Story(200, 150)
    story.settle()
    story.nodes[1].wanted = with_config(story.nodes[1].config, interval_ns=3 * SECOND)
    story.nodes[1].apply_wanted(story.lan.now_ns)
    story.run(2)
    story.nodes[0].crash(story.lan.now_ns)
    last_ns = story.nodes[0].last_sent_ns
    story.nodes[1].set_priority(story.lan.now_ns, 140)
    story.run(5)
    story.took_over_after(last_ns, 1, 3_453_125_000)


def shorter_wait_that_is_over_is_acted_on_at_once() -> None:
    """A Backup told to wait for one instead of five, when it has waited for longer already."""
    story = Story(200, 150, down=5)
    story.settle()
    story.nodes[0].crash(story.lan.now_ns)
    story.run(4)
    story.nodes[1].wanted = with_config(story.nodes[1].config, down_advertisements=1)
    told_ns = story.lan.now_ns
    story.nodes[1].apply_wanted(told_ns)
    story.run(0.1)
    story.took_over_after(told_ns, 1, 0)


def late_backup_is_late_by_the_interval_it_watched() -> None:
    """Its own interval is a second, the Active Router's three: two late are no reason to listen."""
    story = Story(200, 150)
    story.settle()
    story.nodes[0].wanted = with_config(story.nodes[0].config, interval_ns=3 * SECOND)
    story.nodes[0].apply_wanted(story.lan.now_ns)
    story.run(5)
    story.nodes[0].crash(story.lan.now_ns)
    last_ns = story.nodes[0].last_sent_ns
    story.nodes[1].freeze(story.lan.now_ns)
    story.lan.run_until(last_ns + 12_242_187_500)
    story.nodes[1].wake(story.lan.now_ns)
    story.took_over_after(last_ns, 1, 12_242_187_500)


def first_loser_is_answered_after_a_longer_interval() -> None:
    """Nobody was answered yet, so the first is at once, whatever the interval became."""
    story = Story(200, 100)
    story.settle()
    for node in story.nodes:
        node.wanted = with_config(node.config, interval_ns=3 * SECOND)
        node.apply_wanted(story.lan.now_ns)
    begun_ns = story.lan.now_ns
    loser = AdvertisementReceived(story.nodes[1].address, 100, 100)
    for _ in range(2):
        story.nodes[0].handle(story.lan.now_ns, loser)
    expect_sends(story, begun_ns, 1, 1)


TIMER_SCENARIOS = (
    lowered_priority_moves_the_running_timer,
    fewer_down_advertisements_move_the_running_timer,
    suppressed_answer_comes_before_anybody_acts,
    longer_interval_is_waited_for_at_once,
    shorter_interval_counts_at_once_in_version_2,
    interval_that_was_told_outlives_other_changes,
    shorter_wait_that_is_over_is_acted_on_at_once,
    late_backup_is_late_by_the_interval_it_watched,
    first_loser_is_answered_after_a_longer_interval,
)
