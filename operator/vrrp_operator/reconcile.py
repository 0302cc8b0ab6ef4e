"""One cycle: fence → snapshot → validate → allocate → plan → apply → fold status.

Level-triggered: it reads what is there now and writes what is missing. Cycles never overlap.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from vrrp_operator.apply import ApiUnavailableError, ObjectChangedError, Writer
from vrrp_operator.cache import KINDS, ObjectCache
from vrrp_operator.chronicle import Chronicle
from vrrp_operator.endpoints import EndpointWatch
from vrrp_operator.events import Occurrence, newest_first
from vrrp_operator.metrics import Metrics
from vrrp_operator.observe import services_of
from vrrp_operator.panic import PanicJudge
from vrrp_operator.planner import Plan, plan
from vrrp_operator.requirements import missing_requirement
from vrrp_operator.snapshot import ClusterSnapshot
from vrrp_operator.status import (
    condition_counts,
    condition_truths,
    health_check_status,
    speakers_reporting,
    virtual_ip_status,
)

_log = logging.getLogger(__name__)
STALE_S = 180.0


class _Refusals:
    """Lets no object that the API server refuses keep the others waiting."""

    def __init__(self) -> None:
        self._first: ApiUnavailableError | None = None

    @contextmanager
    def past(self) -> Iterator[None]:
        """Go on after a refusal; without any answer the others would fare no better."""
        try:
            yield
        except ApiUnavailableError as error:
            if not error.status:
                raise
            self._first = self._first or error

    def tell(self) -> None:
        """Raise the first refusal, if there was one."""
        if self._first is not None:
            raise self._first


class Reconciler:
    """Runs cycles; knows when the last good one was."""

    def __init__(
        self,
        cache: ObjectCache,
        writer: Writer,
        metrics: Metrics,
        endpoints: EndpointWatch,
        default_key_ref: str | None = None,
        *,
        post: Callable[[Iterable[Occurrence]], None] = lambda _: None,
        leases_in: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._cache = cache
        self._writer = writer
        self._metrics = metrics
        self._endpoints = endpoints
        self._panic = PanicJudge()
        self._default_key_ref = default_key_ref
        self._post = post
        self._leases_in = leases_in
        self._happened = Chronicle()
        self._listed = self._lacked = False
        self.came_later = False
        """Whether something was missing at first, so that no watch of it was begun."""
        self._problem = ""
        """Why the last cycle failed; empty when it did not."""
        self.succeeded_s = 0.0
        """When the last cycle ended well, monotonic; 0 while none did."""
        self._unanswered_s = 0.0
        """When a cycle last failed for want of an answer, monotonic."""

    def relist(self) -> None:
        """Read every kind completely; a kind that cannot be read keeps what is known of it.

        Raises:
            ApiUnavailableError: at least one kind was not read; nothing was replaced.
        """
        try:
            lists = {kind: self._writer.list(kind) for kind in KINDS}
        except ApiUnavailableError:
            self._listed = False  # cycles that have nothing to write must not pass for good ones
            self._cache.lost_sight(time.monotonic())
            raise
        now_s = time.monotonic()
        self._cache.regained_sight(now_s)
        for kind, (objects, version) in lists.items():
            self._cache.replace(kind, objects, now_s, version)
        self._listed = True

    def run_cycle(self) -> bool:
        """Run one cycle; return whether it ended well. Failures are logged and counted."""
        begun_s = time.monotonic()
        try:
            if not self._listed:
                self._require()
                self.relist()
            self._cycle(begun_s)
        except ObjectChangedError as error:
            _log.info("decided again", extra={"because": str(error)})
            return False
        except ApiUnavailableError as error:
            # A watch that breaks off never tells what was deleted meanwhile: look for oneself.
            self._listed = False
            if error.status == 0:
                self._unanswered_s = time.monotonic()
                self._cache.lost_sight(self._unanswered_s)
            self._metrics.reconcile_errors.inc()
            self._note_problem(str(error))
            return False
        self._problem = ""
        self.succeeded_s = time.monotonic()
        self._metrics.reconcile_seconds.observe(self.succeeded_s - begun_s)
        self._metrics.last_reconcile.set_to_current_time()
        return True

    def _require(self) -> None:
        """Raise when the API server lacks what is needed; that mends by itself when it is there."""
        missing = missing_requirement(self._writer.find)
        if missing:
            self._lacked = True
            raise ApiUnavailableError(missing, status=404)
        if self._lacked:
            self.came_later = True

    def _note_problem(self, problem: str) -> None:
        """Log why cycles fail, once for each reason; they are tried again every few seconds."""
        if problem != self._problem:
            _log.warning("reconcile failed, trying again", extra={"error": problem})
        self._problem = problem

    def healthy(self) -> tuple[bool, str]:
        """Return whether cycles end well often enough; an API server that is away excuses them.

        Restarting would not help against that; against a stuck loop it would.
        """
        age_s = time.monotonic() - max(self.succeeded_s, self._unanswered_s)
        if self.succeeded_s and age_s > STALE_S:
            return False, f"no reconcile for {age_s:.0f} s"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Return whether a first cycle ended well."""
        if self.succeeded_s:
            return True, "ok"
        return False, f"no reconcile yet: {self._problem}" if self._problem else "no reconcile yet"

    @property
    def due_in_s(self) -> float | None:
        """How long after a cycle the next one has something to decide although nothing changes."""
        return self._panic.due_in_s

    def _cycle(self, now_s: float) -> None:
        wall = datetime.now(UTC)
        refusals = _Refusals()
        for name in self._writer.unfenced():
            with refusals.past():
                self._writer.fence(name)
        snapshot = self._look(now_s)
        planned = plan(snapshot, self._default_key_ref)
        # VRIDs first: a number is on record before a node uses it.
        statuses = self._write_statuses(snapshot, planned, wall)
        self._metrics.vrids_allocated.set(len(planned.vrids))
        for condition, count in condition_counts(statuses.values()).items():
            self._metrics.virtual_ips.labels(condition).set(count)
        self._metrics.cluster.found(condition_truths(statuses), speakers_reporting(snapshot))
        self._write_node_configs(snapshot, planned, refusals)

    def _look(self, now_s: float) -> ClusterSnapshot:
        """Return the cluster with what the cache does not hold: endpoints, and what panics."""
        snapshot = self._cache.snapshot(now_s)
        self._endpoints.follow(services_of(snapshot))
        panics = self._panic.judge(snapshot, now_s)
        return replace(
            snapshot,
            services=self._endpoints.known(),
            panics=panics,
            lease_namespace=self._leases_in(),
        )

    def _write_statuses(
        self, snapshot: ClusterSnapshot, planned: Plan, wall: datetime
    ) -> dict[str, dict[str, object]]:
        now = wall.strftime("%Y-%m-%dT%H:%M:%SZ")
        statuses = {}
        occurrences: list[Occurrence] = []
        try:
            for record in snapshot.virtual_ips:
                status = virtual_ip_status(record, snapshot, planned, now)
                statuses[record.name] = status
                self._apply_status("virtualips", record.name, status)
                occurrences += self._happened.of_virtual_ip(record, snapshot, planned, status, wall)
            for check in snapshot.health_checks:
                self._apply_status(
                    "healthchecks", check.name, health_check_status(check, snapshot, now)
                )
                occurrences += self._happened.of_health_check(check, snapshot, wall)
        finally:
            self._post(newest_first(occurrences))
        self._happened.forget_others(snapshot)
        return statuses

    def _write_node_configs(
        self, snapshot: ClusterSnapshot, planned: Plan, refusals: _Refusals
    ) -> None:
        for config in planned.configs.values():
            with refusals.past():
                wrote = self._writer.apply_node_config(config.to_object())
                self._count(wrote, "nodeconfigs")
        for name in self._cache.names("nodeconfigs"):
            # A list of nodes that came back empty is not a cluster without nodes.
            if name not in planned.configs and snapshot.nodes:
                self._writer.delete_node_config(name)
        refusals.tell()

    def _apply_status(self, kind: str, name: str, status: Mapping[str, object]) -> None:
        self._count(self._writer.apply_status(kind, name, status), kind)

    def _count(self, wrote: bool, resource: str) -> None:
        if wrote:
            self._metrics.writes.labels(resource).inc()
