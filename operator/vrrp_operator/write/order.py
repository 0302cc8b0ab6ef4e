"""In which order nodes are told what they are to run (pure).

Nothing rests on it: what is written reaches nodes late, in any order, or never. It is who waits.
"""

from __future__ import annotations

from collections.abc import Mapping

from vrrp.constants import FIRST_HOLDER
from vrrp_api.node_config import NodeConfig
from vrrp_operator.membership.facts import ACTIVE
from vrrp_operator.model.snapshot import NodeReport

_FIRST, _BETWEEN, _LAST = range(3)


def in_order(
    configs: Mapping[str, NodeConfig], reports: Mapping[str, NodeReport]
) -> list[tuple[str, NodeConfig]]:
    """Return the nodes' configurations, those first that clients wait for.

    Who holds addresses, or is to be the first to, comes first: an address that is added is answered
    by it. But the end of what it holds a node is told after all others: what it lets go of before
    they know may be theirs for a moment.
    """
    return sorted(configs.items(), key=lambda item: _place(item[1], reports.get(item[0])))


def _place(config: NodeConfig, report: NodeReport | None) -> int:
    status = report.status if report is not None else None
    told = status.virtual_routers if status is not None else ()
    active = {router.name for router in told if router.state == ACTIVE}
    if active.intersection(config.ended):
        return _LAST
    first = any(
        router.name in active or router.take_over == FIRST_HOLDER
        for router in config.virtual_routers
    )
    return _FIRST if first else _BETWEEN
