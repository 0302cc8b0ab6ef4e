"""Sequences over clock steps and reloads, beside what keepalived 2.4.3 did with the same.

Ours differs on purpose (``vrrp.authentication``): a node follows its wall clock in the first ten
minutes only, a receiver keeps its marks over a reload, and it keeps 64 of them instead of four.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.vrrp.settings import IFINDEX, SETTINGS, WALL_NS, WALL_S
from tests.unit.vrrp.wire import GROUP4, Row, compose, rows, sealed, stamp, trailer

from vrrp.authentication import MAX_MARKS, SignatureClock
from vrrp.constants import NS_PER_SECOND, Family, RejectReason
from vrrp.validation import Accepted, Datagram, Election, Elections

RECORDED = rows("golden-hmac-time.jsonl")
SENDER = [row for row in RECORDED if row["kind"] == "clock step, sender"]
RECEIVER = {row["case"]: row["log"] for row in RECORDED if row["kind"] == "receiver over time"}


JUST_BOOTED_S, LONG_UP_S = 5, 5_000


def stepped(mode: str) -> list[Row]:
    """Return what keepalived sent in one mode, over steps of 60 s there and back and −3 s."""
    return [row for row in SENDER if row["mode"].startswith(mode)]


def clocks(row: Row, first: Row, uptime_s: int) -> tuple[int, int]:
    """Return the monotonic and the wall time at which a recorded sequence was sent."""
    sequence = int(row["seq"], 16)
    seconds, subseconds = sequence >> 32, sequence >> 16 & 0xFFFF
    begun_ns = (int(first["seq"], 16) >> 32) * NS_PER_SECOND
    if row["ctr"]:  # its clock was behind what it had sent: known to a hundredth of a second
        true_ns = begun_ns + int(row["at_s"] * NS_PER_SECOND)
    else:  # the first nanosecond that gives these 65536ths
        wall_ns = seconds * NS_PER_SECOND - (-subseconds * NS_PER_SECOND // 65_536)
        true_ns = wall_ns - row["clock_offset_s"] * NS_PER_SECOND
    wall_ns = true_ns + row["clock_offset_s"] * NS_PER_SECOND
    return true_ns - begun_ns + uptime_s * NS_PER_SECOND, wall_ns


def test_sequence_of_a_node_that_just_booted_equals_the_recorded_one() -> None:
    """It follows its clock like keepalived's time mode, and counts up over the small step back."""
    clock, sent = SignatureClock(), stepped("time")
    assert {row["clock_offset_s"] for row in sent} == {0, 60, -3}
    assert {row["ctr"] for row in sent} == {0, 1, 2, 3, 4, 5}
    for row in sent:
        assert clock.next(*clocks(row, sent[0], JUST_BOOTED_S)) == int(row["seq"], 16), row


def test_sequence_of_a_node_that_is_up_for_long_stays_with_the_true_time() -> None:
    """keepalived's, in either mode, is a minute ahead after the step; strangers are deaf to it."""
    clock, sent = SignatureClock(), [row for row in stepped("time") if not row["ctr"]]
    for row in sent:
        sequence = clock.next(*clocks(row, sent[0], LONG_UP_S))
        assert sequence == int(row["seq"], 16) - stamp(row["clock_offset_s"]), row
    ahead = {round(row["stamp_minus_true_s"]) for row in stepped("monotonic")}
    assert ahead == {0, *range(50, 61)}


def receiver() -> Election:
    """Return an election over multicast that requires signatures."""
    return SETTINGS["v3-multicast-signed"].fresh()


def signed(host: int) -> Datagram:
    """Return the signed advertisement of one host of the link, always the same one."""
    source = bytes((10, 80, host >> 8, host & 0xFF))
    message = compose(priority=200)
    end = trailer(message, source, stamp(WALL_S))
    sent = sealed(message, source, GROUP4, end)
    return Datagram(Family.IPV4, source, GROUP4, 255, IFINDEX, sent)


def hear(election: Election, host: int) -> RejectReason | None:
    result = Elections([election]).validate(signed(host), WALL_NS)
    return None if isinstance(result, Accepted) else result


def recorded(case: str) -> RejectReason | None:
    """Return keepalived's answer in our words."""
    replayed = any("replayed" in line for line in RECEIVER[case])
    return RejectReason.AUTH_REPLAYED if replayed else None


@pytest.mark.parametrize("mode", ["time, window 300", "monotonic"])
def test_same_advertisement_again_is_a_replay_as_in_keepalived(mode: str) -> None:
    election = receiver()
    assert hear(election, 2) is recorded(f"{mode}: first") is None
    again = hear(election, 2)
    assert again is recorded(f"{mode}: the same advert again") is RejectReason.AUTH_REPLAYED


@pytest.mark.parametrize("mode", ["time, window 300", "monotonic"])
def test_same_advertisement_after_a_reload_is_a_replay_unlike_in_keepalived(mode: str) -> None:
    election = receiver()
    hear(election, 2)
    assert recorded(f"{mode}: the same advert after a reload") is None
    reloaded = replace(election, interval_cs=50)
    assert hear(reloaded, 2) is RejectReason.AUTH_REPLAYED


@pytest.mark.parametrize(
    ("senders", "case", "same"),
    [
        (4, "multicast, 4 senders, then the first sender again with its old advert", True),
        (5, "multicast, 5 senders, then the first sender again with its old advert", False),
    ],
)
def test_old_advertisement_after_other_senders_is_a_replay(
    senders: int, case: str, same: bool
) -> None:
    election = receiver()
    for host in range(1, senders + 1):
        assert hear(election, host) is None
    ours = hear(election, 1)
    assert ours is RejectReason.AUTH_REPLAYED
    assert (ours is recorded(case)) is same


def test_old_advertisement_after_more_senders_than_marks_is_taken_for_a_first() -> None:
    election = receiver()
    for host in range(1, MAX_MARKS + 2):
        assert hear(election, host) is None
    assert hear(election, 3) is RejectReason.AUTH_REPLAYED
    assert hear(election, 1) is None
