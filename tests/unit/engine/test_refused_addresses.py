"""Addresses that the kernel refuses, and what checks took from a priority that changes."""

from __future__ import annotations

import pytest
from tests.unit.engine.programs import address, router_program
from tests.unit.engine.rig import NOW, ONE, PEER, SECOND, TWO, Rig, rig
from tests.unit.engine.shared import snapshot

from vrrp.authentication import SignatureClock
from vrrp.constants import State
from vrrp.events import DeadlineReached
from vrrp.packet import ChecksumForm
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.routers.inputs import Inputs
from vrrp_speaker.engine.routers.running_router import INSTALL_RETRY_NS, RunningRouter

__all__ = ["rig"]  # pytest finds fixtures by name


# Addresses that the kernel refuses -------------------------------------------------------


def attempts(rig: Rig, router: RunningRouter, begun_ns: int, seconds: int) -> list[int]:
    """Let time pass; return after how many seconds the router became Active."""
    found, now_ns = [], begun_ns
    while now_ns < begun_ns + seconds * SECOND:
        now_ns += SECOND // 10
        rig.look_for_changes(now_ns)
        sent = len(rig.transport.sent)
        rig.executor.handle(router, DeadlineReached(), now_ns)
        rig.settle(now_ns)
        if any(rig.transport.sent[sent:]):
            found.append((now_ns - begun_ns) // SECOND)
    return found


def test_router_whose_address_is_refused_disturbs_the_others_more_and_more_seldom(rig: Rig) -> None:
    """Each takeover that fails takes the address from a node that could hold it."""
    router = rig.load(ONE)
    rig.requests.refuses = True
    found = attempts(rig, router, NOW, 300)
    assert 5 <= len(found) <= 9
    rig.requests.refuses = False
    assert attempts(rig, router, NOW + 300 * SECOND, 62)
    assert router.machine.state is State.ACTIVE
    rig.requests.refuses = True
    rig.executor.leases.bind(router, router.program.addresses, NOW + 400 * SECOND)
    rig.settle(NOW + 400 * SECOND)
    assert router.lease.retry_ns == NOW + 400 * SECOND + INSTALL_RETRY_NS


def test_router_that_is_alone_and_refused_goes_on_trying(rig: Rig) -> None:
    rig.table.load(EngineProgram("n", 1, (router_program(addresses=(address(ONE),)),)), NOW)
    rig.requests.refuses = True
    router = rig.table.routers["a"]
    attempts(rig, router, NOW, 100)
    assert router.lease.failures >= 15


def test_other_addresses_are_tried_at_once_after_some_were_refused(rig: Rig) -> None:
    router = rig.load(ONE)
    rig.requests.refuses = True
    now_ns = attempts(rig, router, NOW, 100)[-1] * SECOND + NOW
    assert router.machine.state is State.FAULT
    rig.load(TWO, at_ns=now_ns + SECOND)
    assert (router.machine.state, router.lease.failures) == (State.BACKUP, 0)


def test_what_was_judged_for_another_base_priority_is_no_change_of_health(rig: Rig) -> None:
    """The agent has the next configuration before it is compiled, and tells the checks meanwhile.

    A named successor took over, was told less than that, and yielded: preemption Never, for good.
    """
    router = rig.load(ONE, preempt=False)
    rig.parts.inputs.take({"a": Inputs(221, 221, faulty=False)}, NOW)
    assert router.machine.parameters.priority == 200
    rig.load(ONE, at_ns=NOW + 1, preempt=False, base_priority=221, take_over="node-2")
    assert (router.machine.state, router.machine.parameters.priority) == (State.ACTIVE, 221)
    rig.parts.inputs.take({"a": Inputs(221, 221, faulty=False)}, NOW + 2)
    assert router.machine.state is State.ACTIVE
    rig.parts.inputs.take({"a": Inputs(200, 200, faulty=False)}, NOW + 3)
    assert (router.machine.state, router.machine.parameters.priority) == (State.ACTIVE, 221)


def test_heir_with_another_base_priority_takes_over_what_the_checks_took(rig: Rig) -> None:
    router = rig.load(ONE)
    rig.parts.inputs.take({"a": Inputs(150, 200, faulty=False)}, NOW)
    now_ns = rig.become_active(router)
    heir = rig.heir()
    program = router_program(PEER, base_priority=180, addresses=(address(ONE),))
    heir.table.load(EngineProgram("n", 2, (program,)), now_ns + 1)
    resumed = heir.table.routers["a"]
    assert (resumed.machine.state, resumed.machine.parameters.priority) == (State.ACTIVE, 130)
    heir.inputs.take({"a": Inputs(130, 180, faulty=False)}, now_ns + 2)
    assert (resumed.machine.state, resumed.told.points) == (State.ACTIVE, -50)


@pytest.mark.parametrize(("base", "points", "expected"), [(210, -50, 160), (30, -50, 1)])
def test_base_priority_that_changes_forgets_no_failing_check(
    rig: Rig, base: int, points: int, expected: int
) -> None:
    """The agent tells again what the checks make of it, but may be stalled."""
    router = rig.load(ONE)
    rig.parts.inputs.take({"a": Inputs(200 + points, 200, faulty=False)}, NOW)
    rig.load(ONE, base_priority=base)
    assert router.machine.parameters.priority == expected
    assert snapshot(rig.shared).routers[0].effective_priority == expected


def test_router_whose_program_changes_goes_on_with_the_checksum_it_has_heard(rig: Rig) -> None:
    router = rig.load(ONE)
    router.encoder.heard(PEER.address, ChecksumForm.PSEUDO_HEADER)
    before = dict(router.encoder.encode(200, SignatureClock(), 1, 1))
    rig.load(ONE, preempt=False)
    assert dict(router.encoder.encode(200, SignatureClock(), 1, 1)) == before
