"""What checks mean for a router: faults and effective priority."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from vrrp_api.check_kinds import CheckKind, FileCheck, InterfaceCheck, ProcessCheck, TcpCheck
from vrrp_api.election import ElectionSpec
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import NodeConfig, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.checks.inputs import InputsJudge, RouterInputs, router_inputs
from vrrp_speaker.agent.checks.verdict import Verdict

PASSING = Verdict(decided=True, passing=True)
FAILING = Verdict(decided=True, passing=False)
PENDING = Verdict(decided=False, passing=False)
TCP = TcpCheck("127.0.0.1:1")


def check(name: str, kind: CheckKind = TCP, **values: Any) -> HealthCheck:
    return HealthCheck(name, 1, kind, 10**9, 10**9, 1, 1, 0, **values)


def config(base: int, *references: RouterCheck, checks: Iterable[HealthCheck]) -> NodeConfig:
    router = VirtualRouterConfig(
        "a", 1, 1, None, (VipAddress("192.0.2.50", 32),), base, ElectionSpec(), (), references
    )
    return NodeConfig("n", 1, (), (router,), tuple(checks))


def inputs(base: int, **checks: tuple[int, Verdict]) -> RouterInputs:
    references = (RouterCheck(name, weight) for name, (weight, _) in checks.items())
    node = config(base, *references, checks=map(check, checks))
    verdicts = {name: verdict for name, (_, verdict) in checks.items()}
    return router_inputs(node.virtual_routers[0], node, verdicts)


@pytest.mark.parametrize(
    ("checks", "priority", "faults"),
    [
        ({}, 100, ()),
        ({"c": (0, PASSING)}, 100, ()),
        ({"c": (0, FAILING)}, 100, ("CheckFailed: c",)),
        ({"c": (0, PENDING)}, 100, ("CheckPending: c",)),
        ({"c": (-30, FAILING)}, 70, ()),
        ({"c": (-30, PASSING)}, 100, ()),
        ({"c": (-30, PENDING)}, 100, ()),
        ({"c": (30, PASSING)}, 130, ()),
        ({"c": (30, FAILING)}, 100, ()),
        ({"c": (-30, FAILING), "d": (40, PASSING)}, 110, ()),
        ({"c": (-200, FAILING)}, 1, ()),
        ({"c": (200, PASSING)}, 254, ()),
        ({"c": (-200, FAILING), "d": (0, FAILING)}, 1, ("CheckFailed: d",)),
    ],
)
def test_checks_become_priority_and_faults(
    checks: dict[str, tuple[int, Verdict]], priority: int, faults: tuple[str, ...]
) -> None:
    found = inputs(100, **checks)
    assert (found.effective_priority, found.faults) == (priority, faults)


def test_a_check_nobody_runs_is_pending() -> None:
    node = config(100, RouterCheck("absent", 0), checks=())
    assert router_inputs(node.virtual_routers[0], node, {}).faults == ("CheckPending: absent",)


def one(kind: CheckKind, weight: int, verdict: Verdict, reverse: bool = False) -> RouterInputs:
    node = config(100, RouterCheck("c", weight, reverse), checks=[check("c", kind)])
    return router_inputs(node.virtual_routers[0], node, {"c": verdict})


@pytest.mark.parametrize(
    ("kind", "weight", "priority"),
    [
        (TCP, -254, 1),
        (InterfaceCheck("eth0"), 254, 100),
        (ProcessCheck("nginx", False, 1, None), -254, 1),
    ],
)
def test_every_other_kind_is_up_or_down(kind: CheckKind, weight: int, priority: int) -> None:
    assert one(kind, weight, FAILING).effective_priority == priority


def test_reverse_turns_a_penalty_into_a_bonus() -> None:
    assert one(TCP, -30, FAILING, reverse=True).effective_priority == 130


def test_reverse_turns_passing_into_a_fault() -> None:
    assert one(TCP, 0, PASSING, reverse=True).faults == ("CheckFailed: c",)
    assert one(TCP, 0, FAILING, reverse=True).faults == ()


@pytest.mark.parametrize(
    ("value", "weight", "priority", "faults"),
    [
        (3, 20, 160, ()),
        (-3, 20, 40, ()),
        (-13, 20, 100, ("CheckFailed: c",)),
        (1, 0, 100, ("CheckFailed: c",)),
        (0, 0, 100, ()),
    ],
)
def test_a_file_counts_by_its_number(
    value: int, weight: int, priority: int, faults: tuple[str, ...]
) -> None:
    """The rows with a weight are keepalived's (reference §1b)."""
    found = one(FileCheck("/n"), weight, Verdict(True, True, value))
    assert (found.effective_priority, found.faults) == (priority, faults)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("weight", "faults"), [(0, ("CheckFailed: c",)), (5, ()), (-254, ())])
def test_a_file_that_is_not_read_fails_and_has_no_number(
    weight: int, faults: tuple[str, ...], reverse: bool
) -> None:
    refused = Verdict(True, False, 0, unreadable=True)
    found = one(FileCheck("/n"), weight, refused, reverse=reverse)
    assert (found.effective_priority, found.faults) == (100, faults)


def test_an_ignored_check_is_no_fault_and_holds_nobody() -> None:
    node = config(100, RouterCheck("c", 0, ignored=True), checks=[check("c")])
    for verdict in (FAILING, PENDING):
        assert router_inputs(node.virtual_routers[0], node, {"c": verdict}).faults == ()


@pytest.mark.parametrize(("threshold", "keeps"), [(100, True), (50, True), (None, False)])
def test_a_check_that_may_fail_everywhere_keeps_the_holder(
    threshold: int | None, keeps: bool
) -> None:
    node = config(100, RouterCheck("c", 0), checks=[check("c", panic_threshold=threshold)])
    assert router_inputs(node.virtual_routers[0], node, {"c": FAILING}).keeps is keeps


def test_one_check_that_always_counts_keeps_nobody() -> None:
    checks = [check("c"), check("d", panic_threshold=None)]
    node = config(100, RouterCheck("c", 0), RouterCheck("d", 0), checks=checks)
    found = router_inputs(node.virtual_routers[0], node, {"c": FAILING, "d": FAILING})
    assert not found.keeps


def test_nothing_is_kept_without_a_fault() -> None:
    assert not inputs(100, c=(0, PASSING)).keeps


def test_a_check_added_to_a_settled_router_does_not_hold_it() -> None:
    judge = InputsJudge()
    before = config(100, RouterCheck("c", 0), checks=[check("c")])
    judge.judge(before, {"c": PASSING})
    after = config(100, RouterCheck("c", 0), RouterCheck("d", 0), checks=[check("c"), check("d")])
    assert judge.judge(after, {"c": PASSING})["a"].faults == ()
    assert judge.judge(after, {"c": PASSING, "d": FAILING})["a"].faults == ("CheckFailed: d",)


def test_a_router_that_left_and_came_back_is_held_again() -> None:
    judge = InputsJudge()
    node = config(100, RouterCheck("c", 0), checks=[check("c")])
    judge.judge(node, {"c": PASSING})
    judge.judge(NodeConfig("n", 2, (), (), ()), {})
    assert judge.judge(node, {})["a"].faults == ("CheckPending: c",)


def test_of_an_adopted_router_nothing_is_said_before_all_results() -> None:
    judge = InputsJudge()
    judge.adopt(["a"])
    node = config(100, RouterCheck("c", 0), RouterCheck("d", -30), checks=[check("c"), check("d")])
    assert judge.judge(node, {}) == {}
    assert judge.judge(node, {"c": PASSING}) == {}
    assert judge.judge(node, {"c": PASSING, "d": FAILING})["a"].effective_priority == 70
    assert judge.judge(node, {})["a"].effective_priority == 100
