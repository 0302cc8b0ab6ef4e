"""What the checks mean for each Virtual Router: effective priority and faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vrrp.priority import contribution, effective_priority
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_speaker.agent.checks.state import CheckState


@dataclass(frozen=True, slots=True)
class RouterInputs:
    """The agent's part of one router's state; faults as in NodeConfig status."""

    effective_priority: int
    faults: tuple[str, ...]


def router_inputs(config: NodeConfig, checks: Mapping[str, CheckState]) -> dict[str, RouterInputs]:
    """Return the inputs of every router of the configuration.

    Until its first result, a check of weight 0 holds the router in Fault and a weighted one adds
    nothing, as keepalived does.
    """
    return {router.name: _inputs(router, checks) for router in config.virtual_routers}


def _inputs(router: VirtualRouterConfig, checks: Mapping[str, CheckState]) -> RouterInputs:
    contributions, faults = [], []
    for reference in router.health_checks:
        state = checks.get(reference.name)
        if state is None or not state.decided:
            if reference.weight == 0:
                faults.append(f"CheckPending: {reference.name}")
            continue
        contributions.append(contribution(reference.weight, state.passing))
        if reference.weight == 0 and not state.passing:
            faults.append(f"CheckFailed: {reference.name}")
    return RouterInputs(effective_priority(router.base_priority, contributions), tuple(faults))
