"""Numbers and names of the protocol (RFC 9568 §5, §6; RFC 3768 §5)."""

from __future__ import annotations

from enum import IntEnum, StrEnum

IP_PROTOCOL = 112
VERSION_2 = 2
VERSION_3 = 3
TYPE_ADVERTISEMENT = 1
TTL = 255

PRIORITY_RELEASE = 0
"""The Active Router gives up: the others wait Skew_Time only."""
PRIORITY_MINIMUM = 1
PRIORITY_MAXIMUM = 254
PRIORITY_OWNER = 255
"""Reserved for address owners; a floating VIP has none, so we never send it."""

DOWN_ADVERTISEMENTS = 3
"""Advertisements missed before a Backup takes over, unless configured (RFC 9568 §6.1: three)."""

NS_PER_SECOND = 1_000_000_000
NS_PER_CENTISECOND = 10_000_000
MAX_INTERVAL_CENTISECONDS = 4095
MAX_INTERVAL_SECONDS_V2 = 255

AUTH_TYPE_NONE = 0
AUTH_TYPE_SIMPLE = 1
AUTH_DATA_LENGTH = 8
"""Bytes of authentication data that end every VRRPv2 message (RFC 3768 §5.3.10)."""


class Family(IntEnum):
    """The address family an election runs over."""

    IPV4 = 4
    IPV6 = 6

    @property
    def address_length(self) -> int:
        """Bytes of one packed address."""
        return 4 if self is Family.IPV4 else 16

    @property
    def group(self) -> bytes:
        """The packed multicast group of VRRP: 224.0.0.18, ff02::12 (RFC 9568 §5.1)."""
        if self is Family.IPV4:
            return bytes((224, 0, 0, 18))
        return bytes((0xFF, 0x02)) + bytes(13) + bytes((0x12,))


class State(StrEnum):
    """The states of one Virtual Router (RFC 9568 §6.3) and Fault, keepalived's fourth."""

    INITIALIZE = "Initialize"
    BACKUP = "Backup"
    ACTIVE = "Active"
    FAULT = "Fault"


FIRST_HOLDER = "FirstHolder"
"""What names a node the first to be Active in an election that it did not run: no node's name."""


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
    HANDOVER = "Handover"
    HEALTH_LOWERED = "HealthLowered"


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
    INTERVAL_MISMATCH = "interval_mismatch"
    AUTH_TYPE = "auth_type"
    AUTH_PASSWORD = "auth_password"  # noqa: S105 - the name of a reason
    AUTH_MISSING = "auth_missing"
    AUTH_MALFORMED = "auth_malformed"
    AUTH_UNKNOWN_KEY = "auth_unknown_key"
    AUTH_INVALID = "auth_invalid"
    AUTH_STALE = "auth_stale"
    AUTH_REPLAYED = "auth_replayed"
    UNVERIFIED = "unverified"
    TOO_MANY_MEMBERS = "too_many_members"
