"""Checks that so many candidates fail that they do not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, router_status, snapshot, tcp_check, virtual_ip

from vrrp_api.node_status import CheckStatus, NodeConfigStatus
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport, Panic
from vrrp_operator.plan.panic import HOLD_S, STAGE_S, PanicJudge
from vrrp_operator.plan.planner import plan

KEY = ("a", "web")
ALL = frozenset({"node-1", "node-2", "node-3"})


def status(**passing: bool) -> NodeConfigStatus:
    checks = tuple(CheckStatus(name, good, "", "") for name, good in passing.items())
    return NodeConfigStatus(1, "2026-01-01T00:00:00Z", "0", 0, "API", (), checks)


class Cluster:
    """A cluster whose nodes run what was planned last, and say how the check goes there."""

    def __init__(
        self,
        count: int = 3,
        reference: Mapping[str, Any] | None = None,
        check: dict[str, Any] | None = None,
    ) -> None:
        used = {"name": "web", **(reference or {})}
        self._objects = [virtual_ip("a", vrid=1, healthChecks=[used])]
        self._checks = [check or tcp_check("web")]
        self._nodes = nodes(count)
        self.judge = PanicJudge()
        self.configs = dict(plan(self._snapshot({})).configs)

    def _snapshot(self, reports: Mapping[str, NodeReport]) -> ClusterSnapshot:
        return snapshot(self._objects, self._nodes, self._checks, reports)

    def step(self, now_s: float, **said: bool | None) -> Panic | None:
        """Judge what nodes 1, 2, … say, None for a node that has no result; plan accordingly."""
        reports = {}
        for name, passing in said.items():
            node = name.replace("_", "-")
            told = status() if passing is None else status(web=passing)
            reports[node] = NodeReport(self.configs[node], told, fresh=True)
        return self.look(reports, now_s)

    def look(self, reports: Mapping[str, NodeReport], now_s: float) -> Panic | None:
        cluster = self._snapshot(reports)
        panics = self.judge.judge(cluster, now_s)
        self.configs |= plan(replace(cluster, panics=panics)).configs
        return panics.get(KEY)

    def told(self) -> set[str]:
        """Return the nodes that are told to ignore the check."""
        return {
            name
            for name, config in self.configs.items()
            if any(
                check.ignored for router in config.virtual_routers for check in router.health_checks
            )
        }

    def report(self, now_s: float, **said: tuple[str, bool, bool]) -> None:
        """Judge what nodes say: state, whether the check passes, whether it is a fault there."""
        reports = {}
        for name, (state, passing, fault) in said.items():
            faults = ("CheckFailed: web",) if fault else ()
            told = replace(
                status(web=passing), virtual_routers=(router_status("a", state, faults=faults),)
            )
            node = name.replace("_", "-")
            reports[node] = NodeReport(self.configs[node], told, fresh=True)
        self.look(reports, now_s)

    def ignored(self) -> set[bool]:
        """Return what the nodes are told."""
        routers = [router for config in self.configs.values() for router in config.virtual_routers]
        return {check.ignored for router in routers for check in router.health_checks}


def test_a_check_that_all_candidates_fail_does_not_count() -> None:
    cluster = Cluster()
    assert cluster.step(0, node_1=False, node_2=False, node_3=True) is None
    assert cluster.ignored() == {False}
    found = cluster.step(1, node_1=False, node_2=False, node_3=False)
    assert found == Panic(("node-1", "node-2", "node-3"), 3, 100, ALL)
    assert cluster.ignored() == {True}


def test_it_counts_again_when_fewer_have_failed_for_a_while_and_not_before() -> None:
    cluster = Cluster()
    cluster.step(0, node_1=False, node_2=False, node_3=False)
    assert cluster.step(10, node_1=False, node_2=True, node_3=False) is not None
    assert cluster.judge.due_in_s == HOLD_S
    assert cluster.step(10 + HOLD_S - 0.1, node_1=False, node_2=True, node_3=False) is not None
    assert cluster.ignored() == {True}
    assert cluster.step(10 + HOLD_S, node_1=False, node_2=True, node_3=False) is None
    assert cluster.ignored() == {False}
    assert cluster.judge.due_in_s is None


def test_a_node_that_fails_again_in_between_begins_the_wait_anew() -> None:
    cluster = Cluster()
    for now_s in (0, 4, 8, 12, 16):
        assert cluster.step(now_s, node_1=False, node_2=False, node_3=False) is not None
        assert cluster.step(now_s + 2, node_1=True, node_2=False, node_3=False) is not None
    assert cluster.step(18 + HOLD_S, node_1=True, node_2=False, node_3=False) is None


def test_what_the_nodes_were_told_survives_a_restart_of_the_operator() -> None:
    cluster = Cluster()
    cluster.step(0, node_1=False, node_2=False, node_3=False)
    cluster.judge = PanicJudge()
    assert cluster.step(100, node_1=True, node_2=False, node_3=False) is not None
    assert cluster.step(100 + HOLD_S, node_1=True, node_2=False, node_3=False) is None


def test_candidates_without_a_result_do_not_fail_and_those_not_heard_do_not_count() -> None:
    cluster = Cluster()
    assert cluster.step(0, node_1=False, node_2=None, node_3=None) is None
    assert cluster.step(1, node_1=False, node_2=None, node_3=False) is None
    reports = {
        name: NodeReport(config, status(web=name == "node-3"), fresh=name != "node-3")
        for name, config in cluster.configs.items()
    }
    assert cluster.look(reports, 2) == Panic(("node-1", "node-2"), 2, 100, ALL)


def test_where_nobody_is_heard_nobody_fails() -> None:
    cluster = Cluster()
    silent = {
        name: NodeReport(config, status(web=False), fresh=False)
        for name, config in cluster.configs.items()
    }
    assert cluster.look(silent, 0) is None


def test_a_check_that_was_deleted_under_what_runs_on_is_judged_too() -> None:
    cluster = Cluster()
    cluster._checks = []
    assert cluster.step(0, node_1=False, node_2=False, node_3=False) is not None
    assert cluster.ignored() == {True}


def test_one_candidate_that_fails_is_all_of_them() -> None:
    assert Cluster(1).step(0, node_1=False) == Panic(("node-1",), 1, 100, frozenset({"node-1"}))


@pytest.mark.parametrize(
    ("threshold", "failing", "reached"),
    [
        ("50%", 1, False),
        ("50%", 2, True),
        ("51%", 2, False),
        ("1%", 0, False),
        ("1%", 1, True),
        ("100%", 3, False),
        ("Never", 4, False),
    ],
)
def test_the_share_is_that_of_the_check(threshold: str, failing: int, reached: bool) -> None:
    cluster = Cluster(4, check=tcp_check("web", panicThreshold=threshold))
    said = {f"node_{n}": n > failing for n in range(1, 5)}
    assert (cluster.step(0, **said) is not None) is reached


def test_a_check_that_counts_the_other_way_fails_where_it_passes() -> None:
    cluster = Cluster(reference={"reverse": True})
    assert cluster.step(0, node_1=False, node_2=False, node_3=False) is None
    assert cluster.step(1, node_1=True, node_2=True, node_3=True) is not None


def test_a_file_is_judged_in_the_sense_of_the_check_itself() -> None:
    file = {**tcp_check("web"), "spec": {"file": {"path": "/run/n"}, "reverse": True}}
    assert Cluster(check=file).step(0, node_1=False, node_2=False, node_3=False) is not None
    turned = Cluster(check=file, reference={"reverse": False})
    assert turned.step(0, node_1=False, node_2=False, node_3=False) is None


def test_a_weight_has_no_panic() -> None:
    cluster = Cluster(reference={"weight": -50})
    assert cluster.step(0, node_1=False, node_2=False, node_3=False) is None
    # The VirtualIP's word beats the check's own, here too.
    fault = Cluster(reference={"onFailure": "Fault"}, check=tcp_check("web", weight=-50))
    assert fault.step(0, node_1=False, node_2=False, node_3=False) is not None


def test_each_virtual_ip_asks_its_own_candidates() -> None:
    shared = [{"name": "web"}]
    objects = [
        virtual_ip("a", vrid=1, healthChecks=shared, nodePriorities=_on("node-1", "node-2")),
        virtual_ip("b", "192.0.2.51", vrid=2, healthChecks=shared, nodePriorities=_on("node-3")),
    ]
    for obj, candidates in zip(objects, (2, 1), strict=True):
        obj["spec"]["candidates"] = candidates
    cluster = snapshot(objects, nodes(3), [tcp_check("web")])
    reports = {
        name: NodeReport(config, status(web=name == "node-3"), fresh=True)
        for name, config in plan(cluster).configs.items()
    }
    panics = PanicJudge().judge(replace(cluster, reports=reports), 0)
    assert set(panics) == {("a", "web")}


def _on(*names: str) -> list[dict[str, Any]]:
    return [{"node": name, "priority": 200 - n} for n, name in enumerate(names)]


def test_what_runs_on_of_a_virtual_ip_that_is_not_accepted_is_judged_too() -> None:
    cluster = Cluster()
    cluster.step(0, node_1=False, node_2=False, node_3=False)
    cluster._objects = [virtual_ip("a", vrid=1, healthChecks=[{"name": "absent"}])]
    assert cluster.step(1, node_1=True, node_2=True, node_3=True) is not None
    assert cluster.step(1 + HOLD_S, node_1=True, node_2=True, node_3=True) is None
    assert cluster.ignored() == {False}


# One after the other ------------------------------------------------------------------

OFFERING = ("Active", False, True)
FAILING = ("Fault", False, True)


def test_who_holds_the_address_ignores_the_check_before_others_could_take_it() -> None:
    cluster = Cluster()
    cluster.report(0, node_1=FAILING, node_2=OFFERING, node_3=FAILING)
    assert cluster.told() == {"node-2"}
    assert 0 < (cluster.judge.due_in_s or 0) <= STAGE_S
    cluster.report(1, node_1=FAILING, node_2=OFFERING, node_3=FAILING)
    assert cluster.told() == {"node-2"}
    cluster.report(2, node_1=FAILING, node_2=("Active", False, False), node_3=FAILING)
    assert cluster.told() == ALL


def test_a_holder_that_takes_no_notice_is_not_waited_for_for_ever() -> None:
    cluster = Cluster()
    cluster.report(0, node_1=FAILING, node_2=OFFERING, node_3=FAILING)
    cluster.report(STAGE_S, node_1=FAILING, node_2=OFFERING, node_3=FAILING)
    assert cluster.told() == ALL


def test_where_nobody_holds_the_address_all_ignore_the_check_at_once() -> None:
    cluster = Cluster()
    cluster.report(0, node_1=FAILING, node_2=FAILING, node_3=FAILING)
    assert cluster.told() == ALL


def test_the_holder_minds_the_check_after_those_who_would_take_over_in_vain() -> None:
    cluster = Cluster()
    backup, holder, healthy = (
        ("Backup", False, False),
        ("Active", False, False),
        ("Backup", True, False),
    )
    cluster.report(0, node_1=FAILING, node_2=FAILING, node_3=FAILING)
    cluster.report(1, node_1=backup, node_2=holder, node_3=healthy)
    assert cluster.told() == ALL
    cluster.report(1 + HOLD_S, node_1=backup, node_2=holder, node_3=healthy)
    assert cluster.told() == {"node-2"}
    cluster.report(2 + HOLD_S, node_1=FAILING, node_2=holder, node_3=healthy)
    assert cluster.told() == set()


def test_a_node_that_never_comes_to_fault_is_not_waited_for_for_ever() -> None:
    cluster = Cluster()
    backup, holder, healthy = (
        ("Backup", False, False),
        ("Active", False, False),
        ("Backup", True, False),
    )
    cluster.report(0, node_1=FAILING, node_2=FAILING, node_3=FAILING)
    for now_s in (1, 1 + HOLD_S):
        cluster.report(now_s, node_1=backup, node_2=holder, node_3=healthy)
    assert cluster.told() == {"node-2"}
    cluster.report(1 + HOLD_S + STAGE_S, node_1=backup, node_2=holder, node_3=healthy)
    assert cluster.told() == set()


def test_nobody_preempts_while_a_check_is_ignored() -> None:
    def preempting(cluster: Cluster) -> set[bool]:
        routers = [r for config in cluster.configs.values() for r in config.virtual_routers]
        return {router.election.preemption.preempt for router in routers}

    cluster = Cluster()
    assert preempting(cluster) == {True}
    cluster.report(0, node_1=FAILING, node_2=OFFERING, node_3=FAILING)
    assert preempting(cluster) == {False}
    cluster.step(1, node_1=True, node_2=True, node_3=True)
    cluster.step(1 + HOLD_S, node_1=True, node_2=True, node_3=True)
    assert preempting(cluster) == {True}
