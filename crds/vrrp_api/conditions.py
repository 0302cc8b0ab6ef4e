"""Conditions of the standard shape, and their stable reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class ConditionType(StrEnum):
    """The conditions of VirtualIPs; of those after Programmed True is the bad news."""

    READY = "Ready"
    ACCEPTED = "Accepted"
    PROGRAMMED = "Programmed"
    STALLED = "Stalled"
    NO_STANDBY = "NoStandby"
    SPLIT_BRAIN = "SplitBrain"
    FLAPPING = "Flapping"
    ADDRESS_CONFLICT = "AddressConflict"
    FOREIGN_VRRP = "ForeignVRRP"
    CHECKS_IGNORED = "ChecksIgnored"
    WEIGHT_INEFFECTIVE = "WeightIneffective"
    HANDOVER_IGNORED = "HandoverIgnored"
    DEPRECATED_FIELDS = "DeprecatedFields"


class CheckConditionType(StrEnum):
    """The conditions of HealthChecks; of those after Passing True is the bad news."""

    ACCEPTED = "Accepted"
    PASSING = "Passing"
    STALLED = "Stalled"
    PANIC = "Panic"
    DEPRECATED_FIELDS = "DeprecatedFields"


class Reason(StrEnum):
    """Stable reasons; tools may match them. ``docs/troubleshooting.md`` explains each."""

    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    DOES_NOT_FIT = "DoesNotFit"
    INTERNAL_ERROR = "InternalError"
    STATUS_REFUSED = "StatusRefused"
    ADDRESS_CONFLICT = "AddressConflict"
    ADDRESS_IS_NODE_ADDRESS = "AddressIsNodeAddress"
    EXTERNAL_PEER_CONFLICT = "ExternalPeerConflict"
    VIRTUAL_ROUTER_ID_CONFLICT = "VirtualRouterIDConflict"
    VIRTUAL_ROUTER_IDS_EXHAUSTED = "VirtualRouterIDsExhausted"
    HEALTH_CHECK_NOT_FOUND = "HealthCheckNotFound"
    ENDPOINTS_UNKNOWN = "EndpointsUnknown"
    PROGRAMMED = "Programmed"
    PENDING = "Pending"
    NODE_WITHOUT_ADDRESS = "NodeWithoutAddress"
    NODE_ADDRESS_KEPT = "NodeAddressKept"
    NODE_ADDRESS_REFUSED = "NodeAddressRefused"
    NODE_CONFIG_REFUSED = "NodeConfigRefused"
    NOT_UNDERSTOOD = "NotUnderstood"
    NODE_UNREACHABLE = "NodeUnreachable"
    WAITING_FOR_SUCCESSOR = "WaitingForSuccessor"
    ELECTION_RESTARTS = "ElectionRestarts"
    INTERFACE_NOT_FOUND = "InterfaceNotFound"
    INTERFACE_AMBIGUOUS = "InterfaceAmbiguous"
    NOT_IN_SUBNET = "NotInSubnet"
    IPV6_DISABLED = "IPv6Disabled"
    INTERFACE_DOWN = "InterfaceDown"
    SOURCE_ADDRESS_MISSING = "SourceAddressMissing"
    AUTHENTICATION_KEY_MISSING = "AuthenticationKeyMissing"
    AUTHENTICATION_KEY_INVALID = "AuthenticationKeyInvalid"
    ADDRESS_IN_USE = "AddressInUse"
    ADDRESS_INSTALL_FAILED = "AddressInstallFailed"
    GROUP_NOT_JOINED = "GroupNotJoined"
    ADDRESS_HELD_BY_MEMBER = "AddressHeldByMember"
    NO_MAJORITY = "NoMajority"
    SET_ASIDE = "SetAside"
    ENGINE_SILENT = "EngineSilent"
    CHECK_FAILED = "CheckFailed"
    CHECK_PENDING = "CheckPending"
    CHECK_SLOWED = "CheckSlowed"
    PASSING = "Passing"
    NOT_USED = "NotUsed"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    TARGET_NOT_ALLOWED = "TargetNotAllowed"
    PANIC_THRESHOLD_REACHED = "PanicThresholdReached"
    WEIGHT_INEFFECTIVE = "WeightIneffective"
    ACTIVE = "Active"
    NO_ACTIVE = "NoActive"
    NO_CANDIDATES = "NoCandidates"
    NOT_ACCEPTED = "NotAccepted"
    SUSPENDED = "Suspended"
    SPLIT_BRAIN = "SplitBrain"
    HEARTBEAT_STALE = "HeartbeatStale"
    PROGRESSING = "Progressing"
    NO_STANDBY = "NoStandby"
    FLAPPING = "Flapping"
    FOREIGN_VRRP = "ForeignVRRP"
    NOT_A_CANDIDATE = "NotACandidate"
    UNKNOWN_ANNOTATION = "UnknownAnnotation"
    DEPRECATED_FIELDS = "DeprecatedFields"
    AS_EXPECTED = "AsExpected"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; ``status`` is True, False or Unknown, times are RFC 3339."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str = ""

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": self.last_transition_time,
        }


def parse_conditions(items: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Read conditions back from a status we wrote earlier; incomplete ones are left out."""
    return tuple(
        Condition(
            item["type"],
            item["status"],
            item.get("reason", ""),
            item.get("message", ""),
            item.get("observedGeneration", 0),
            item.get("lastTransitionTime", ""),
        )
        for item in items
        if "type" in item and "status" in item
    )


def merge_conditions(
    old: Sequence[Condition], new: Sequence[Condition], now: str
) -> tuple[Condition, ...]:
    """Return ``new`` with the transition time of ``old`` wherever the status did not flip."""
    known = {condition.type: condition for condition in old}
    merged = []
    for condition in new:
        before = known.get(condition.type)
        same = before is not None and before.status == condition.status
        time = before.last_transition_time if before is not None and same else now
        merged.append(replace(condition, last_transition_time=time or now))
    return tuple(merged)
