"""What the checks mean for each Virtual Router: effective priority and faults.

Until its first result, a check of weight 0 holds a new router in Fault and a weighted one adds
nothing, as keepalived does. A check that is added to a router which has had all results already
does not hold it; and an agent that finds routers running, because another agent ended, says nothing
of them before all their checks have results: what was last said of them stays true until then.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp.priority import effective_priority
from vrrp_api.check_kinds import CheckKind, FileCheck, InterfaceCheck, ProcessCheck
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import NodeConfig, RouterCheck, VirtualRouterConfig
from vrrp_api.trackers import Effect, TrackerKind, file_effect, state_effect, tracked_weight
from vrrp_speaker.agent.checks.verdict import Verdict

_UNDECIDED = Verdict(decided=False, passing=False)


@dataclass(frozen=True, slots=True)
class RouterInputs:
    """The agent's part of one router's state; faults as in NodeConfig status.

    ``keeps``: the faults are checks that may be failing everywhere, so that only a successor ends
    this node's holding of the addresses.
    """

    effective_priority: int
    base_priority: int
    faults: tuple[str, ...] = ()
    keeps: bool = False

    def to_object(self) -> dict[str, Any]:
        """Return them as the engine is told."""
        return {
            "effectivePriority": self.effective_priority,
            "basePriority": self.base_priority,
            "faults": list(self.faults),
            "keeps": self.keeps,
        }


class InputsJudge:
    """Joins verdicts into inputs; remembers which routers have had all results once."""

    def __init__(self) -> None:
        self._settled: set[str] = set()
        self._adopted: set[str] = set()

    def adopt(self, running: Iterable[str]) -> None:
        """Take over routers that ran before this agent did."""
        self._adopted.update(running)

    def judge(self, config: NodeConfig, verdicts: Mapping[str, Verdict]) -> dict[str, RouterInputs]:
        """Return the inputs of every router that there is something to say of."""
        found = {}
        for router in config.virtual_routers:
            if all(_verdict(verdicts, check).decided for check in router.health_checks):
                self._settled.add(router.name)
                self._adopted.discard(router.name)
            if router.name not in self._adopted:
                found[router.name] = router_inputs(router, config, verdicts, self._settled)
        names = {router.name for router in config.virtual_routers}
        self._settled &= names
        self._adopted &= names
        return found


def router_inputs(
    router: VirtualRouterConfig,
    config: NodeConfig,
    verdicts: Mapping[str, Verdict],
    settled: Container[str] = (),
) -> RouterInputs:
    """Return one router's inputs; ``settled`` names those which pending checks do not hold."""
    checks = {check.name: check for check in config.health_checks}
    points, faults, keeps = [], [], True
    for reference in router.health_checks:
        check = checks.get(reference.name)
        verdict = _verdict(verdicts, reference)
        pending = check is None or not verdict.decided
        if reference.ignored:
            continue
        if pending:
            if reference.weight == 0 and router.name not in settled:
                faults.append(f"CheckPending: {reference.name}")
            continue
        assert check is not None
        effect = _effect(check, reference, verdict, router.base_priority)
        points.append(effect.contribution)
        if effect.fault:
            faults.append(f"CheckFailed: {reference.name}")
            keeps &= check.panic_threshold is not None
    priority = effective_priority(router.base_priority, points)
    keeps = bool(faults) and keeps
    return RouterInputs(priority, router.base_priority, tuple(faults), keeps)


def _verdict(verdicts: Mapping[str, Verdict], reference: RouterCheck) -> Verdict:
    return verdicts.get(reference.name, _UNDECIDED)


def _effect(check: HealthCheck, reference: RouterCheck, verdict: Verdict, base: int) -> Effect:
    tracker = _tracker(check.kind)
    weight = tracked_weight(tracker, reference.weight, base)
    assert weight is not None, "only an owner's priority is fixed, and there is none"
    if verdict.unreadable:
        # keepalived reads whatever is there; ours does not, and nobody knows what the number is.
        return Effect(fault=weight == 0)
    if tracker is TrackerKind.FILE:
        return file_effect(weight, verdict.value, reference.reverse)
    return state_effect(weight, verdict.passing, reference.reverse)


def _tracker(kind: CheckKind) -> TrackerKind:
    """Return the tracker of keepalived's that a kind counts as."""
    match kind:
        case FileCheck():
            return TrackerKind.FILE
        case InterfaceCheck():
            return TrackerKind.INTERFACE
        case ProcessCheck():
            return TrackerKind.PROCESS
        case _:
            return TrackerKind.SCRIPT
