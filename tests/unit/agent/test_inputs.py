"""What checks mean for a router: faults and effective priority."""

from __future__ import annotations

import pytest

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import NodeConfig, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.checks.state import CheckState, initial_state
from vrrp_speaker.agent.inputs import RouterInputs, router_inputs

PASSING = initial_state(1, 1).after(True)
FAILING = initial_state(1, 1).after(False)
PENDING = initial_state(1, 1)


def inputs(base: int, **checks: tuple[int, CheckState]) -> RouterInputs:
    router = VirtualRouterConfig(
        "a", 1, 1, None, (VipAddress("192.0.2.50", 32),), base, ElectionSpec(), (),
        tuple(RouterCheck(name, weight) for name, (weight, _) in checks.items()),
    )  # fmt: skip
    config = NodeConfig("n", 1, (), (router,), ())
    return router_inputs(config, {name: state for name, (_, state) in checks.items()})["a"]


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
    checks: dict[str, tuple[int, CheckState]], priority: int, faults: tuple[str, ...]
) -> None:
    assert inputs(100, **checks) == RouterInputs(priority, faults)


def test_a_check_nobody_runs_is_pending() -> None:
    router = VirtualRouterConfig(
        "a", 1, 1, None, (), 100, ElectionSpec(), (), (RouterCheck("absent", 0),)
    )
    found = router_inputs(NodeConfig("n", 1, (), (router,), ()), {})
    assert found["a"].faults == ("CheckPending: absent",)
