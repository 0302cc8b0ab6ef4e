"""What is remembered of virtual router IDs: which rest, and which strangers use.

An operator that has just begun knows of no rest, one that stands by does: it looks all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial

from vrrp_api.node_config import VirtualRouterConfig
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot
from vrrp_operator.model.vrid_limits import Limits

REST_S = 120.0
"""How long a number rests on a node after an election that used it there ended, or left.

Others may send to the node with it yet: those that cannot be told, and what is on its way."""

STRANGER_S = 3600.0
"""How long a number is avoided after a router outside the cluster was seen to use it."""

_Use = dict[tuple[str, int], str]
"""(Node, number) to the election that uses it there."""


_Said = tuple[str, Iterable[VirtualRouterConfig], Iterable[str]]
"""A node, what it is asked to run, and the elections that it reports."""


class VridMemory:
    """Follows who uses which number where."""

    def __init__(self, reserved: Collection[int] = ()) -> None:
        self._reserved = frozenset(reserved)
        self._used: _Use = {}
        self._freed: dict[tuple[str, int], tuple[str, float]] = {}
        self._told: dict[tuple[str, str], str] = {}
        self._memo = Memo()
        self._foreign_s: dict[int, float] = {}
        self.due_in_s: float | None = None
        """When a number has rested, seconds after the last look; None while none rests."""

    def look(self, snapshot: ClusterSnapshot, now_s: float) -> Limits:
        """Take in what nodes are asked and report; return which numbers are not to be given.

        Args:
            snapshot: the cluster.
            now_s: the operator's monotonic clock.
        """
        asked, used = self._uses(snapshot)
        for key in self._used.keys() - used.keys():
            self._freed[key] = self._used[key], now_s
        self._freed = {
            key: (name, at_s)
            for key, (name, at_s) in self._freed.items()
            if key not in used and now_s - at_s < REST_S
        }
        self._used = used
        freed_s = [at_s for _, at_s in self._freed.values()]
        self.due_in_s = min(freed_s) + REST_S - now_s if freed_s else None
        leaving = {key: name for key, name in used.items() if key not in asked}
        resting = {key: name for key, (name, _) in self._freed.items()}
        return Limits(self._reserved, self._strangers(snapshot, now_s), leaving, resting)

    def _uses(self, snapshot: ClusterSnapshot) -> tuple[Collection[tuple[str, int]], _Use]:
        """Return what nodes are asked to use, and all that they may use.

        One that reports an election which it was told to leave uses its number yet, and one that
        members list is sent to.
        """
        recorded = {record.name: record.virtual_router_id for record in snapshot.virtual_ips}
        said: list[_Said] = [
            (
                node,
                report.config.virtual_routers if report.config is not None else (),
                [r.name for r in report.status.virtual_routers] if report.status else (),
            )
            for node, report in snapshot.reports.items()
        ]
        self._memo.begin()
        return self._memo("uses", (said, recorded), partial(self._uses_as_said, said, recorded))

    def _uses_as_said(
        self, said: Iterable[_Said], recorded: Mapping[str, int | None]
    ) -> tuple[Collection[tuple[str, int]], _Use]:
        asked: _Use = {}
        listed: _Use = {}
        before = {(node, name): number for (node, number), name in self._used.items()}
        for node, routers, told in said:
            for router in routers:
                asked[node, router.virtual_router_id] = router.name
                for peer in router.peers:
                    listed[peer.node, router.virtual_router_id] = router.name
            for name in {*told} - {router.name for router in routers}:
                number = before.get((node, name), recorded.get(name))
                if number is not None:
                    listed.setdefault((node, number), name)
        return asked.keys(), {**listed, **asked}

    def _strangers(self, snapshot: ClusterSnapshot, now_s: float) -> frozenset[int]:
        told = dict(_sightings(snapshot))
        for key, (number, time) in told.items():
            if self._told.get(key) != time:
                self._foreign_s[number] = now_s
        self._told = {key: time for key, (_, time) in told.items()}
        self._foreign_s = {
            number: at_s for number, at_s in self._foreign_s.items() if now_s - at_s < STRANGER_S
        }
        return frozenset(self._foreign_s)


def _sightings(snapshot: ClusterSnapshot) -> Iterator[tuple[tuple[str, str], tuple[int, str]]]:
    """Yield by node and election the number that a stranger was seen to use, and when."""
    for node, report in snapshot.reports.items():
        if report.config is None or report.status is None:
            continue
        numbers = {r.name: r.virtual_router_id for r in report.config.virtual_routers}
        for told in report.status.virtual_routers:
            if told.foreign is not None and told.name in numbers:
                yield (node, told.name), (numbers[told.name], told.foreign.time)
