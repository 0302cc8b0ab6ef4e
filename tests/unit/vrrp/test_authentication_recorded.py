"""Sequences over clock steps and reloads, beside what keepalived 2.4.3 did with the same.

Ours differs on purpose (``vrrp.authentication``): a sender follows its wall clock forwards and
never back, a receiver keeps its marks over a reload, and it keeps 64 of them instead of four.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.vrrp.settings import IFINDEX, SETTINGS, WALL_NS, WALL_S
from tests.unit.vrrp.wire import GROUP4, Row, compose, rows, sealed, stamp, trailer

from vrrp.authentication import MAX_MARKS, SequenceClock
from vrrp.constants import NS_PER_SECOND, Family, RejectReason
from vrrp.validation import Accepted, Datagram, Election, Elections

RECORDED = rows("golden-hmac-time.jsonl")
SENDER = [row for row in RECORDED if row["kind"] == "clock step, sender"]
RECEIVER = {row["case"]: row["log"] for row in RECORDED if row["kind"] == "receiver over time"}


def followed(mode: str) -> list[Row]:
    """Return the rows of one mode in which keepalived followed its clock, so that we know it."""
    return [row for row in SENDER if row["mode"].startswith(mode) and row["ctr"] == 0]


def clocks(row: Row) -> tuple[int, int]:
    """Return the monotonic and the wall time that a recorded stamp was made of."""
    sequence = int(row["seq"], 16)
    seconds, subseconds = sequence >> 32, sequence >> 16 & 0xFFFF
    # The first nanosecond that gives these 65536ths.
    wall_ns = seconds * NS_PER_SECOND - (-subseconds * NS_PER_SECOND // 65_536)
    true_ns = wall_ns - row["clock_offset_s"] * NS_PER_SECOND
    return true_ns - WALL_NS, wall_ns


@pytest.mark.parametrize("mode", ["time", "monotonic"])
def test_sequence_until_the_clock_steps_back_equals_the_recorded_one(mode: str) -> None:
    clock = SequenceClock()
    forward = [row for row in followed(mode) if row["at_s"] < 6]
    assert {row["clock_offset_s"] for row in forward} == {0, 60}
    for row in forward:
        assert clock.next(*clocks(row)) == int(row["seq"], 16), row


def test_sequence_after_the_clock_stepped_back_keeps_the_furthest_offset() -> None:
    """keepalived's time mode goes back with the clock; its sequence falls by a minute."""
    clock = SequenceClock()
    for row in followed("time"):
        sequence = clock.next(*clocks(row))
        ours_s = 60 if row["at_s"] >= 3 else 0
        assert sequence == int(row["seq"], 16) + stamp(ours_s - row["clock_offset_s"]), row
    assert int(followed("time")[-1]["seq"], 16) < int(followed("time")[10]["seq"], 16)


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
