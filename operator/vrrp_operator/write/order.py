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


def in_turns(
    configs: Mapping[str, NodeConfig], reports: Mapping[str, NodeReport]
) -> tuple[list[tuple[str, NodeConfig]], list[tuple[str, NodeConfig]]]:
    """Return the nodes' configurations in two turns, and in each those first that clients wait for.

    Who holds addresses, or is to be the first to, comes first: an address that is added is answered
    by it. But the end of what it holds a node is told after all others, in the second turn: what it
    lets go of before they know may be theirs for a moment.
    """
    placed = [(_place(config, reports.get(node)), node) for node, config in configs.items()]
    in_order = [(place, node) for place, node in sorted(placed, key=lambda item: item[0])]
    turns = (
        [(node, configs[node]) for place, node in in_order if (place == _LAST) is last]
        for last in (False, True)
    )
    first, second = turns
    return first, second


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
