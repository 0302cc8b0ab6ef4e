"""The two intervals VRRP derives from a priority (RFC 9568 §6.1), in integer nanoseconds."""

from __future__ import annotations

from vrrp.constants import DOWN_ADVERTISEMENTS


def skew_time_ns(priority: int, active_adver_interval_ns: int) -> int:
    """Return Skew_Time: ((256 − priority) × Active_Adver_Interval) / 256, rounded down."""
    return (256 - priority) * active_adver_interval_ns // 256


def active_down_interval_ns(priority: int, active_adver_interval_ns: int) -> int:
    """Return Active_Down_Interval: three advertisement intervals and Skew_Time."""
    return DOWN_ADVERTISEMENTS * active_adver_interval_ns + skew_time_ns(
        priority, active_adver_interval_ns
    )


def lease_seconds(priority: int, adver_interval_ns: int) -> int:
    """Return the valid lifetime of a bound address, in whole seconds, at least 1.

    House rule (architecture §4.4): as short as the kernel's granularity allows without ending
    before the Active_Down_Interval does.
    """
    return max(1, -(-active_down_interval_ns(priority, adver_interval_ns) // 1_000_000_000))
