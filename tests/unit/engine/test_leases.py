"""Addresses that the kernel takes its time with: given up, asked for again, told when they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.engine.programs import address, packed
from tests.unit.engine.rig import ONE, SECOND, SIX, TWO, Rig, rig

from vrrp.constants import State
from vrrp.events import DeadlineReached
from vrrp_speaker.engine.addresses.leases import LEAST_PATIENCE_NS
from vrrp_speaker.engine.network.netlink import ADDRESS_PROTOCOL, AddressNews
from vrrp_speaker.engine.network.node_network import Digest
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import EngineFault
from vrrp_speaker.shared_state import layout as shm

__all__ = ["rig"]  # pytest finds fixtures by name
ADD, DELETE = f"add {ONE}".encode(), f"delete {ONE}".encode()
INTERVAL = SECOND // 5


def become_active(rig: Rig, router: RunningRouter) -> int:
    """Let the down timer expire while the kernel has others' work to do; return when."""
    rig.worker.busy = True
    now_ns = router.machine.next_deadline_ns()
    assert now_ns is not None
    rig.executor.handle(router, DeadlineReached(), now_ns)
    assert state(router) is State.ACTIVE
    return now_ns


def state(router: RunningRouter) -> State:
    return router.machine.state


def patience_ns(router: RunningRouter) -> int:
    mine = router.machine.parameters
    return mine.down_ns(mine.adver_interval_ns)


def test_nothing_is_announced_or_told_to_be_there_before_the_kernel_says_so(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = become_active(rig, router)
    rig.frames.run(now_ns)
    assert rig.transport.sent == [200]
    assert rig.wire.sent == []
    assert rig.shared.get(router.offset + shm.S_ADDRESS_PRESENT) == 0
    rig.worker.busy = False
    rig.settle(now_ns + 1)
    rig.frames.run(now_ns + 1)
    assert rig.wire.sent == [ONE.encode()]
    assert rig.shared.get(router.offset + shm.S_ADDRESS_PRESENT) == 1


def test_router_that_the_kernel_binds_nothing_for_leaves_it_to_others(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = become_active(rig, router)
    leases = rig.executor.leases
    until_ns = now_ns + patience_ns(router)
    assert leases.next_deadline_ns() == until_ns
    leases.run(until_ns - 1)
    assert state(router) is State.ACTIVE
    leases.run(until_ns)
    assert state(router) is State.FAULT
    assert router.found.faults == {EngineFault.ADDRESS_INSTALL_FAILED}
    assert rig.transport.sent[-1] == 0


def test_fast_election_waits_for_the_kernel_a_moment(rig: Rig) -> None:
    router = rig.load(ONE, adver_interval_ns=SECOND // 100)
    now_ns = become_active(rig, router)
    assert patience_ns(router) < LEAST_PATIENCE_NS
    assert rig.executor.leases.next_deadline_ns() == now_ns + LEAST_PATIENCE_NS


def test_router_that_is_alone_waits_for_the_kernel(rig: Rig) -> None:
    router = rig.load(ONE)
    router.program = replace(router.program, peers=())
    now_ns = become_active(rig, router)
    rig.executor.leases.run(now_ns + 3600 * SECOND)
    assert state(router) is State.ACTIVE


def test_router_that_gave_up_is_there_again_once_the_kernel_is_free(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = become_active(rig, router) + patience_ns(router)
    rig.executor.leases.run(now_ns)
    rig.settle(now_ns + SECOND // 2)
    assert state(router) is State.FAULT
    rig.worker.busy = False
    rig.settle(now_ns + SECOND // 2)
    rig.settle(now_ns + SECOND // 2 + 1)
    assert rig.requests.made == [DELETE]
    assert state(router) is State.BACKUP


def test_router_that_has_its_addresses_gives_nothing_up(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.worker.busy = True
    while (due_ns := router.machine.next_deadline_ns() or 0) < now_ns + 10 * SECOND:
        rig.executor.handle(router, DeadlineReached(), due_ns)
        rig.executor.leases.run(due_ns)
    assert state(router) is State.ACTIVE
    assert rig.shared.get(router.offset + shm.S_ADDRESS_PRESENT) == 1


def test_what_is_too_old_to_be_bound_is_asked_for_again_while_active(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = become_active(rig, router)
    rig.worker.now_ns = now_ns + INTERVAL + 1  # the process stood still
    rig.worker.busy = False
    rig.worker.flush()
    assert rig.requests.made == []
    rig.settle(now_ns + INTERVAL + 1)
    assert rig.requests.made == [ADD]


@pytest.mark.parametrize("text", [ONE, TWO])
def test_address_that_is_on_its_way_is_not_put_back(rig: Rig, text: str) -> None:
    """Its removal was asked for before, as by a router that lost and won again."""
    router = rig.load(ONE, TWO)
    now_ns = become_active(rig, router)
    rig.addresses.restore(AddressNews(2, packed(text), 24, 112, False), now_ns)
    rig.worker.busy = False
    rig.settle(now_ns)
    assert rig.requests.made == [ADD, f"add {TWO}".encode()]
    assert rig.shared.get(router.offset + shm.S_RESTORED) == 0


def test_kernel_that_binds_at_once_has_the_address_announced_before_its_news_come(rig: Rig) -> None:
    router = rig.load(ONE, SIX)
    rig.requests.silent = True
    now_ns = router.machine.next_deadline_ns()
    assert now_ns is not None
    rig.executor.handle(router, DeadlineReached(), now_ns)
    assert rig.wire.sent == [ONE.encode()]  # the other family is announced once it answers
    digest = Digest()
    told = AddressNews(2, packed(ONE), address(ONE).prefix_length, ADDRESS_PROTOCOL, True)
    rig.network.learn([told], digest)
    assert digest.arrived == []


def test_announcement_is_never_ahead_of_others_advertisements(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = router.machine.next_deadline_ns()
    assert now_ns is not None
    rig.executor.others_wait = True
    rig.executor.handle(router, DeadlineReached(), now_ns)
    assert rig.wire.sent == []
    rig.settle(now_ns)
    rig.announce_until(now_ns)
    assert rig.wire.sent == [ONE.encode()]
