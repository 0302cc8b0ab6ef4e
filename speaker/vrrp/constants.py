"""Numbers and names of the protocol (RFC 9568 §5, §6)."""

from __future__ import annotations

from enum import StrEnum

IP_PROTOCOL = 112
VERSION = 3
TYPE_ADVERTISEMENT = 1
TTL = 255

PRIORITY_RELEASE = 0
"""The Active Router gives up: the others wait Skew_Time only."""
PRIORITY_MINIMUM = 1
PRIORITY_MAXIMUM = 254
PRIORITY_OWNER = 255
"""Reserved for address owners; a floating VIP has none, so we never send it."""

DOWN_ADVERTISEMENTS = 3
"""Advertisements missed before a Backup takes over (RFC 9568 §6.1: three)."""

NS_PER_CENTISECOND = 10_000_000
MAX_INTERVAL_CENTISECONDS = 4095


class State(StrEnum):
    """The states of one Virtual Router (RFC 9568 §6.3) and Fault, keepalived's fourth."""

    INITIALIZE = "Initialize"
    BACKUP = "Backup"
    ACTIVE = "Active"
    FAULT = "Fault"


class TransitionReason(StrEnum):
    """Why a state changed; stable names, they reach metrics, status and logs."""

    STARTUP = "Startup"
    ACTIVE_DOWN_TIMER_EXPIRED = "ActiveDownTimerExpired"
    HIGHER_PRIORITY_ADVERTISEMENT = "HigherPriorityAdvertisement"
    EQUAL_PRIORITY_GREATER_ADDRESS = "EqualPriorityGreaterAddress"
    FAULT = "Fault"
    FAULT_CLEARED = "FaultCleared"
    SHUTDOWN = "Shutdown"
    RESUMED = "Resumed"
    REMOVED = "Removed"
    LATE_WAKE = "LateWake"


class RejectReason(StrEnum):
    """Why an advertisement was discarded; the names of ``advertisements_rejected_total``."""

    NOT_FOR_US = "not_for_us"
    UNKNOWN_SOURCE = "unknown_source"
    TTL = "ttl"
    TRUNCATED = "truncated"
    VERSION = "version"
    TYPE = "type"
    UNKNOWN_VRID = "unknown_vrid"
    LENGTH = "length"
    CHECKSUM = "checksum"
    ADDRESS_COUNT = "address_count"
    INTERVAL = "interval"
