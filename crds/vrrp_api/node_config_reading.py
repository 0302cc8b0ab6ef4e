"""A NodeConfig that another version may have written: what can be read of it, and what cannot.

Between components reading is lenient: a field that is not known is ignored, and one entry that
cannot be read costs itself. Files of users are read by ``parse_node_config``, which is strict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from vrrp_api.errors import FieldError
from vrrp_api.fields import Fields, object_fields
from vrrp_api.health_check import HealthCheck, parse_resolved_check
from vrrp_api.node_config import (
    MOST_CHECKS,
    MOST_ROUTERS,
    NodeConfig,
    VirtualRouterConfig,
    assemble,
    parse_router,
)

_ENTRY = re.compile(r"spec\.(virtualRouters|healthChecks)\[(\d+)\]\.")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a NodeConfig.

    ``ignored`` are the paths of fields that are not known, as spec.virtualRouters[0].name.
    ``not_understood`` are the virtual routers that are not in ``config``, by name, and why: they
    hold a value that is not known, or use a check that does.
    """

    config: NodeConfig
    ignored: tuple[str, ...] = ()
    not_understood: Mapping[str, str] = field(default_factory=dict)


_Entry = TypeVar("_Entry", VirtualRouterConfig, HealthCheck)


class Entries(Generic[_Entry]):
    """What was read of entries by name, so that an entry that did not change is read once."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Any, _Entry]] = {}
        self._now: dict[str, tuple[Any, _Entry]] = {}

    def begin(self) -> None:
        """Begin to read another object; what is not in it is forgotten with the one after."""
        self._before, self._now = self._now, {}

    def known(self, item: Any) -> _Entry | None:
        """Return what an equal entry was read as."""
        entry = self._before.get(_name(item))
        if entry is None or (entry[0] is not item and entry[0] != item):
            return None
        self._now[_name(item)] = item, entry[1]  # it may be the very one that comes again
        return entry[1]

    def remember(self, item: Any, read: _Entry) -> None:
        """Remember what an entry was read as, of which nothing was ignored."""
        self._now.setdefault(_name(item), (item, read))


class Memory:
    """What was read of a node's configuration before."""

    def __init__(self) -> None:
        self.routers: Entries[VirtualRouterConfig] = Entries()
        self.checks: Entries[HealthCheck] = Entries()


def read_node_config(obj: Mapping[str, Any], memory: Memory | None = None) -> Reading:
    """Read an API object, or a cached copy of one.

    ``memory`` is of the readings before: entries that did not change are the same values.

    Raises:
        FieldError: nothing of it can be used; what is wrong is not one entry's.
    """
    ignored: list[str] = []
    memory = memory or Memory()
    spec, metadata = object_fields(obj, "NodeConfig", ignored)
    checks, wrong = _checks(spec, ignored, memory.checks)
    routers: list[VirtualRouterConfig] = []
    not_understood: dict[str, str] = {}
    for item, read in _entries(
        spec, "virtualRouters", MOST_ROUTERS, parse_router, ignored=ignored, entries=memory.routers
    ):
        if isinstance(read, FieldError):
            not_understood[_name(item)] = str(read)
            continue
        reasons = (wrong[check.name] for check in read.health_checks if check.name in wrong)
        reason = next(reasons, None)
        if reason is None:
            routers.append(read)
        else:
            not_understood[read.name] = reason
    config = assemble(spec, metadata, tuple(routers), checks)
    return Reading(config, tuple(ignored), not_understood)


def unknown_by_router(obj: Mapping[str, Any], reading: Reading) -> dict[str, str]:
    """Return which elections say what is not known, by name, and the first of that.

    What a check says is said by every election that uses it.
    """
    spec = obj["spec"]
    found = dict(reading.not_understood)
    for path in reading.ignored:
        entry = _ENTRY.match(path)
        if entry is None:
            continue
        name = _name(spec[entry[1]][int(entry[2])])
        for router in {name} if entry[1] == "virtualRouters" else _users(reading.config, name):
            found.setdefault(router, f"{path}: is not known")
    return found


def entries_of(obj: Mapping[str, Any], names: Collection[str]) -> tuple[list[Any], list[Any]]:
    """Return virtual routers of a NodeConfig just as they are written, and the checks they use."""
    spec = obj.get("spec") or {}
    routers = [r for r in spec.get("virtualRouters") or () if r.get("name") in names]
    used = {check.get("name") for r in routers for check in r.get("healthChecks") or ()}
    checks = [c for c in spec.get("healthChecks") or () if c.get("name") in used]
    return routers, checks


def _entries(
    spec: Fields,
    key: str,
    most: int,
    parse: Callable[[Fields], _Entry],
    *,
    ignored: list[str],
    entries: Entries[_Entry],
) -> Iterator[tuple[Any, _Entry | FieldError]]:
    """Yield the entries of a list as ``Fields.each``, those that did not change as they were."""
    entries.begin()
    before = len(ignored)
    for item, read in spec.each(key, 0, most, parse, entries.known):
        if not isinstance(read, FieldError) and len(ignored) == before:
            entries.remember(item, read)
        before = len(ignored)
        yield item, read


def _checks(
    spec: Fields, ignored: list[str], entries: Entries[HealthCheck]
) -> tuple[tuple[HealthCheck, ...], dict[str, str]]:
    """Return the checks that can be read, and why others cannot, by name."""
    checks: list[HealthCheck] = []
    wrong: dict[str, str] = {}
    for item, read in _entries(
        spec, "healthChecks", MOST_CHECKS, parse_resolved_check, ignored=ignored, entries=entries
    ):
        if isinstance(read, FieldError):
            wrong[_name(item)] = str(read)
        else:
            checks.append(read)
    return tuple(checks), wrong


def _users(config: NodeConfig, check: str) -> set[str]:
    return {
        router.name
        for router in config.virtual_routers
        if any(used.name == check for used in router.health_checks)
    }


def _name(item: Any) -> str:
    """Return the name of an entry; empty where it has none, which no schema allows."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else ""
