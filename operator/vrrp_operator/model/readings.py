"""What objects were read as, so that each is read once for as long as it stays the same (pure).

An object that did not change is the same value in every snapshot, and so are the entries of one
that did: who compares values finds by that what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from vrrp_api.node_config_reading import Memory
from vrrp_api.node_status import NodeConfigStatus, StatusMemory, parse_node_config_status
from vrrp_operator.model.abilities import Abilities, with_abilities
from vrrp_operator.model.nodes import node_value
from vrrp_operator.model.snapshot import (
    Asked,
    HealthCheckRecord,
    Node,
    VirtualIPRecord,
    asked_of,
    health_check_record,
    not_deleted,
    virtual_ip_record,
)

Object = Mapping[str, Any]
_Record = TypeVar("_Record", VirtualIPRecord, HealthCheckRecord)


class Readings:
    """Values of the objects of one cluster; one that is gone is forgotten."""

    def __init__(self) -> None:
        self._virtual_ips: dict[str, tuple[Object, VirtualIPRecord]] = {}
        self._health_checks: dict[str, tuple[Object, HealthCheckRecord]] = {}
        self._nodes: dict[str, tuple[Object, Node]] = {}
        self._configs: dict[str, _NodeConfigs] = {}

    def virtual_ips(self, objects: Iterable[Object]) -> tuple[VirtualIPRecord, ...]:
        """Return the records of VirtualIPs, by name."""
        self._virtual_ips = _records(objects, self._virtual_ips, virtual_ip_record)
        return tuple(record for _, record in self._virtual_ips.values())

    def health_checks(self, objects: Iterable[Object]) -> tuple[HealthCheckRecord, ...]:
        """Return the records of HealthChecks, by name."""
        self._health_checks = _records(objects, self._health_checks, health_check_record)
        return tuple(record for _, record in self._health_checks.values())

    def node(self, obj: Object, *, has_speaker: bool, gone: bool) -> Node:
        """Return the value of a Node; whatever reading it raises is raised each time."""
        name = obj["metadata"]["name"]
        known = self._nodes.get(name)
        if known is None or known[0] is not obj:
            known = obj, node_value(obj, has_speaker=has_speaker, gone=gone)
        node = known[1]
        if (node.has_speaker, node.gone) != (has_speaker, gone):
            node = replace(node, has_speaker=has_speaker, gone=gone)
        self._nodes[name] = obj, node
        return node

    def node_config(
        self, obj: Object, abilities: Abilities | None
    ) -> tuple[Asked, NodeConfigStatus | None]:
        """Return what a NodeConfig asks, and what its speaker reports, with what it can do."""
        return self._configs.setdefault(obj["metadata"]["name"], _NodeConfigs()).read(
            obj, abilities
        )

    def forget_others(self, nodes: Iterable[str], node_configs: Iterable[str]) -> None:
        """Forget what is of none of these."""
        for known, names in ((self._nodes, set(nodes)), (self._configs, set(node_configs))):
            for name in known.keys() - names:
                known.pop(name)


class _NodeConfigs:
    """One node's NodeConfig, each of its versions in turn."""

    def __init__(self) -> None:
        self._routers, self._entries = Memory(), StatusMemory()
        self._obj: Object = {}
        self._asked: Asked | None = None
        self._status: NodeConfigStatus | None = None
        self._read_status = False

    def read(
        self, obj: Object, abilities: Abilities | None
    ) -> tuple[Asked, NodeConfigStatus | None]:
        before, self._obj = self._obj, obj
        if self._asked is None or (before is not obj and not _asks_the_same(before, obj)):
            self._asked = None  # should it raise, it does so again
            self._asked = asked_of(obj, self._routers)
        if not self._read_status or (
            before is not obj and before.get("status") != obj.get("status")
        ):
            self._read_status = False
            self._status = parse_node_config_status(obj, self._entries)
            self._read_status = True
        return self._asked, with_abilities(self._status, abilities)


def _asks_the_same(before: Object, obj: Object) -> bool:
    same = before["metadata"].get("generation") == obj["metadata"].get("generation")
    return same and bool(before.get("spec") == obj.get("spec"))


def _records(
    objects: Iterable[Object],
    known: Mapping[str, tuple[Object, _Record]],
    read: Callable[[Object, tuple[Object, _Record] | None], _Record],
) -> dict[str, tuple[Object, _Record]]:
    found: dict[str, tuple[Object, _Record]] = {}
    for obj in not_deleted(objects):
        name = obj["metadata"]["name"]
        before = known.get(name)
        same = before is not None and before[0] is obj
        found[name] = before if same and before is not None else (obj, read(obj, before))
    return found
