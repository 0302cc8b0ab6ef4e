"""Checks that so many candidates of a VirtualIP fail that they do not count there (pure).

A check of weight 0 that fails everywhere says nothing of where the address would be better: what
fails is what all nodes share. While at least ``panicThreshold`` of a VirtualIP's candidates fail
it, it is ignored for that VirtualIP, so that nothing moves.

It begins at once, because until then nobody may hold the address. It ends when fewer have failed
for ``HOLD_S``: a node that recovers because it has nothing to do must not take the address, fail
again, and pass it round the cluster. Candidates are the nodes that run the router now; those whose
report is stale count for nothing, those that have no result yet count as not failing.

A node that fails the check and holds the address offers it to whoever may have it. So it is the
first to ignore the check and the last to mind it again; the others wait until it does not offer
any more, or until those that would take the address in vain are in Fault, ``STAGE_S`` at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vrrp_api.check_kinds import FileCheck
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import RouterCheck
from vrrp_operator.model.snapshot import ClusterSnapshot, Panic, PanicKey

HOLD_S = 5.0
STAGE_S = 5.0
"""How long a step is waited for that a node may never take; it takes well under a second."""


@dataclass
class _Tally:
    """One check of one router over its nodes; ``told`` are those that were told to ignore it.

    Of nodes whose report is fresh: ``failing`` the check, ``active``, ``in_fault`` because of it.
    """

    threshold: int
    every: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    failing: list[str] = field(default_factory=list)
    active: set[str] = field(default_factory=set)
    in_fault: set[str] = field(default_factory=set)
    candidates: int = 0

    @property
    def reached(self) -> bool:
        """Whether so many fail it that it must not count."""
        failing = len(self.failing)
        return failing > 0 and failing * 100 >= self.threshold * self.candidates

    def begin(self, late: bool) -> frozenset[str]:
        """Return who is to ignore it while so many fail: first of all who offers the address."""
        offering = self.active & self.in_fault
        return frozenset(self.told | self.active if offering and not late else self.every)

    def end(self, late: bool) -> frozenset[str]:
        """Return who is still to ignore it: the holder, while others would take over in vain."""
        in_vain = set(self.failing) - self.active - self.in_fault
        return frozenset(self.told & self.active if in_vain and not late else ())


class PanicJudge:
    """Decides which checks do not count; remembers since when each thinks as it does now."""

    def __init__(self) -> None:
        self._since_s: dict[PanicKey, tuple[bool, float]] = {}
        """Whether so many fail, and since when."""
        self.due_in_s: float | None = None
        """When to judge again although nothing changes, seconds after the last judgement."""

    def judge(self, snapshot: ClusterSnapshot, now_s: float) -> dict[PanicKey, Panic]:
        """Return the checks that are to be ignored, by VirtualIP and check.

        Args:
            snapshot: the cluster.
            now_s: the operator's monotonic clock.
        """
        found: dict[PanicKey, Panic] = {}
        since_s: dict[PanicKey, tuple[bool, float]] = {}
        waits: list[float] = []
        for key, tally in _tallies(snapshot).items():
            if not (tally.reached or tally.told):
                continue
            before, at_s = self._since_s.get(key, (not tally.reached, now_s))
            since_s[key] = (tally.reached, at_s if before == tally.reached else now_s)
            age_s = now_s - since_s[key][1]
            nodes, wait_s = _stage(tally, age_s)
            if nodes:
                failing = tuple(tally.failing)
                found[key] = Panic(failing, tally.candidates, tally.threshold, nodes)
                if wait_s > 0:
                    waits.append(wait_s)
        self._since_s = since_s
        self.due_in_s = min(waits, default=None)
        return found


def _stage(tally: _Tally, age_s: float) -> tuple[frozenset[str], float]:
    """Return who is to ignore a check, and after how long another answer is due by itself."""
    if tally.reached:
        return tally.begin(late=age_s >= STAGE_S), STAGE_S - age_s
    if age_s < HOLD_S:
        return frozenset(tally.told), HOLD_S - age_s
    return tally.end(late=age_s >= HOLD_S + STAGE_S), HOLD_S + STAGE_S - age_s


def _tallies(snapshot: ClusterSnapshot) -> dict[PanicKey, _Tally]:
    tallies: dict[PanicKey, _Tally] = {}
    for node, router, reference, check in _uses(snapshot):
        if reference.weight != 0 or check.panic_threshold is None:
            continue
        tally = tallies.setdefault((router, check.name), _Tally(check.panic_threshold))
        tally.every.add(node)
        if reference.ignored:
            tally.told.add(node)
        report = snapshot.reports[node]
        if report.status is None or not report.fresh:
            continue
        tally.candidates += 1
        told = snapshot.index.told(router).get(node)
        if told is not None and told.state == "Active":
            tally.active.add(node)
        if told is not None and f"CheckFailed: {check.name}" in told.faults:
            tally.in_fault.add(node)
        result = snapshot.index.results(check.name).get(node)
        if result is not None and fails(check, reference, result.passing):
            tally.failing.append(node)
    return tallies


def _uses(
    snapshot: ClusterSnapshot,
) -> Iterator[tuple[str, str, RouterCheck, HealthCheck]]:
    """Yield (node, router, check, check) for all that nodes are asked to run now."""
    known = snapshot.checks
    for node, report in sorted(snapshot.reports.items()):
        if report.config is None:
            continue
        own = {check.name: check for check in report.config.health_checks}
        for router in report.config.virtual_routers:
            for reference in router.health_checks:
                check = known.get(reference.name) or own.get(reference.name)
                if check is not None:
                    yield node, router.name, reference, check


def fails(check: HealthCheck, reference: RouterCheck, passing: bool) -> bool:
    """Return whether a result of a check of weight 0 is a Fault for the router that names it.

    A node judges the number in a file by the check's own sense, so that a router turns it only
    where it says otherwise.
    """
    own = check.reverse if isinstance(check.kind, FileCheck) else False
    return passing == (reference.reverse != own)
