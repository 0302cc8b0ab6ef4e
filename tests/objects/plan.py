"""What is done to a cluster's objects, step by step: drawn from a seed before anything runs (pure).

Beside ten ordinary VirtualIPs odd ones come, change and go, and so do odd HealthChecks and Nodes.
Statuses and NodeConfigs are written over, compilers killed, disks filled. Now and then one of the
ten changes, as its owner would change it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.fuzz.draw import draw_health_check, draw_virtual_ip, schema

NODES = ("node-1", "node-2", "node-3", "node-4")
TEN = tuple(f"ten-{n}" for n in range(10))
GHOST = "ghost"
"""A Node without a machine, which reports all the same."""
_ODD_VIRTUAL_IPS = (*(f"odd-{n}" for n in range(20)), "odd-" + "n" * 249)
_CHECKS = ("one", "two", "none", "n" * 253)
"""The names that odd VirtualIPs ask for."""
ODD_NODES = (GHOST, "n" * 253, "node-9", "192.0.2.13")
_OF_TEN = "192.0.2.150"
LONGEST_FAULT_S = 2.0


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
    KILL = "compilers killed"
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
    Kind.KILL: 3,
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
        return text if self.value is None else f"{text}: {str(self.value)[:300]}"


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
    if kind is Kind.NODE:
        return _node(rng, number)
    if kind is Kind.STATUS:
        names = [("virtualips", n) for n in (*TEN, *sorted(drawing.odd["virtualips"]))]
        names += [("healthchecks", n) for n in sorted(drawing.odd["healthchecks"])]
        of, name = rng.choice(names)
        return Step(number, kind, of, name, _odd_status(rng))
    if kind is Kind.REPORT:
        return Step(number, kind, "nodeconfigs", GHOST, _odd_report(rng))
    if kind is Kind.CONFIG:
        return Step(number, kind, "nodeconfigs", rng.choice(NODES), _defaced(rng))
    if kind is Kind.LOSE_CONFIG:
        return Step(number, kind, "nodeconfigs", rng.choice((*NODES, "--all")))
    seconds = round(rng.uniform(0.2, LONGEST_FAULT_S), 1)
    return Step(number, kind, "seconds on", rng.choice(NODES), seconds)


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
        drawn["addresses"] = [{"address": rng.choice((f"{_OF_TEN}/24", _OF_TEN))}]
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


# What others write --------------------------------------------------------------------------


def _node(rng: random.Random, number: int) -> Step:
    """Return a Node that comes, changes or, without a value, goes."""
    name = rng.choice(ODD_NODES)
    if rng.random() < 0.25:
        return Step(number, Kind.NODE, "nodes", name)
    addresses = rng.choices(
        (
            {"type": "InternalIP", "address": rng.choice(("192.0.2.99", "192.0.2.11", _OF_TEN))},
            {"type": "InternalIP", "address": rng.choice(("", "nowhere", "fe80::1%eth0", "::"))},
            {"type": "InternalIP", "address": "2001:db8::99"},
            {"type": "Hostname", "address": "ü" * 100},
        ),
        k=rng.choice((0, 1, 2, 5)),
    )
    conditions = rng.choices(
        (
            {"type": "Ready", "status": rng.choice(("True", "False", "Unknown", "Perhaps", ""))},
            {"type": "T" * 500, "status": "True", "message": "ü" * 2000},
            {"type": "", "status": ""},
        ),
        k=rng.choice((0, 1, 3)),
    )
    unique = list({condition["type"]: condition for condition in conditions}.values())
    labels = rng.choice(({}, {"kubernetes.io/hostname": "node-1"}, {"example.com/a": "v" * 63}))
    notes = rng.choice(({}, {"kube-vrrp.io/maintenance": rng.choice(("true", "perhaps", ""))}))
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    value = {
        "metadata": {"labels": labels, "annotations": notes},
        "spec": {"taints": [taint]} if rng.random() < 0.2 else {},
        "status": {"addresses": addresses, "conditions": unique},
    }
    return Step(number, Kind.NODE, "nodes", name, value)


def _odd_status(rng: random.Random) -> Any:
    """Return what is merged into a status; None: the whole of it goes."""
    long = {"type": "Ready", "status": "True", "reason": "R" * 1024, "message": "m" * 32768}
    return rng.choice(
        (
            None,
            {"virtualRouterID": None},
            {"nodes": None, "history": None},
            {"conditions": []},
            {"conditions": [{**long, "lastTransitionTime": "0001-01-01T00:00:00Z"}]},
            {"conditions": [{**long, "type": "Odd", "lastTransitionTime": "9999-12-31T23:59:59Z"}]},
            {"observedGeneration": rng.choice((0, 2**53, -1))},
            {"activeNode": "nobody", "since": "never", "effectivePriority": 0},
            {"nodes": [{"node": n, "state": "Active"} for n in NODES]},
            {"transitions": 2**53, "standbys": -1, "unknown": {"field": 1}},
        )
    )


def _odd_report(rng: random.Random) -> dict[str, Any]:
    """Return what a node without a machine says of itself and of the ten."""
    name = rng.choice(TEN)
    router = {
        "name": name,
        "virtualIPGeneration": rng.choice((0, 1, 2**53)),
        "state": rng.choice(("Active", "Backup", "Fault", "Initialize")),
        "effectivePriority": rng.choice((0, 1, 254)),
        "since": rng.choice(("2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z")),
        "transitions": rng.choice((0, 2**31)),
        "faults": rng.choice(([], ["x" * 512], ["CheckFailed: one"])),
    }
    return {
        "heartbeatTime": f"2026-01-01T00:00:{rng.randint(0, 59):02}Z",
        "observedGeneration": rng.choice((0, 1, 2**53)),
        "virtualRouters": rng.choice(([], [router], [router, {**router, "name": "nobody"}])),
        "checks": rng.choice(([], [{"name": "one", "passing": True, "message": "ü" * 300}])),
    }


def _defaced(rng: random.Random) -> dict[str, Any] | None:
    """Return what is merged into a NodeConfig's metadata; None: its spec gets a router more."""
    return rng.choice(
        (
            None,
            None,
            {"annotations": {"kube-vrrp.io/fence": "another one's"}},
            {"annotations": {"kube-vrrp.io/fence": None}},
            {"annotations": {"a": "v" * 100_000}},
            {"labels": {"kube-vrrp.io/node": "another"}},
            {"finalizers": ["example.org/hold"]},
            {"finalizers": None},
        )
    )
