"""Statuses of VirtualIPs and HealthChecks: folded, written side by side, and what happened told.

What happened is told once the status that shows it is on record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from vrrp_api.check_kinds import ServiceCheck
from vrrp_api.conditions import Reason
from vrrp_operator.caught import Report
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot, HealthCheckRecord, VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.check_conditions import nodes_without
from vrrp_operator.report.chronicle import Chronicle
from vrrp_operator.report.clocks import Clocks
from vrrp_operator.report.events import Occurrence, newest_first
from vrrp_operator.report.status import health_check_status, status_with, virtual_ip_status
from vrrp_operator.write.apply import Writer
from vrrp_operator.write.writes import IN_SHORT, Wish, Writes

VIRTUAL_IPS, HEALTH_CHECKS = "virtualips", "healthchecks"


@dataclass(frozen=True, slots=True)
class Status:
    """What one object is to say, and what has happened to it once it does."""

    kind: str
    record: VirtualIPRecord | HealthCheckRecord
    said: dict[str, Any]
    now: str
    happened: Callable[[], list[Occurrence]]
    shown: tuple[object, ...]
    """What ``happened`` compares with the last time: nothing happened where it is the same."""

    def has_news_of_vrid(self, planned: Plan) -> bool:
        """Return whether it says of a VirtualIP's virtual router ID what is not on record yet."""
        record = self.record
        if not isinstance(record, VirtualIPRecord):
            return False
        return planned.vrids.get(record.name) != record.virtual_router_id


class Statuses:
    """Says of every object what became of it."""

    def __init__(
        self,
        writer: Writer,
        writes: Writes,
        caught: Report,
        post: Callable[[Iterable[Occurrence]], None],
    ) -> None:
        self._writer = writer
        self._writes = writes
        self._caught = caught
        self._post = post
        self._chronicle = Chronicle()
        self._memo = Memo()
        self._shown: dict[tuple[str, str], tuple[object, ...]] = {}
        """What was told of each object last, by kind and name."""

    def begin_term(self) -> None:
        """Forget what was told: another operator may have told more since."""
        self._chronicle = Chronicle()
        self._shown = {}

    def fold(self, snapshot: ClusterSnapshot, planned: Plan, wall: datetime) -> list[Status]:
        """Return what every object is to say; forget objects that are gone."""
        now = wall.strftime("%Y-%m-%dT%H:%M:%SZ")
        self._memo.begin()
        folded = []
        for record in snapshot.virtual_ips:
            view = planned.view(record.name, snapshot)
            fold = partial(self._of_virtual_ip, record, snapshot, planned, now)
            said = self._said(record, fold, now)
            happened = partial(self._chronicle.of_virtual_ip, record, view, planned, said, wall)
            shown = record, view, said
            folded.append(Status(VIRTUAL_IPS, record, said, now, happened, shown))
        for check in snapshot.health_checks:
            said = self._said(check, partial(self._of_health_check, check, snapshot, now), now)
            happened = partial(self._chronicle.of_health_check, check, snapshot, wall)
            results = snapshot.index.results(check.name)
            shown_of_check = check, results, said
            folded.append(Status(HEALTH_CHECKS, check, said, now, happened, shown_of_check))
        self._forget_others(snapshot)
        return folded

    def _forget_others(self, snapshot: ClusterSnapshot) -> None:
        self._chronicle.forget_others(snapshot)
        virtual_ips = {record.name for record in snapshot.virtual_ips}
        checks = {check.name for check in snapshot.health_checks}
        for kind, names in ((VIRTUAL_IPS, virtual_ips), (HEALTH_CHECKS, checks)):
            self._writes.forget_others(kind, names)
            for key in [key for key in self._shown if key[0] == kind and key[1] not in names]:
                del self._shown[key]

    def _of_virtual_ip(
        self, record: VirtualIPRecord, snapshot: ClusterSnapshot, planned: Plan, now: str
    ) -> dict[str, Any]:
        """Return the status of a VirtualIP, folded anew only if anything of it changed.

        Where something was recent, time alone may change it.
        """
        view, clocks = planned.view(record.name, snapshot), Clocks(snapshot.heartbeats, now)

        def fold() -> tuple[dict[str, Any], bool]:
            return virtual_ip_status(record, view, planned, now, clocks), clocks.recent

        inputs = record, view, planned.of(record.name)
        said, recent = self._memo((VIRTUAL_IPS, record.name), inputs, fold)
        if recent and not clocks.recent:  # it was folded before
            said, _ = self._memo.same((record.name, "recent"), fold())
        return said

    def _of_health_check(
        self, record: HealthCheckRecord, snapshot: ClusterSnapshot, now: str
    ) -> dict[str, Any]:
        """Return the status of a HealthCheck, folded anew only if anything of it changed."""
        inputs = (
            record,
            snapshot.index.results(record.name),
            snapshot.users.get(record.name, ()),
            {key: panic for key, panic in snapshot.panics.items() if key[1] == record.name},
            _services(record, snapshot),
            nodes_without(record, snapshot),
        )
        fold = partial(health_check_status, record, snapshot, now)
        return self._memo((HEALTH_CHECKS, record.name), inputs, fold)

    def write(self, statuses: Iterable[Status]) -> frozenset[str]:
        """Write statuses; return the names of those that are not on record.

        Raises:
            ApiUnavailableError: nobody answers; what was written, and what happened, is told.
        """
        waiting = list(statuses)
        written = self._writes.write_side_by_side(map(self._wish, waiting))
        occurrences: list[Occurrence] = []
        others, missing = [], set()
        try:
            # Strict, so that it asks once more, and hears that nobody answers.
            for status, whole in zip(waiting, written, strict=True):
                if whole:
                    occurrences += self._told(status)
                else:
                    others.append(status)
            for status in others:
                if self._write_in_short(status):
                    occurrences += self._told(status)
                else:
                    missing.add(status.record.name)
        finally:
            self._post(newest_first(occurrences))
        return frozenset(missing)

    def _wish(self, status: Status) -> Wish:
        record, said = status.record, status.said
        look = partial(self._writer.has_status, status.kind, record.name, said, uid=record.uid)
        known = self._memo(("says", status.kind, record.name), (record, said), look)
        write = None if known else self._apply(status, said)
        return Wish(status.kind, record.name, said, write)

    def _apply(self, status: Status, said: Mapping[str, Any]) -> Callable[[], bool]:
        record = status.record
        return partial(self._writer.apply_status, status.kind, record.name, said, uid=record.uid)

    def _write_in_short(self, status: Status) -> bool:
        """Write of a status that was refused for what it says nothing but why."""
        kind, record = status.kind, status.record
        if not self._writes.is_at_fault(kind, record.name):
            return False
        why = self._writes.why(kind).get(record.name, "")
        bare = status_with(record, Reason.STATUS_REFUSED, why, status.now, instead_of=status.said)
        write = self._apply(status, bare)
        return self._writes.write(Wish(kind, record.name, bare, write, part=IN_SHORT))

    def _said(
        self,
        record: VirtualIPRecord | HealthCheckRecord,
        fold: Callable[[], dict[str, Any]],
        now: str,
    ) -> dict[str, Any]:
        """Return what an object's status is to be; where that cannot be told, it says so."""
        try:
            return fold()
        except Exception as error:
            self._caught("fold", error)
            return status_with(record, Reason.INTERNAL_ERROR, repr(error), now)

    def _told(self, status: Status) -> list[Occurrence]:
        key = status.kind, status.record.name
        if self._shown.get(key) == status.shown:
            return []
        try:
            happened = status.happened()
        except Exception as error:
            self._caught("events", error)
            return []
        self._shown[key] = status.shown
        return happened


def _services(record: HealthCheckRecord, snapshot: ClusterSnapshot) -> object:
    """Return what is known of the Service that a check names."""
    kind = record.spec.kind if record.spec is not None else None
    if not isinstance(kind, ServiceCheck) or snapshot.services is None:
        return None
    return kind.target in snapshot.services, snapshot.services.get(kind.target) is None
