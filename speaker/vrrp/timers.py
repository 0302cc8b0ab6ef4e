"""The two intervals VRRP derives from a priority, in integer nanoseconds."""

from __future__ import annotations

from vrrp.constants import NS_PER_SECOND, VERSION_2


def skew_time_ns(version: int, priority: int, active_adver_interval_ns: int) -> int:
    """Return Skew_Time, rounded down: how long the best Backup waits after a release.

    Version 3: ((256 − priority) × Active_Adver_Interval) / 256 (RFC 9568 §6.1). Version 2:
    (256 − priority) / 256 seconds, whatever the interval (RFC 3768 §6.1).
    """
    scaled_ns = NS_PER_SECOND if version == VERSION_2 else active_adver_interval_ns
    return (256 - priority) * scaled_ns // 256


def active_down_interval_ns(
    version: int, priority: int, active_adver_interval_ns: int, down_advertisements: int
) -> int:
    """Return Active_Down_Interval: so many advertisement intervals (RFC: three) and Skew_Time."""
    return down_advertisements * active_adver_interval_ns + skew_time_ns(
        version, priority, active_adver_interval_ns
    )
