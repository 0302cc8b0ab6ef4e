"""Small stories with one outcome, worked out by hand, that random seeds meet too seldom.

Every scenario also runs under the oracles beside the routers. Times follow from the settings: three
advertisements of one second, and (256 − priority) / 256 of a second.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping

from tests.simulation.clock_scenarios import CLOCK_SCENARIOS
from tests.simulation.faults import rotation
from tests.simulation.handover_scenarios import HANDOVER_SCENARIOS
from tests.simulation.health_scenarios import HEALTH_SCENARIOS
from tests.simulation.membership_scenarios import MEMBERSHIP_SCENARIOS
from tests.simulation.settings import MS, SECOND, with_config
from tests.simulation.simulation import Failure
from tests.simulation.story import HOUR_NS, LAST, Story, acquaintances, expect, expect_sends, play
from tests.simulation.timeline import OracleViolation
from tests.simulation.timer_scenarios import TIMER_SCENARIOS

from vrrp.authentication import Mode
from vrrp.events import AdvertisementReceived
from vrrp.validation import Datagram


def release_is_followed_by_one_takeover() -> None:
    """Priority 0: the best Backup waits its Skew_Time, which only version 3 scales."""
    for version, interval_ns, skew_ns in (
        (3, SECOND, 414_062_500),
        (3, 100 * MS, 41_406_250),
        (3, 3 * SECOND, 1_242_187_500),
        (2, SECOND, 414_062_500),
        (2, 3 * SECOND, 414_062_500),
    ):
        story = Story(200, 150, 100, version=version, interval_ns=interval_ns)
        story.settle()
        story.nodes[0].shut_down(story.lan.now_ns)
        released_ns = story.lan.now_ns
        story.run(4)
        story.took_over_after(released_ns, 1, skew_ns)


def release_of_another_interval_is_waited_for_by_that() -> None:
    """In version 3 Skew_Time follows the interval that was heard, not one's own."""
    story = Story(200, 150, 100)
    story.settle()
    for node in story.nodes[1:]:
        node.wanted = with_config(node.config, interval_ns=3 * SECOND)
        node.apply_wanted(story.lan.now_ns)
    story.run(2)
    story.nodes[0].shut_down(story.lan.now_ns)
    released_ns = story.lan.now_ns
    story.run(1)
    story.took_over_after(released_ns, 1, 414_062_500)


def crash_is_followed_by_one_takeover() -> None:
    """Silence: the best Backup waits its Active_Down_Interval; then the lease ends."""
    for version, down, wait_ns in (
        (3, 3, 3_414_062_500),
        (3, 1, 1_414_062_500),
        (2, 5, 5_414_062_500),
    ):
        story = Story(200, 150, 100, version=version, down=down)
        story.settle()
        story.run(0.5)
        story.nodes[0].crash(story.lan.now_ns)
        last_ns = story.nodes[0].last_sent_ns
        story.lan.run_until(last_ns + wait_ns - MS)
        expect(story.lan.holders() == [0], "the lease ended before somebody took over")
        story.run(0.5)
        story.took_over_after(last_ns, 1, wait_ns)
        story.lan.run_until(last_ns + (down + 1) * SECOND + 1)
        expect(story.lan.holders() == [1], f"addresses are on {story.lan.holders()}")


def return_without_preemption_moves_nothing() -> None:
    """Whoever is Active stays, however good the returning node is."""
    story = Story(200, 150, 100, preempt=False)
    story.nodes[0].crash(0)
    story.run(10)
    story.oracle.begin_stage()
    story.nodes[0].start(story.lan.now_ns)
    story.run(20)
    expect(not story.oracle.takeovers, f"took over: {story.oracle.takeovers}")


def preemption_waits_for_its_delay() -> None:
    """The delay runs from the first loser heard, then the Active_Down_Timer from the last."""
    story = Story(200, 100, delay_ns=5 * SECOND)
    story.nodes[0].crash(0)
    story.run(10)
    story.oracle.begin_stage()
    story.nodes[0].start(story.lan.now_ns)
    story.run(6)
    expect(not story.oracle.takeovers, "took over before its delay ended")
    story.run(4.5)
    expect(story.oracle.takeovers == [0], "did not take over after its delay")


def equal_priorities_are_told_apart_by_address() -> None:
    """After a split both are Active; the greater address stays."""
    story = Story(100, 100)
    story.lan.blocked = {(0, 1), (1, 0)}
    story.run(10)
    expect(story.lan.active() == [0, 1], "not both Active in a split LAN")
    story.lan.blocked = set()
    story.run(1.1)
    expect(story.lan.active() == [1], f"Active are {story.lan.active()}")


def short_freeze_moves_nothing() -> None:
    """Nobody else acts within two advertisements and a half."""
    story = Story(200, 150)
    story.settle()
    story.lan.run_until(story.nodes[0].last_sent_ns + SECOND + MS)
    story.nodes[0].freeze(story.lan.now_ns)
    story.run(2.9)
    story.nodes[0].wake(story.lan.now_ns)
    story.run(5)
    story.oracle.check_quiet()


def lonely_late_wake_listens_first() -> None:
    """With nobody to hear, an interval and a Skew_Time after waking it is Active again."""
    story = Story(200, 150)
    story.settle()
    story.nodes[1].crash(story.lan.now_ns)
    story.nodes[0].freeze(story.lan.now_ns)
    story.run(7)
    woken_ns = story.lan.now_ns
    story.nodes[0].wake(woken_ns)
    expect(not story.lan.holders(), "keeps the addresses on a late wake")
    story.run(3)
    story.took_over_after(woken_ns, 0, 1_218_750_000)


def roll_outs_move_nothing() -> None:
    """Signing, enforcing, a new key, intervals, delays: node by node, and nobody moves."""
    story = Story(200, 150, 100, mode=Mode.RECEIVE_ONLY)
    story.settle()
    stages = list(rotation(story.nodes[0].config))
    for interval_ns in (100 * MS, 2 * SECOND, SECOND):
        stages.append(lambda _, c, value=interval_ns: with_config(c, interval_ns=value))  # type: ignore[misc]  # binds the loop variable
    stages.append(lambda _, config: with_config(config, down_advertisements=5))
    stages.append(lambda _, config: with_config(config, preempt_delay_ns=SECOND))
    for stage in stages:
        story.tell_all(stage)
    story.run(10)
    story.oracle.check_quiet()
    expect(story.nodes[1].config.interval_ns == SECOND, "a roll-out did not arrive")


def rivals_do_not_storm() -> None:
    """A loser that hears nothing is answered once an interval, however long it lasts."""
    story = Story(200, 100, interval_ns=100 * MS)
    story.settle()
    story.lan.blocked = {(0, 1)}
    story.run(2)
    begun_ns = story.lan.now_ns
    story.run(10)
    expect_sends(story, begun_ns, 100, 205)


def releases_do_not_storm() -> None:
    """A peer that releases a thousand times a second is answered twice in half a Skew_Time.

    That is 3.9 ms: once by the advertisement that waited for it, once by the next release.
    """
    story = Story(200, 100)
    story.settle()
    begun_ns = story.lan.now_ns
    release = AdvertisementReceived(story.nodes[1].address, 0, 100)
    for _ in range(2_000):
        story.nodes[0].handle(story.lan.now_ns, release)
        story.run(0.001)
    expect_sends(story, begun_ns, 500, 1_030)


def loser_is_answered_right_after_a_release() -> None:
    """The two limits are two: whoever told the one has not told the other."""
    story = Story(200, 100)
    story.settle()
    for priority in (0, 100):
        heard = AdvertisementReceived(story.nodes[1].address, priority, 100)
        story.nodes[0].handle(story.lan.now_ns, heard)


def replaced_engine_resumes_without_a_gap() -> None:
    """A fork goes on where the dead engine was: no transition, unless the node has a fault."""
    for faulty in (False, True):
        story = Story(200, 150)
        story.settle()
        story.nodes[0].crash(story.lan.now_ns)
        story.nodes[0].faulty = faulty
        story.run(0.02)
        story.nodes[0].start(story.lan.now_ns, resume=True)
        story.run(5)
        expect(story.lan.holders() == [int(faulty)], f"addresses are on {story.lan.holders()}")
        expect(story.oracle.takeovers == ([1] if faulty else []), "took over after a fork")


def known_routers_survive_any_clock_step() -> None:
    """Who was heard before stays heard, wherever the clocks go (architecture §4.14)."""
    story = acquaintances()
    for step_ns in (-HOUR_NS, HOUR_NS, 10 * SECOND, -29 * SECOND, -400 * 24 * HOUR_NS):
        for node in story.nodes:
            node.wall_offset_ns += step_ns
            story.run(5)
    story.oracle.check_quiet()
    story.nodes[0].shut_down(story.lan.now_ns)
    story.run(5)
    expect(story.oracle.takeovers == [1], f"took over: {story.oracle.takeovers}")
    story.nodes[0].start(story.lan.now_ns)
    story.run(10)
    expect(story.lan.active() == [0], f"Active are {story.lan.active()}")


def stepped_clock_and_a_replaced_engine() -> None:
    """What the dead engine signed with is older than what its successor signs with."""
    story = Story(200, 100)
    story.settle()
    story.nodes[0].wall_offset_ns = -20 * SECOND
    story.run(3)
    story.nodes[0].crash(story.lan.now_ns)
    story.nodes[0].start(story.lan.now_ns, resume=True)
    story.run(10)
    expect(not story.oracle.takeovers, "the successor was taken for a replay")


def release_at_the_instant_of_an_advertisement() -> None:
    """Two signatures of one instant differ, or the second were a replay."""
    story = Story(200, 150)
    story.settle()
    story.lan.run_until(story.nodes[0].last_sent_ns + SECOND)
    released_ns = story.nodes[0].last_sent_ns
    expect(story.lan.now_ns == released_ns, "not the instant of an advertisement")
    story.nodes[0].shut_down(released_ns)
    story.run(2)
    story.took_over_after(released_ns, 1, 414_062_500)


def stranger_with_the_key_is_not_heard() -> None:
    """Membership first: a node that nobody lists moves nobody."""
    story = Story(100, 150)
    story.nodes[1].crash(0)
    story.nodes[0].wanted = with_config(story.nodes[0].config, peers=frozenset())
    story.nodes[0].apply_wanted(0)
    story.run(5)
    story.oracle.begin_stage()
    story.nodes[1].start(story.lan.now_ns)
    story.run(10)
    expect(story.lan.active() == [0, 1], f"Active are {story.lan.active()}")
    expect(story.oracle.takeovers == [1], "the listed node moved for a stranger")


def captured_advertisements_are_useless() -> None:
    """Played back at once, after the sender's death, and much later to a node without memory."""
    story = Story(200, 100)
    captured: list[Datagram] = []
    story.nodes[1].on_accept = lambda _, datagram: captured.append(datagram)
    story.settle()
    story.nodes[0].crash(story.lan.now_ns)
    story.run(5)
    play(story, captured)
    story.run(40)
    play(story, captured)
    story.nodes[1].forget(0)
    story.nodes[1].crash(story.lan.now_ns)
    story.nodes[1].start(story.lan.now_ns)
    play(story, captured)


def sender_whose_clock_was_wrong_is_heard_again() -> None:
    """A node an hour ahead that restarts with the right time is not taken for a replay."""
    story = Story(200, 100)
    story.settle()
    story.nodes[0].wall_offset_ns = HOUR_NS
    story.run(5)
    story.nodes[0].shut_down(story.lan.now_ns)
    story.nodes[0].forget(0)
    story.run(5)
    story.nodes[0].start(story.lan.now_ns)
    story.run(10)
    expect(story.lan.active() == [0], f"Active are {story.lan.active()}")


SCENARIOS: Mapping[str, Callable[[], None]] = {
    scenario.__name__: scenario
    for scenario in (
        release_is_followed_by_one_takeover,
        release_of_another_interval_is_waited_for_by_that,
        crash_is_followed_by_one_takeover,
        return_without_preemption_moves_nothing,
        preemption_waits_for_its_delay,
        equal_priorities_are_told_apart_by_address,
        short_freeze_moves_nothing,
        lonely_late_wake_listens_first,
        roll_outs_move_nothing,
        rivals_do_not_storm,
        releases_do_not_storm,
        loser_is_answered_right_after_a_release,
        replaced_engine_resumes_without_a_gap,
        known_routers_survive_any_clock_step,
        stepped_clock_and_a_replaced_engine,
        release_at_the_instant_of_an_advertisement,
        stranger_with_the_key_is_not_heard,
        captured_advertisements_are_useless,
        sender_whose_clock_was_wrong_is_heard_again,
        *CLOCK_SCENARIOS,
        *HANDOVER_SCENARIOS,
        *HEALTH_SCENARIOS,
        *MEMBERSHIP_SCENARIOS,
        *TIMER_SCENARIOS,
    )
}


def run_scenario(name: str) -> Failure | None:
    """Run one scenario; return what went wrong, or None."""
    LAST.clear()
    try:
        SCENARIOS[name]()
    except OracleViolation as violation:
        rule = str(violation)
    except Exception:
        rule = traceback.format_exc()
    else:
        return None
    timeline = LAST[-1].lan.timeline.text() if LAST else ""
    return Failure(f"scenario {name}", rule, timeline, f"--scenario {name}")
