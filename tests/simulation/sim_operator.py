"""The operator in virtual time: its own cache and planner, writes that come late or are lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.simulation.api import Object, SimulatedApi
from tests.simulation.settings import MS, SECOND
from tests.simulation.sim_elector import Done, SimulatedElector, SimulatedLease

from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.plan.planner import Plan, Planner
from vrrp_operator.report.status import virtual_ip_status
from vrrp_operator.write.fences import FENCE, Fences

TICK_NS = 10 * SECOND
DEBOUNCE_NS = 50 * MS
TIMEOUT_NS = 15 * SECOND
EPOCH_S = 1_780_000_000
_LOST, _LATE = 0.01, 0.02
"""Shares of writes that nobody hears of again, and that arrive when they are given up."""
KEY_REF = "cluster"

_Write = tuple[str, Object | None, str | None]
"""A NodeConfig's name, its spec, and the version to write over; without a spec a fence."""


def _unseen(_: bool) -> None:
    """Note nothing: there is one operator."""


class SimulatedOperator:
    """One process: it decides from what watches have told it, and forgets all when it ends."""

    def __init__(
        self,
        api: SimulatedApi,
        rng: random.Random,
        leases_in: str | None = "kube-vrrp",
        lease: SimulatedLease | None = None,
    ) -> None:
        """Begin; with the ``lease`` of several one of them decides."""
        self._api = api
        self.elector: SimulatedElector | None = None
        if lease is not None:
            self.elector = SimulatedElector(lease, random.Random(rng.random()), self._trigger)
        self._term = 0
        self._rng = rng
        self._cache = ObjectCache()
        self._planner = Planner(KEY_REF)
        self.alive = True
        self._due = self._busy = self._again = False
        self._writes: list[_Write] = []
        self._fences = Fences(f"since {api.lan.now_ns}")
        self._seen_ns: dict[str, int] = {}
        self._leases_in: str | None = ""
        self.plan: Plan | None = None
        self.planned_ns = 0
        self.came_late: list[bool] = []
        """Whether each write that came late was done."""
        for kind, obj in api.all():
            self._put(kind, obj, deleted=False)
        api.watch(self._hear)
        api.lan.after(api.soon_ns(2_000), partial(self._read_leases, leases_in))
        self._tick(api.lan.now_ns)

    def end(self) -> None:
        """Die; what was sent is on its way, and arrives."""
        if self.alive:
            self.alive = False
            self._api.unwatch(self._hear)
            if self.elector is not None:
                self.elector.end()

    def stand_still(self, until_ns: int) -> None:
        """Be stopped until then, just as a write is being sent: it is sent as it goes on."""
        if self.elector is None or not self.alive:
            return
        if self._writes and self._may_write():
            write = self._writes.pop(0)
            done = self.elector.sends(write[0])
            self._api.lan.at(until_ns, partial(self._arrive_late, write, done))
        self.elector.stands_until_ns = until_ns

    @property
    def is_writing(self) -> bool:
        """Whether it has a NodeConfig to write yet."""
        return any(spec is not None for _, spec, _ in self._writes)

    def _stands(self, then: Callable[[int], None]) -> bool:
        """Return whether it is stopped; if so that is done afterwards."""
        stands = self.elector is not None and self._api.lan.now_ns < self.elector.stands_until_ns
        if stands and self.elector is not None:
            self._api.lan.at(self.elector.stands_until_ns, then)
        return stands

    def _may_write(self) -> bool:
        elector = self.elector
        return elector is None or (elector.term == self._term and elector.leads())

    def _begin_term(self) -> None:
        if self.elector is not None and self.elector.term != self._term:
            self._term = self.elector.term
            self._fences = Fences(f"term {self._term} since {self._api.lan.now_ns}")
            for kind, obj in self._api.all():
                self._put(kind, obj, deleted=False)

    def _now_s(self) -> float:
        return self._api.lan.now_ns / SECOND

    def _hear(self, kind: str, obj: Object, deleted: bool, now_ns: int) -> None:
        # The watch of one kind keeps the order; what several bring comes in any.
        seen_ns = max(self._seen_ns.get(kind, 0), now_ns + self._api.soon_ns(300))
        self._seen_ns[kind] = seen_ns
        self._api.lan.at(seen_ns, lambda _: self._take_in(kind, obj, deleted))

    def _take_in(self, kind: str, obj: Object, deleted: bool) -> None:
        if self._stands(lambda _: self._take_in(kind, obj, deleted)):
            return
        if self.alive and self._put(kind, obj, deleted=deleted):
            self._trigger()

    def _put(self, kind: str, obj: Object, *, deleted: bool) -> bool:
        if kind == "leases":
            return not deleted and self._cache.put_lease(obj, self._now_s())
        return self._cache.put(kind, obj, deleted=deleted, now_s=self._now_s())

    def _read_leases(self, leases_in: str | None, _: int) -> None:
        """Have read Leases for the first time; None: they cannot be read."""
        self._leases_in = leases_in
        if self.alive:
            self._trigger()

    def _trigger(self) -> None:
        if self._busy:
            self._again = True
        elif not self._due:
            self._due = True
            self._api.lan.after(DEBOUNCE_NS, self._cycle)

    def _tick(self, _: int) -> None:
        if self.alive:
            self._trigger()
            self._api.lan.after(TICK_NS, self._tick)

    def _cycle(self, now_ns: int) -> None:
        if self._stands(self._cycle):
            return
        self._due = False
        if not self.alive or self._busy:
            return
        if self.elector is not None:
            if not self.elector.leads():
                return
            self._begin_term()
        unfenced = self._fences.missing(self._cache.names("nodeconfigs"))
        if unfenced:
            self._writes = [(name, None, None) for name in unfenced]
            self._busy = self._again = True
            self._write_next()
            return
        snapshot = replace(self._cache.snapshot(self._now_s()), lease_namespace=self._leases_in)
        self.plan, self.planned_ns = self._planner.plan(snapshot), now_ns
        wall = datetime.fromtimestamp(EPOCH_S + now_ns / SECOND, UTC)
        for record in snapshot.virtual_ips:
            status = virtual_ip_status(
                record, snapshot, self.plan, wall.strftime("%Y-%m-%dT%H:%M:%SZ")
            )
            if status != record.status:
                self._api.put("virtualips", record.name, status=status)
        for name in self._cache.names("nodeconfigs"):
            if name not in self.plan.configs and snapshot.nodes:
                self._api.delete("nodeconfigs", name)
        self._writes = [
            (name, spec, current["metadata"]["resourceVersion"] if current else None)
            for name, config in self.plan.configs.items()
            for spec, current in [
                (config.to_object()["spec"], self._cache.get("nodeconfigs", name))
            ]
            if current is None or current.get("spec") != spec
        ]
        self._busy = True
        self._write_next()

    def _write_next(self) -> None:
        """Send the next write, and go on with its answer; decide again where one is refused."""
        if not self.alive or self._stands(lambda _: self._write_next()):
            return
        if not self._may_write():
            self._writes = []
        if not self._writes:
            self._busy = False
            if self._again:
                self._again = False
                self._trigger()
            return
        write = self._writes.pop(0)
        done = self.elector.sends(write[0]) if self.elector is not None else _unseen
        fate = self._rng.random()
        if fate < _LOST + _LATE:
            # No answer: it is lost, or arrives after nobody waits for it any more.
            if fate < _LATE:
                late_ns = TIMEOUT_NS + self._api.soon_ns(10_000)
                self._api.lan.after(late_ns, partial(self._arrive_late, write, done))
            self._fences.unanswered(write[0])
            self._api.lan.after(TIMEOUT_NS, lambda _: self._relist())
            return
        self._api.lan.after(self._api.soon_ns(100), lambda _: self._answered(write, done))

    def _answered(self, write: _Write, done: Done) -> None:
        wrote = self._arrive(*write, done)
        if wrote:
            self._fences.answered(write[0])
        obj = self._api.get("nodeconfigs", write[0])
        if self.alive and obj is not None:
            self._cache.put("nodeconfigs", obj, deleted=False, now_s=self._now_s())
            self._again |= not wrote
        self._write_next()

    def _relist(self) -> None:
        if self.alive:
            for kind, obj in self._api.all():
                self._put(kind, obj, deleted=False)
            self._writes, self._busy = [], False
            self._trigger()

    def _arrive_late(self, write: _Write, done: Done, _: int) -> None:
        self.came_late.append(self._arrive(*write, done))

    def _arrive(self, name: str, spec: Object | None, version: str | None, done: Done) -> bool:
        if spec is None:
            self._api.put("nodeconfigs", name, annotations={FENCE: self._fences.text()})
            done(True)
            return True
        self._api.lan.timeline.note(self._api.lan.now_ns, -1, f"write to {name}", _words(spec))
        wrote = self._api.apply("nodeconfigs", name, spec, version)
        if wrote:
            done(False)
        return wrote


def _words(spec: dict[str, Any]) -> str:
    return "; ".join(
        f"{router['basePriority']}, peers"
        f" {' '.join(p['node'] + '@' + p['address'] for p in router['peers'])}"
        f"{', takes over' if 'takeOver' in router else ''}"
        f" {router['authentication'].get('mode', 'plain')}"
        for router in spec["virtualRouters"]
    )
