"""What loss may do to an election, read off the wire."""

from __future__ import annotations

from collections.abc import Sequence

from tests.interop.variants import VARIANTS, Variant
from tests.interop.wire import Frame

IN_LOSS = [v for v in VARIANTS if v.name in ("v3 IPv4 unicast", "v3 IPv4 multicast")]
"""What is judged: left is higher, advertisements come every 200 ms, three may be missed."""

_INTERVALS = 15


def too_long_together(variant: Variant, frames: Sequence[Frame]) -> str | None:
    """Return what is wrong with the advertisements of a lossy time, or None.

    Left is Active. Right takes over after three losses in a row and yields to the next thing it
    hears. That it misses fifteen in a row, or left as many of its own, is no loss any more.
    """
    left = [frame for frame in frames if frame.priority == variant.left.priority]
    right = [frame for frame in frames if frame.priority == variant.right.priority]
    interval_ns = variant.right.interval_cs * 10_000_000
    if len(left) < _INTERVALS:
        return f"left advertised {len(left)} times"
    longest_ns = _longest_run_ns(right, pause_ns=3 * interval_ns)
    if longest_ns > _INTERVALS * interval_ns:
        return f"right advertised for {longest_ns / 1e9:.1f} s beside left"
    return None


def _longest_run_ns(frames: Sequence[Frame], pause_ns: int) -> int:
    """Return how long frames came without a pause longer than this."""
    longest_ns = begun_ns = 0
    last_ns: int | None = None
    for frame in frames:
        if last_ns is None or frame.time_ns - last_ns > pause_ns:
            begun_ns = frame.time_ns
        longest_ns = max(longest_ns, frame.time_ns - begun_ns)
        last_ns = frame.time_ns
    return longest_ns
