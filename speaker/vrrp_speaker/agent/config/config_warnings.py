"""What is allowed in a NodeConfig and most likely not meant. Pure: the values decide alone."""

from __future__ import annotations

from collections.abc import Iterator

from vrrp_api.check_kinds import NodeConditionCheck, ServiceCheck
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.weights import ineffective

_FAST_NS = 50_000_000
"""Below it, a busy machine misses deadlines without real-time scheduling (docs/benchmarks.md)."""


def config_warnings(config: NodeConfig) -> Iterator[tuple[str, str]]:
    """Yield what is doubtful: the path of the field, and what comes of it."""
    for index, router in enumerate(config.virtual_routers):
        for field, text in _router(config, router):
            yield f"spec.virtualRouters[{index}].{field}", text
    used = {check.name for router in config.virtual_routers for check in router.health_checks}
    for index, check in enumerate(config.health_checks):
        if check.name not in used:
            yield f"spec.healthChecks[{index}].name", f"{check.name}: no virtual router uses it"
        if isinstance(check.kind, NodeConditionCheck | ServiceCheck):
            field = "service" if isinstance(check.kind, ServiceCheck) else "nodeCondition"
            text = "only an operator knows, so a file says what was true when it was written"
            yield f"spec.healthChecks[{index}].{field}", text


def _router(config: NodeConfig, router: VirtualRouterConfig) -> Iterator[tuple[str, str]]:
    election, transport = router.election, router.election.transport
    others = bool(router.peers or transport.external_peers or transport.multicast)
    if not others:
        yield "peers", "empty: no other node takes the addresses when this one dies"
    if not transport.multicast and not any(
        (":" in address) == (router.family == 6) for address in config.addresses
    ):
        family = f"IPv{router.family}"
        yield "addresses", f"spec.addresses has no {family} address to send from: stays in Fault"
    for index, peer in enumerate(router.peers):
        if peer.address in config.addresses:
            yield f"peers[{index}].address", f"{peer.address} is this node's own"
        elif peer.priority == router.base_priority:
            text = f"{peer.priority} is this node's, too: the higher address decides"
            yield f"peers[{index}].priority", text
    if election.advertisement_interval_ns < _FAST_NS:
        text = "below 50ms: a busy machine keeps it with real-time scheduling only (CAP_SYS_NICE)"
        yield "advertisementInterval", text
    if others and election.authentication is None and not transport.external_peers:
        yield "authentication", "absent: not signed, so any host of the link can take part"
    if transport.external_peers or transport.multicast:
        return  # priorities outside the cluster are not known: there any weight may count
    checks = {check.name: check for check in config.health_checks}
    priorities = [router.base_priority, *(peer.priority for peer in router.peers)]
    for index in ineffective(router.health_checks, checks, priorities):
        weight = router.health_checks[index].weight
        text = "never changes which node is best, whatever the checks say"
        yield f"healthChecks[{index}].weight", f"{weight} {text}"
