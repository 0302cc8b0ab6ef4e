"""Statuses of VirtualIPs and HealthChecks: folded, written side by side, and what happened told.

What happened is told once the status that shows it is on record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from vrrp_api.conditions import Reason
from vrrp_operator.caught import Report
from vrrp_operator.model.snapshot import ClusterSnapshot, HealthCheckRecord, VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.chronicle import Chronicle
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

    def begin_term(self) -> None:
        """Forget what was told: another operator may have told more since."""
        self._chronicle = Chronicle()

    def fold(self, snapshot: ClusterSnapshot, planned: Plan, wall: datetime) -> list[Status]:
        """Return what every object is to say; forget objects that are gone."""
        now = wall.strftime("%Y-%m-%dT%H:%M:%SZ")
        folded = []
        for record in snapshot.virtual_ips:
            fold = partial(virtual_ip_status, record, snapshot, planned, now)
            said = self._said(record, fold, now)
            happened = partial(self._chronicle.of_virtual_ip, record, snapshot, planned, said, wall)
            folded.append(Status(VIRTUAL_IPS, record, said, now, happened))
        for check in snapshot.health_checks:
            said = self._said(check, partial(health_check_status, check, snapshot, now), now)
            happened = partial(self._chronicle.of_health_check, check, snapshot, wall)
            folded.append(Status(HEALTH_CHECKS, check, said, now, happened))
        self._chronicle.forget_others(snapshot)
        self._writes.forget_others(VIRTUAL_IPS, {r.name for r in snapshot.virtual_ips})
        self._writes.forget_others(HEALTH_CHECKS, {c.name for c in snapshot.health_checks})
        return folded

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
                    occurrences += self._told(status.happened)
                else:
                    others.append(status)
            for status in others:
                if self._write_in_short(status):
                    occurrences += self._told(status.happened)
                else:
                    missing.add(status.record.name)
        finally:
            self._post(newest_first(occurrences))
        return frozenset(missing)

    def _wish(self, status: Status) -> Wish:
        record, said = status.record, status.said
        known = self._writer.has_status(status.kind, record.name, said, uid=record.uid)
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

    def _told(self, happened: Callable[[], list[Occurrence]]) -> list[Occurrence]:
        try:
            return happened()
        except Exception as error:
            self._caught("events", error)
            return []
