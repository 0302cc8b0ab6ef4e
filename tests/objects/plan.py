"""What is done to a cluster's objects, step by step: drawn from a seed before anything runs (pure).

Beside ten ordinary VirtualIPs odd ones come, change and go, and so do odd HealthChecks, Nodes and
EndpointSlices. Statuses, Leases and NodeConfigs are written over, compilers killed, disks filled,
keys damaged. Now and then one of the ten changes, as its owner would change it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.fuzz.draw import draw_health_check, draw_virtual_ip, schema
from tests.objects.odd import (
    DAMAGES,
    NODES,
    OF_TEN,
    TEN,
    defaced,
    odd_lease,
    odd_node,
    odd_report,
    odd_report_of_machine,
    odd_slice,
    odd_status,
)

GHOST = "ghost"
"""A Node without a machine, which reports all the same."""
_ODD_VIRTUAL_IPS = (*(f"odd-{n}" for n in range(20)), "odd-" + "n" * 249)
_CHECKS = ("one", "two", "none", "n" * 253)
"""The names that odd VirtualIPs ask for."""
ODD_NODES = (GHOST, "n" * 253, "node-9", "192.0.2.13")
_ODD_SLICES = ("odd-0", "odd-1")
LONGEST_FAULT_S = 2.0
_MOST_KILLED = 2


class Kind(StrEnum):
    """What can be done."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    REPLACE = "re-create"
    RENAME = "rename"
    NODE = "odd Node"
    STATUS = "odd status"
    REPORT = "odd report"
    CONFIG = "NodeConfig defaced"
    LOSE_CONFIG = "NodeConfig deleted"
    SLICE = "odd EndpointSlice"
    LEASE = "odd Lease"
    KILL = "link changed, compilers killed"
    KEYS = "keys damaged"
    NAME = "odd interface"
    IDLE = "idle connections"
    FULL = "disk full"
    READ_ONLY = "disk read-only"
    CHANGE = "change of the ten"


_WEIGHTS: Mapping[Kind, int] = {
    Kind.CREATE: 16,
    Kind.EDIT: 16,
    Kind.DELETE: 6,
    Kind.REPLACE: 6,
    Kind.RENAME: 4,
    Kind.NODE: 10,
    Kind.STATUS: 8,
    Kind.REPORT: 6,
    Kind.CONFIG: 6,
    Kind.LOSE_CONFIG: 4,
    Kind.SLICE: 4,
    Kind.LEASE: 4,
    Kind.KILL: 4,
    Kind.KEYS: 3,
    Kind.NAME: 2,
    Kind.IDLE: 2,
    Kind.FULL: 3,
    Kind.READ_ONLY: 3,
    Kind.CHANGE: 16,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done; ``kind_of`` and ``name`` say to which object, or on which node."""

    number: int
    kind: Kind
    kind_of: str = ""
    name: str = ""
    value: Any = None
    to: str = ""
    """The new name of what is renamed."""

    def __str__(self) -> str:
        words = (f"{self.number:3}", self.kind, self.kind_of, self.name[:40], self.to[:40])
        text = " ".join(word for word in words if word)
        told = text if self.value is None else f"{text}: {str(self.value)[:300]}"
        return told.encode(errors="backslashreplace").decode()


@dataclass
class _Drawing:
    """What is there while steps are drawn."""

    rng: random.Random
    odd: dict[str, set[str]] = field(
        default_factory=lambda: {"virtualips": set(), "healthchecks": set()}
    )
    second: set[str] = field(default_factory=set)
    """Those of the ten that have a second address."""


_NAMES = {"virtualips": _ODD_VIRTUAL_IPS, "healthchecks": _CHECKS}
_DRAW: Mapping[str, Callable[[random.Random, Mapping[str, Any]], dict[str, Any]]] = {
    "virtualips": draw_virtual_ip,
    "healthchecks": draw_health_check,
}


def draw_steps(seed: int, count: int) -> tuple[Step, ...]:
    """Return what a seed draws."""
    drawing = _Drawing(random.Random(seed))
    schemas = {kind: schema(kind) for kind in _NAMES}
    return tuple(_step(drawing, number, schemas) for number in range(1, count + 1))


def _step(drawing: _Drawing, number: int, schemas: Mapping[str, Mapping[str, Any]]) -> Step:
    rng = drawing.rng
    kind = rng.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))[0]
    if kind in (Kind.CREATE, Kind.EDIT, Kind.DELETE, Kind.REPLACE, Kind.RENAME):
        return _of_odd(drawing, number, kind, schemas)
    if kind is Kind.CHANGE:
        return _change(drawing, number)
    if kind is Kind.STATUS:
        return _status(drawing, number)
    return Step(number, kind, *_OF_OTHERS[kind](rng))


def _seconds(rng: random.Random) -> float:
    return round(rng.uniform(0.2, LONGEST_FAULT_S), 1)


def _for_seconds(rng: random.Random) -> tuple[str, str, Any]:
    return "seconds on", rng.choice(NODES), _seconds(rng)


def _keys(rng: random.Random) -> tuple[str, str, Any]:
    file, found = rng.choice(DAMAGES)
    return file, rng.choice(NODES), (_seconds(rng), found)


_OF_OTHERS: Mapping[Kind, Callable[[random.Random], tuple[str, str, Any]]] = {
    Kind.NODE: lambda rng: (
        *("nodes", rng.choice(ODD_NODES)),
        odd_node(rng) if rng.random() < 0.75 else None,
    ),
    Kind.REPORT: lambda rng: ("nodeconfigs", GHOST, odd_report(rng)),
    Kind.CONFIG: lambda rng: ("nodeconfigs", rng.choice(NODES), defaced(rng)),
    Kind.LOSE_CONFIG: lambda rng: ("nodeconfigs", rng.choice((*NODES, "--all")), None),
    Kind.SLICE: lambda rng: ("endpointslices", rng.choice(_ODD_SLICES), odd_slice(rng)),
    Kind.LEASE: lambda rng: ("leases", rng.choice(NODES), odd_lease(rng)),
    Kind.KILL: lambda rng: ("times on", rng.choice(NODES), rng.randint(1, _MOST_KILLED)),
    Kind.KEYS: _keys,
    Kind.NAME: _for_seconds,
    Kind.IDLE: _for_seconds,
    Kind.FULL: _for_seconds,
    Kind.READ_ONLY: _for_seconds,
}
"""What is done to what nobody keeps count of: kind, name, value; without that the thing goes."""


def _status(drawing: _Drawing, number: int) -> Step:
    """Return a step that writes over what the operator, or a speaker, has said."""
    rng = drawing.rng
    if rng.random() < 0.25:
        name = rng.choice(NODES)
        return Step(number, Kind.STATUS, "nodeconfigs", name, odd_report_of_machine(rng))
    names = [("virtualips", n) for n in (*TEN, *sorted(drawing.odd["virtualips"]))]
    names += [("healthchecks", n) for n in sorted(drawing.odd["healthchecks"])]
    of, name = rng.choice(names)
    return Step(number, Kind.STATUS, of, name, odd_status(rng))


def _of_odd(
    drawing: _Drawing, number: int, kind: Kind, schemas: Mapping[str, Mapping[str, Any]]
) -> Step:
    """Return a step of an odd VirtualIP or HealthCheck; where there is none yet, one comes."""
    rng = drawing.rng
    of = rng.choice(("virtualips", "virtualips", "virtualips", "healthchecks"))
    living = sorted(drawing.odd[of])
    free = [name for name in _NAMES[of] if name not in drawing.odd[of]]
    if not living or (kind is Kind.CREATE and free):
        kind, name = Kind.CREATE, rng.choice(free)
    else:
        name = rng.choice(living)
        kind = Kind.EDIT if kind is Kind.CREATE or (kind is Kind.RENAME and not free) else kind
    if kind is Kind.DELETE:
        drawing.odd[of].discard(name)
        return Step(number, kind, of, name)
    drawing.odd[of].add(name)
    if kind is Kind.RENAME:
        to = rng.choice(free)
        drawing.odd[of] ^= {name, to}
        return Step(number, kind, of, name, to=to)
    return Step(number, kind, of, name, _spec(rng, of, schemas[of]))


def _spec(rng: random.Random, of: str, whole: Mapping[str, Any]) -> Any:
    drawn = _DRAW[of](rng, whole)
    if of == "virtualips" and isinstance(drawn, dict) and rng.random() < 0.15:
        drawn["addresses"] = [{"address": rng.choice((f"{OF_TEN}/24", OF_TEN))}]
    if of == "virtualips" and isinstance(drawn, dict) and rng.random() < 0.1:
        drawn["virtualRouterID"] = rng.randint(1, 16)  # one of the ten's, most likely
    return drawn


def _change(drawing: _Drawing, number: int) -> Step:
    """Return a step of an owner: a second address comes or goes, or announcements change."""
    rng = drawing.rng
    name = rng.choice(TEN)
    if rng.random() < 0.3:
        spec: dict[str, Any] = {"announcements": {"burst": rng.randint(1, 100)}}
    else:
        drawing.second ^= {name}
        addresses = [address_of(name), second_address_of(name)]
        wanted = addresses if name in drawing.second else addresses[:1]
        spec = {"addresses": [{"address": f"{a}/24"} for a in wanted]}
    return Step(number, Kind.CHANGE, "virtualips", name, spec)


def address_of(name: str) -> str:
    """Return the address of one of the ten, which it never loses."""
    return f"192.0.2.{150 + TEN.index(name)}"


def second_address_of(name: str) -> str:
    """Return the address that one of the ten has now and then."""
    return f"192.0.2.{170 + TEN.index(name)}"
