"""Who says what of an election or a check, found by its name (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TypeVar

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.node_status import CheckStatus, NodeConfigStatus, RouterStatus

_Entry = TypeVar("_Entry", VirtualRouterConfig, RouterStatus, CheckStatus)


class Index:
    """What nodes are asked and say, by name of election and check, and then by node in order."""

    def __init__(
        self, nodes: Iterable[tuple[str, NodeConfig | None, NodeConfigStatus | None]]
    ) -> None:
        self._asked: dict[str, dict[str, VirtualRouterConfig]] = {}
        self._told: dict[str, dict[str, RouterStatus]] = {}
        self._results: dict[str, dict[str, CheckStatus]] = {}
        for node, config, status in sorted(nodes, key=lambda item: item[0]):
            if config is not None:
                _take_in(self._asked, node, config.virtual_routers)
            if status is not None:
                _take_in(self._told, node, status.virtual_routers)
                _take_in(self._results, node, status.checks)

    def elections(self) -> Set[str]:
        """Return the elections that nodes are asked to run, or report."""
        return self._asked.keys() | self._told.keys()

    def asked(self, election: str) -> Mapping[str, VirtualRouterConfig]:
        """Return what nodes are asked to run of an election."""
        return self._asked.get(election, {})

    def told(self, election: str) -> Mapping[str, RouterStatus]:
        """Return what nodes report of an election."""
        return self._told.get(election, {})

    def results(self, check: str) -> Mapping[str, CheckStatus]:
        """Return what nodes report of a check."""
        return self._results.get(check, {})


def _take_in(found: dict[str, dict[str, _Entry]], node: str, entries: Iterable[_Entry]) -> None:
    for entry in entries:
        found.setdefault(entry.name, {}).setdefault(node, entry)
