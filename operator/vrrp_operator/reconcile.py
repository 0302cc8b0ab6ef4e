"""One cycle: fence → snapshot → validate → allocate → plan → fold status → apply → write status.

Level-triggered: it reads what is there now and writes what is missing. Cycles never overlap. While
another operator leads, a cycle only keeps in view what this one would decide from.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from vrrp_api.node_config import NodeConfig
from vrrp_operator.api.api_server import ApiUnavailableError, ObjectGoneError
from vrrp_operator.api.cache import KINDS, ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.api.requirements import missing_requirement
from vrrp_operator.caught import Caught, Report
from vrrp_operator.health import Health
from vrrp_operator.lead.elector import Alone, Leader
from vrrp_operator.metrics import Metrics
from vrrp_operator.model.snapshot import ClusterSnapshot
from vrrp_operator.plan.fitting import without_news
from vrrp_operator.plan.observe import services_of
from vrrp_operator.plan.other_versions import as_written
from vrrp_operator.plan.panic import PanicJudge
from vrrp_operator.plan.planner import Plan, Planner
from vrrp_operator.plan.vrid_memory import VridMemory
from vrrp_operator.report.events import Occurrence
from vrrp_operator.report.status import condition_counts, condition_truths, speakers_reporting
from vrrp_operator.write.apply import NotLeadingError, Writer
from vrrp_operator.write.order import in_turns
from vrrp_operator.write.statuses import VIRTUAL_IPS, Status, Statuses
from vrrp_operator.write.writes import FENCED, Wish, Writes

_log = logging.getLogger(__name__)
_LookedAt = tuple[
    NodeConfig, Mapping[str, Any] | None, frozenset[str], frozenset[str], frozenset[str]
]
"""What is to be, what is there, and what is left out of the one, or taken from the other."""


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
        caught: Report | None = None,
        leader: Leader | None = None,
        reserved_vrids: Collection[int] = (),
    ) -> None:
        self._leader = leader or Alone()
        self._term = 0
        self._cache = cache
        self._writer = writer
        self._metrics = metrics
        self._endpoints = endpoints
        self._panic = PanicJudge()
        self._vrids = VridMemory(reserved_vrids)
        self._planner = Planner(default_key_ref)
        self._as_wanted: dict[str, _LookedAt] = {}
        """NodeConfigs that say what they are to, with what that was read from, by node."""
        self._leases_in = leases_in
        self.caught = caught or Caught(lambda task: metrics.exceptions.labels(task).inc())
        self._writes = Writes(metrics, self.caught)
        self._statuses = Statuses(writer, self._writes, self.caught, post)
        self._listed = self._lacks = self._lacked = False
        self.came_later = False
        """Whether something was missing at first, so that no watch of it was begun."""
        self._health = Health()
        self.healthy, self.ready = self._health.healthy, self._health.ready

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
        """Run one cycle; return whether it ended well. Failures are logged and counted.

        An object that cannot be written, or changed while it was looked at, has this return False
        the first time; then it waits by itself, and cycles end well without it.
        """
        begun_s = self._health.begins()
        try:
            leads = self._leader.leads()
            if leads:
                self._begin_term()
            if not self._listed:
                self._require()
                self.relist()
            if not leads:
                return self._stand_by(begun_s)
            all_done = self._cycle(begun_s)
        except NotLeadingError:
            return self._stand_by(begun_s)
        except ApiUnavailableError as error:
            # A watch that breaks off never tells what was deleted meanwhile: look for oneself.
            self._listed = False
            if error.status == 0:
                self._cache.lost_sight(time.monotonic())
            self._metrics.reconcile_errors.inc()
            self._health.failed(str(error), excused=error.is_passing or self._lacks)
            return False
        except Exception as error:  # whatever it is, the next cycle may fare better
            self._metrics.reconcile_errors.inc()
            self.caught("reconcile", error)
            self._health.failed(f"{type(error).__name__}: {error}", excused=False)
            return False
        forbidden = self._forbidden()
        if forbidden:
            self._metrics.reconcile_errors.inc()
            self._health.failed(forbidden, excused=False)
            return False
        self._health.went_well()
        if not all_done:
            self._metrics.reconcile_errors.inc()
            return False
        self._metrics.reconcile_seconds.observe(time.monotonic() - begun_s)
        self._metrics.last_reconcile.set_to_current_time()
        return True

    def _begin_term(self) -> None:
        """Forget what another operator may have made wrong since this one led."""
        term = self._leader.term
        if term == self._term:
            return
        self._term, self._listed = term, False
        self._writer.begin_term(term)
        self._writes.begin_term()
        self._statuses.begin_term()
        self._panic = PanicJudge()

    def _stand_by(self, now_s: float) -> bool:
        """Write nothing, and tell nothing that the operator which leads tells; return True."""
        snapshot = self._cache.snapshot(now_s)
        self._vrids.look(snapshot, now_s)
        self._endpoints.follow(services_of(snapshot))
        self._metrics.stands_by()
        problem = self._leader.problem
        if problem is not None:
            self._health.failed(str(problem), excused=problem.is_passing)
            return True
        self._health.went_well("standing by")
        return True

    def _require(self) -> None:
        """Raise when the API server lacks what is needed; that mends by itself when it is there."""
        missing = missing_requirement(self._writer.find)
        self._lacks = bool(missing)
        if missing:
            self._lacked = True
            raise ApiUnavailableError(missing, status=404)
        if self._lacked:
            self.came_later = True

    @property
    def due_in_s(self) -> float | None:
        """How long after a cycle the next one has something to decide although nothing changes."""
        if not self._leader.leads():
            return None
        due_s = self._panic.due_in_s, self._writes.due_in_s, self._vrids.due_in_s
        return min((s for s in due_s if s is not None), default=None)

    def _forbidden(self) -> str:
        """Return which right is missing where no object of a kind may be written."""
        # Whose names: a NodeConfig that may not be made is not there.
        kinds = {"virtualips": "virtualips", "healthchecks": "healthchecks", "nodeconfigs": "nodes"}
        found = (self._writes.forbidden(k, self._cache.names(names)) for k, names in kinds.items())
        return next(filter(None, found), "")

    def _cycle(self, now_s: float) -> bool:
        """Look, plan and write; return whether every object is as it should be, or waits."""
        self._writes.begin()
        _log.debug("cycle begins")
        wall = datetime.now(UTC)
        fences = [
            Wish("nodeconfigs", name, None, partial(self._fence, name), part=FENCED)
            for name in self._writer.unfenced()
        ]
        self._write(fences)
        snapshot = self._look(now_s)
        planned = self._planner.plan(snapshot)
        for task, error in planned.caught:
            self.caught(task, error)
        folded = self._statuses.fold(snapshot, planned, wall)
        self._show(snapshot, planned, folded)
        # A number is on record before a node uses it. Whatever else is to be said can wait.
        first: list[Status] = []
        rest: list[Status] = []
        for status in folded:
            (first if status.has_news_of_vrid(planned) else rest).append(status)
        unrecorded = self._statuses.write(first)
        self._write_node_configs(snapshot, planned, unrecorded)
        self._statuses.write(rest)
        if self._writes.lost:
            self._listed = False  # somebody deleted it, and no watch told: look for oneself
        return not self._writes.undone

    def _show(self, snapshot: ClusterSnapshot, planned: Plan, folded: Sequence[Status]) -> None:
        """Have metrics show what was found."""
        said = {status.record.name: status.said for status in folded if status.kind == VIRTUAL_IPS}
        self._metrics.vrids_allocated.set(planned.most_vrids)
        for condition, count in condition_counts(said.values()).items():
            self._metrics.virtual_ips.labels(condition).set(count)
        self._metrics.cluster.found(condition_truths(said), speakers_reporting(snapshot))

    def _fence(self, name: str) -> bool:
        with suppress(ObjectGoneError):
            self._writer.fence(name)
        return False

    def _look(self, now_s: float) -> ClusterSnapshot:
        """Return the cluster with what the cache does not hold: endpoints, and what panics."""
        snapshot = self._cache.snapshot(now_s)
        for error in snapshot.unreadable:
            self.caught("read", error)
        self._endpoints.follow(services_of(snapshot))
        panics = self._panic.judge(snapshot, now_s)
        return snapshot.but(
            services=self._endpoints.known(),
            panics=panics,
            lease_namespace=self._leases_in(),
            refused=self._writes.why("nodeconfigs"),
            undeclared=self._writer.undeclared(),
            vrid_limits=self._vrids.look(snapshot, now_s),
        )

    def _write_node_configs(
        self, snapshot: ClusterSnapshot, planned: Plan, unrecorded: frozenset[str]
    ) -> None:
        for turn in in_turns(planned.configs, snapshot.reports):
            wishes = []
            for node, config in turn:
                report = snapshot.reports.get(node)
                before = report.config if report is not None else None
                current = self._cache.get("nodeconfigs", node)
                looked_at = config, current, unrecorded, planned.untouched, snapshot.undeclared
                if _same(self._as_wanted.get(node), looked_at):
                    wishes.append(Wish("nodeconfigs", node, None, None))
                    continue
                known = without_news(config, unrecorded, before).to_object()
                wish = self._node_config(as_written(known, report, planned.untouched))
                wishes.append(wish)
                if wish.write is None:
                    self._as_wanted[node] = looked_at
            self._write(wishes)
        # A list of nodes that came back empty is not a cluster without nodes.
        kept = {*planned.configs, *planned.unplanned}
        gone = [n for n in self._cache.names("nodeconfigs") if n not in kept and snapshot.nodes]
        delete = self._writer.delete_node_config
        self._write([Wish("nodeconfigs", name, None, partial(delete, name)) for name in gone])
        names = {*self._cache.names("nodeconfigs"), *planned.configs}
        self._writes.forget_others("nodeconfigs", names)
        self._as_wanted = {n: known for n, known in self._as_wanted.items() if n in names}

    def _node_config(self, obj: Mapping[str, Any]) -> Wish:
        """Return the wish that a NodeConfig says this."""
        known = self._writer.has_node_config(obj)
        write = None if known else partial(self._writer.apply_node_config, obj)
        return Wish("nodeconfigs", obj["metadata"]["name"], obj["spec"], write)

    def _write(self, wishes: Iterable[Wish]) -> None:
        """Make writes side by side."""
        for _ in self._writes.write_side_by_side(wishes):
            pass  # what was not written waits, and is tried again


def _same(known: _LookedAt | None, now: _LookedAt) -> bool:
    """Return whether a NodeConfig and what it is to say are the very same as before."""
    if known is None:
        return False
    return known[0] is now[0] and known[1] is now[1] and known[2:] == now[2:]
