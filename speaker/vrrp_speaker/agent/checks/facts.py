"""Checks of what the operator found out: the answer is in the configuration."""

from __future__ import annotations

from dataclasses import replace

from vrrp_api.check_kinds import CheckKind, NodeConditionCheck, ServiceCheck
from vrrp_speaker.agent.checks.verdict import Result


def known_result(kind: CheckKind) -> Result | None:
    """Return what the operator's findings come to; None for a kind that looks for itself."""
    match kind:
        case NodeConditionCheck(observed=None):
            return Result(False, f"the node's condition {kind.type} is not known")
        case NodeConditionCheck():
            passed = kind.observed == kind.status
            return Result(passed, "" if passed else f"{kind.type} is {kind.observed}")
        case ServiceCheck(ready_endpoints=None):
            return Result(False, f"Service {kind.target} does not exist")
        case ServiceCheck(ready_endpoints=0):
            return Result(False, f"Service {kind.target} has no ready endpoint here")
        case ServiceCheck():
            return Result(True)
        case _:
            return None


def asked(kind: CheckKind) -> CheckKind:
    """Return a kind without findings: checks that ask the same have the same."""
    match kind:
        case NodeConditionCheck():
            return replace(kind, observed=None)
        case ServiceCheck():
            return replace(kind, ready_endpoints=None)
        case _:
            return kind
