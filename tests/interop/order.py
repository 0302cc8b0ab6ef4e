"""What the order of advertisements on the wire shows that states at the end of a step do not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.interop.config import PRIORITY_RELEASE
from tests.interop.variants import LEFT_ONLY
from tests.interop.wire import Frame

_DOWN_ADVERTISEMENTS = 3
_ENOUGH = 12


def wrong_in_backup(frames: Sequence[Frame], right: str) -> str | None:
    """Return that right, which should be Backup, took over and yielded more than once.

    Once is its right: until it has heard left it goes by its own interval.
    """
    ours = [frame.host == right for frame in frames]
    takeovers = sum(mine and not before for before, mine in pairwise([False, *ours]))
    return f"right took over {takeovers} times{_priorities(frames)}" if takeovers > 1 else None


def wrong_in_release(
    frames: Sequence[Frame],
    ticks: Sequence[Frame],
    left: str,
    before: tuple[str, str] | None,
) -> str | None:
    """Return what is wrong in the order of advertisements around left's end, or None.

    Who releases speaks of priority 0 last, and whoever was alone with it follows after Skew_Time. A
    second has no meaning on a busy machine; so right's own clock counts the seconds, which stalls
    when right does. With the interval of 1 s, three of them are an Active_Down_Interval.

    Args:
        frames: advertisements of the election since left was told to stop.
        ticks: those of right's clock, one a second.
        left: the name of left's host.
        before: what left and right were.
    """
    spoken = [frame for frame in frames if frame.host == left]
    if before is None or before[0] != "Active":
        return f"left was Backup and spoke{_priorities(frames)}" if spoken else None
    if not spoken or spoken[-1].priority != PRIORITY_RELEASE:
        return f"left did not release{_priorities(frames)}"
    if before != LEFT_ONLY:
        return None
    end_ns = spoken[-1].time_ns
    follower = next((f for f in frames if f.host != left and f.time_ns > end_ns), None)
    if follower is None:
        return f"right did not follow{_priorities(frames)}"
    waited = sum(end_ns < tick.time_ns < follower.time_ns for tick in ticks)
    return f"right waited for {waited} s" if waited >= _DOWN_ADVERTISEMENTS else None


def _priorities(frames: Sequence[Frame]) -> str:
    return ": " + " ".join(f"{frame.host}={frame.priority}" for frame in frames[:_ENOUGH])
