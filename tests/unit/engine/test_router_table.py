"""Loading programs under running routers: what is announced, what is taken over, what goes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.engine.programs import address, announcement, packed, router_program
from tests.unit.engine.rig import NOW, ONE, PEER, SECOND, SIX, TWO, Rig, rig
from tests.unit.engine.shared import snapshot

from vrrp.constants import FIRST_HOLDER, Family, State
from vrrp.events import DeadlineReached
from vrrp.states import HANDOVER_GRACE_NS
from vrrp_speaker.engine.addresses.address_watch import ASK_EVERY_NS, LONGEST_WAIT_NS
from vrrp_speaker.engine.network.netlink import AddressNews, LinkNews
from vrrp_speaker.engine.network.node_network import Digest
from vrrp_speaker.engine.programs.program import EngineProgram, Pace
from vrrp_speaker.engine.routers.inputs import Inputs
from vrrp_speaker.engine.routers.resuming import left_active
from vrrp_speaker.engine.wire.wanted_groups import REJOIN_NS
from vrrp_speaker.shared_state import EngineFault
from vrrp_speaker.shared_state import layout as shm

__all__ = ["rig"]  # pytest finds fixtures by name


# Announcements ---------------------------------------------------------------------------


def test_address_removed_from_the_active_router_is_announced_no_more(rig: Rig) -> None:
    now_ns = rig.become_active(rig.load(ONE, TWO))
    assert rig.wire.sent == [ONE.encode(), TWO.encode()]
    rig.load(ONE, at_ns=now_ns + 1)
    rig.wire.sent.clear()
    rig.announce_until(now_ns + 200 * SECOND)
    assert ONE.encode() in rig.wire.sent
    assert TWO.encode() not in rig.wire.sent


def test_address_added_to_the_active_router_is_bound_and_announced(rig: Rig) -> None:
    now_ns = rig.become_active(rig.load(ONE))
    rig.wire.sent.clear()
    rig.load(ONE, TWO, at_ns=now_ns + 1)
    assert f"add {TWO}".encode() in rig.requests.made
    rig.frames.run(now_ns + 1)
    assert TWO.encode() in rig.wire.sent


def test_new_hardware_address_is_announced(rig: Rig) -> None:
    now_ns = rig.become_active(rig.load(ONE))
    rig.wire.sent.clear()
    recompiled = router_program(
        PEER, addresses=(address(ONE),), announcements=(announcement(ONE, b"new mac"),)
    )
    rig.table.load(EngineProgram("n", 2, (recompiled,)), now_ns + 1)
    rig.frames.run(now_ns + 1)
    assert rig.wire.sent == [b"new mac"]


def test_address_that_cannot_be_restored_is_not_announced(rig: Rig) -> None:
    now_ns = rig.become_active(rig.load(ONE))
    rig.wire.sent.clear()
    rig.requests.refuses = True
    rig.addresses.restore(AddressNews(2, packed(ONE), 24, 112, False), now_ns + 1)
    rig.frames.run(now_ns + 2)
    assert rig.wire.sent == []


def test_ipv6_address_is_announced_once_the_kernel_has_it_in_use(rig: Rig) -> None:
    router = rig.load(ONE, SIX)
    now_ns = rig.become_active(router)
    assert rig.wire.sent == [ONE.encode()]
    rig.bound(SIX, now_ns)
    # Meanwhile it is not announced with the others either.
    rig.executor.announce(router, now_ns)
    for _ in range(20):
        now_ns = rig.look()
    assert SIX.encode() not in rig.wire.sent
    rig.requests.in_use.add(packed(SIX))
    rig.addresses.run(now_ns + 1)
    assert rig.addresses.next_deadline_ns() == now_ns + ASK_EVERY_NS
    rig.look()
    assert SIX.encode() in rig.wire.sent
    assert rig.addresses.next_deadline_ns() is None


def test_ipv6_address_that_a_routing_rule_hides_is_announced_in_the_end(rig: Rig) -> None:
    now_ns = rig.become_active(rig.load(SIX))
    rig.bound(SIX, now_ns)
    rig.addresses.run(now_ns + LONGEST_WAIT_NS)
    rig.frames.run(now_ns + LONGEST_WAIT_NS)
    assert rig.wire.sent == [SIX.encode()]


@pytest.mark.parametrize("why", ["address gone", "router gone"])
def test_ipv6_address_that_went_before_it_answered_is_not_announced(rig: Rig, why: str) -> None:
    now_ns = rig.become_active(rig.load(SIX))
    rig.bound(SIX, now_ns)
    if why == "address gone":
        rig.network.learn([AddressNews(2, packed(SIX), 64, 112, False)], Digest())
    else:
        rig.table.load(EngineProgram("n", 2, ()), now_ns)
    rig.requests.in_use.add(packed(SIX))
    rig.addresses.run(now_ns + SECOND)
    rig.frames.run(now_ns + SECOND)
    assert rig.addresses.next_deadline_ns() is None
    assert rig.wire.sent == []


def test_addresses_of_others_are_not_waited_for(rig: Rig) -> None:
    now_ns = rig.become_active(rig.load(ONE, SIX))
    for text in ("192.0.2.99", "2001:db8::99"):
        rig.bound(text, now_ns)
    assert rig.addresses.next_deadline_ns() is None


def test_takeover_binds_each_address_once_and_after_its_advertisement(rig: Rig) -> None:
    # Twice would be worse than idle: the kernel answers a second request for an IPv6 address with
    # news that look as if it were in use.
    rig.become_active(rig.load(ONE, SIX))
    assert rig.requests.made == [f"add {text}".encode() for text in (ONE, SIX)]


def test_winner_of_several_announces_again_within_the_grace_of_a_loser(rig: Rig) -> None:
    """A second loser may have announced after us, believing that it wins over the first."""
    plan = Pace(burst=1, repeat_after_ns=0, refresh_ns=0)
    router = rig.load(ONE, announcement_plan=plan)
    now_ns = rig.become_active(router)
    rig.announce_until(now_ns + 2 * SECOND)
    assert rig.wire.sent.count(ONE.encode()) == 1  # as a takeover is asked to
    rig.hear(router, now_ns + 2 * SECOND, priority=1)
    rig.announce_until(now_ns + 2 * SECOND)
    assert rig.wire.sent.count(ONE.encode()) == 2
    rig.announce_until(now_ns + 2 * SECOND + HANDOVER_GRACE_NS)
    assert rig.wire.sent.count(ONE.encode()) == 3


def test_advertisements_renew_what_is_bound(rig: Rig) -> None:
    router = rig.load(ONE)
    begun_ns = rig.become_active(router)
    while (now_ns := router.machine.next_deadline_ns() or 0) < begun_ns + 10 * SECOND:
        rig.executor.handle(router, DeadlineReached(), now_ns)
        rig.worker.flush()
    add = f"add {ONE}".encode()
    assert rig.requests.made == [add]  # the kernel's news of these is news
    assert rig.renewals.made.count(add) >= 10 * SECOND // router.lease_ns()


def test_node_tells_its_own_address_when_the_link_comes_up(rig: Rig) -> None:
    rig.load(ONE, source_announcements=(announcement("192.0.2.11"),))
    rig.addresses.announce_sources(2, NOW)
    rig.addresses.announce_sources(3, NOW)
    rig.announce_until(NOW + 100 * SECOND)
    assert rig.wire.sent == [b"192.0.2.11"] * 2


# After an engine that died ---------------------------------------------------------------


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(("silent_ns", "changes"), [(599_999_999, 0), (600_000_000, 1)])
def test_heir_of_a_backup_that_heard_its_active_router_lately_changes_nothing(
    rig: Rig, checked: bool, silent_ns: int, changes: int
) -> None:
    router = rig.load(ONE, has_checks=checked)
    rig.parts.inputs.take({"a": Inputs(123, 200, faulty=False)}, NOW)
    assert router.machine.state is State.BACKUP
    rig.shared.set(shm.peer_offset(router.program.slot, 0) + shm.PEER_LAST, NOW)
    counted = rig.shared.get(router.offset + shm.S_TRANSITIONS)
    engine, now_ns = rig.heir(), NOW + silent_ns
    engine.table.load(EngineProgram("n", 1, (router.program,)), now_ns)
    fresh = engine.table.routers["a"].machine
    stays = not changes
    assert fresh.state is (State.BACKUP if stays or not checked else State.FAULT)
    assert fresh.parameters.priority == (123 if stays else router.program.base_priority)
    assert rig.shared.get(router.offset + shm.S_TRANSITIONS) == counted + changes
    assert rig.shared.get(router.offset + shm.S_SINCE) == (NOW if stays else now_ns)
    assert rig.shared.get(router.offset + shm.S_STATE) == shm.STATES.index(fresh.state)


def test_heir_of_a_backup_that_is_in_fault_by_now_says_so(rig: Rig) -> None:
    router = rig.load(ONE)
    rig.shared.set(shm.peer_offset(router.program.slot, 0) + shm.PEER_LAST, NOW)
    rig.network.learn([LinkNews(2, "eth0", False, True)], Digest())
    engine = rig.heir()
    engine.table.load(EngineProgram("n", 1, (router.program,)), NOW + 1)
    assert rig.shared.get(router.offset + shm.S_STATE) == shm.STATES.index(State.FAULT)
    rig.network.learn([LinkNews(2, "eth0", True, True)], Digest())
    engine.faults.refresh_all(NOW + 2)
    assert rig.shared.get(router.offset + shm.S_STATE) == shm.STATES.index(State.BACKUP)


# Handing over ----------------------------------------------------------------------------


def test_removed_router_releases_and_lets_its_address_go_later(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.table.load(EngineProgram("n", 2, ()), now_ns + 1)
    assert rig.transport.sent[-1] == 0
    assert f"delete {ONE}".encode() not in rig.requests.made
    deadline_ns = router.machine.next_deadline_ns()
    assert deadline_ns is not None
    rig.executor.handle(router, DeadlineReached(), deadline_ns)
    assert rig.requests.made[-1] == f"delete {ONE}".encode()


def test_router_without_peers_holds_nothing_for_a_successor(rig: Rig) -> None:
    alone = router_program(addresses=(address(ONE),))
    rig.table.load(EngineProgram("n", 1, (alone,)), NOW)
    now_ns = rig.become_active(rig.table.routers["a"])
    rig.table.load(EngineProgram("n", 2, ()), now_ns + 1)
    assert rig.requests.made[-1] == f"delete {ONE}".encode()


def test_address_goes_at_once_with_its_link(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.network.learn([LinkNews(2, "eth0", False, True)], Digest())
    rig.faults.refresh_all(now_ns + 1)
    assert router.machine.state is State.FAULT
    assert rig.requests.made[-1] == f"delete {ONE}".encode()


def test_failing_check_keeps_the_address_for_a_successor(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.parts.inputs.take({"a": Inputs(200, 200, faulty=True)}, now_ns + 1)
    assert router.machine.state is State.FAULT
    assert rig.transport.sent[-1] == 0
    assert f"delete {ONE}".encode() not in rig.requests.made


def test_named_successor_takes_over_once_for_each_name(rig: Rig) -> None:
    router = rig.load(ONE)
    rig.load(ONE, at_ns=NOW + 1, take_over="node-1")
    assert router.machine.state is State.ACTIVE
    assert rig.transport.sent == [200]
    rig.load(ONE, at_ns=NOW + 2, take_over="node-1", base_priority=199)
    assert rig.transport.sent == [200]


def test_start_with_an_old_name_takes_nothing_over(rig: Rig) -> None:
    assert rig.load(ONE, take_over="node-1").machine.state is State.BACKUP


def test_who_is_named_the_first_holder_listens_for_an_interval_and_a_skew(rig: Rig) -> None:
    rig.table.load(EngineProgram("n", 1, ()), NOW)
    begun = NOW + SECOND
    router = rig.load(ONE, at_ns=begun, take_over=FIRST_HOLDER)
    assert router.machine.next_deadline_ns() == begun + 243_750_000
    assert rig.transport.sent == []
    # Nothing follows from it later: neither that it stays nor that it goes.
    rig.load(ONE, at_ns=begun + 1, base_priority=199)
    rig.load(ONE, at_ns=begun + 2, take_over=FIRST_HOLDER)
    assert router.machine.state is State.BACKUP
    assert rig.transport.sent == []


def test_addresses_of_an_election_that_ended_wait_for_no_successor(rig: Rig) -> None:
    rig.become_active(rig.load(ONE))
    gone = f"delete {ONE}".encode()
    rig.table.load(EngineProgram("n", 1, ()), NOW + SECOND, {"another"})
    assert gone not in rig.requests.made  # somebody may have it next
    again = rig.load(ONE, at_ns=NOW + 2 * SECOND)
    rig.become_active(again)
    rig.table.load(EngineProgram("n", 1, ()), NOW + 4 * SECOND, {"a"})
    assert rig.transport.sent[-1] == 0
    assert gone in rig.requests.made


def test_engine_that_begins_with_a_first_holder_waits_as_ever(rig: Rig) -> None:
    router = rig.load(ONE, take_over=FIRST_HOLDER)
    assert router.machine.next_deadline_ns() == NOW + 643_750_000


def test_check_that_may_fail_everywhere_leaves_the_address_with_the_last_holder(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.parts.inputs.take({"a": Inputs(200, 200, faulty=True, keeps=True)}, now_ns + 1)
    for turn in range(1, 20):
        rig.executor.handle(router, DeadlineReached(), now_ns + 1 + turn * SECOND // 5)
    assert router.machine.state is State.ACTIVE
    assert rig.transport.sent == [200, *[0] * 20]
    assert f"delete {ONE}".encode() not in rig.requests.made


def test_link_that_goes_ends_the_keeping(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.parts.inputs.take({"a": Inputs(200, 200, faulty=True, keeps=True)}, now_ns + 1)
    rig.network.learn([LinkNews(2, "eth0", False, True)], Digest())
    rig.faults.refresh_all(now_ns + 2)
    assert router.machine.state is State.FAULT
    assert rig.requests.made[-1] == f"delete {ONE}".encode()


def test_unhealthy_active_router_yields_where_nobody_may_preempt(rig: Rig) -> None:
    router = rig.load(ONE, preempt=False)
    now_ns = rig.become_active(router)
    rig.parts.inputs.take({"a": Inputs(230, 200, faulty=False)}, now_ns + 1)
    assert rig.transport.sent == [200]  # healthier than the base: nothing to yield for
    rig.parts.inputs.take({"a": Inputs(210, 200, faulty=False)}, now_ns + 2)
    assert router.machine.state is State.BACKUP
    assert rig.transport.sent[-1] == 0
    assert f"delete {ONE}".encode() not in rig.requests.made


def test_priority_that_the_operator_lowers_is_no_ill_health(rig: Rig) -> None:
    router = rig.load(ONE, preempt=False, base_priority=200)
    now_ns = rig.become_active(router)
    rig.load(ONE, at_ns=now_ns + 1, preempt=False, base_priority=100)
    rig.parts.inputs.take({"a": Inputs(100, 100, faulty=False)}, now_ns + 2)
    assert router.machine.state is State.ACTIVE


def test_alone_there_is_nobody_to_yield_to(rig: Rig) -> None:
    program = router_program(addresses=(address(ONE),), preempt=False)
    rig.table.load(EngineProgram("n", 1, (program,)), NOW)
    router = rig.table.routers["a"]
    now_ns = rig.become_active(router)
    rig.parts.inputs.take({"a": Inputs(1, 200, faulty=False)}, now_ns + 1)
    assert router.machine.state is State.ACTIVE


# Groups ----------------------------------------------------------------------------------


def test_election_that_cannot_join_its_group_is_in_fault_until_it_can(rig: Rig) -> None:
    rig.transport.full = True
    router = rig.load(ONE, multicast=True)
    assert router.found.faults == {EngineFault.GROUP_NOT_JOINED}
    rig.transport.full = False
    rig.settle(NOW + REJOIN_NS - 1)
    assert router.machine.state is State.FAULT
    rig.settle(NOW + REJOIN_NS)
    rig.settle(NOW + REJOIN_NS)
    assert router.found.faults == set()
    assert router.machine.next_deadline_ns() is not None  # it waits as a Backup


def test_unicast_election_needs_no_group(rig: Rig) -> None:
    rig.transport.full, rig.observer.refused = True, 1
    assert rig.load(ONE, probes=(announcement(ONE),)).machine.state is State.BACKUP
    assert rig.transport.groups == set()
    rig.observer.groups.clear()
    rig.settle(NOW + REJOIN_NS)
    assert rig.observer.groups == {(Family.IPV4, 2)}


def test_election_in_unicast_goes_on_beside_one_that_hears_nobody(rig: Rig) -> None:
    rig.transport.full = True
    deaf = router_program(PEER, name="deaf", slot=1, vrid=52, multicast=True)
    rig.table.load(EngineProgram("n", 1, (router_program(PEER), deaf)), NOW)
    rig.settle(NOW)
    states = {name: router.machine.state for name, router in rig.table.routers.items()}
    assert states == {"a": State.BACKUP, "deaf": State.FAULT}


def test_group_on_a_link_that_is_down_is_not_the_fault(rig: Rig) -> None:
    rig.transport.full = True
    router = rig.load(ONE, multicast=True)
    rig.network.learn([LinkNews(2, "eth0", True, False)], Digest())
    rig.faults.refresh_all(NOW)
    assert router.found.faults == {EngineFault.INTERFACE_DOWN}


def test_link_that_comes_back_is_looked_at_without_another_program(rig: Rig) -> None:
    rig.load(ONE, probes=(announcement(ONE),))
    rig.observer.groups.clear()
    rig.parts.groups.join()
    assert rig.observer.groups == {(Family.IPV4, 2)}


# What it took ----------------------------------------------------------------------------


def test_takeover_is_counted_from_the_last_advertisement_of_the_former_active(rig: Rig) -> None:
    router = rig.load(ONE)
    rig.hear(router, NOW + 1)
    now_ns = rig.become_active(router)
    assert rig.durations_ns() == ([1, now_ns - NOW - 1], [0, 0])


def test_becoming_active_when_nobody_was_is_no_takeover(rig: Rig) -> None:
    router = rig.load(ONE)
    rig.shared.set(shm.peer_offset(router.program.slot, 0) + shm.PEER_LAST, NOW - 1)
    rig.become_active(router)
    assert rig.durations_ns() == ([0, 0], [0, 0])


def test_handover_is_counted_until_the_addresses_went(rig: Rig) -> None:
    router = rig.load(ONE)
    now_ns = rig.become_active(router)
    rig.parts.inputs.take({"a": Inputs(200, 200, faulty=True)}, now_ns + 1)
    rig.hear(router, now_ns + 51)
    gone_ns = router.machine.next_deadline_ns()
    assert gone_ns is not None
    assert rig.durations_ns() == ([0, 0], [0, 0])
    rig.executor.handle(router, DeadlineReached(), gone_ns)
    assert rig.durations_ns() == ([0, 0], [1, gone_ns - now_ns - 1])


def test_giving_up_without_a_successor_is_no_handover(rig: Rig) -> None:
    alone = router_program(addresses=(address(ONE),))
    rig.table.load(EngineProgram("n", 1, (alone,)), NOW)
    now_ns = rig.become_active(rig.table.routers["a"])
    rig.parts.inputs.take({"a": Inputs(200, 200, faulty=True)}, now_ns + 1)
    assert rig.durations_ns() == ([0, 0], [0, 0])


# Heirs ---------------------------------------------------------------------------------


def test_heir_advertises_first_for_who_has_been_silent_longest(rig: Rig) -> None:
    """Each takes its time to load; the others have theirs."""
    programs = [
        router_program(
            PEER, name=f"r{slot}", vrid=slot + 1, slot=slot, base_priority=100 + slot,
            addresses=(address(f"192.0.2.{60 + slot}"),),
        )
        for slot in range(4)
    ]  # fmt: skip
    rig.table.load(EngineProgram("n", 1, tuple(programs)), NOW)
    ages_ns = {1: 50_000_000, 2: 190_000_000, 3: 120_000_000}  # the first is Backup
    for slot in ages_ns:
        now_ns = rig.become_active(rig.table.routers[f"r{slot}"])
    for slot, age_ns in ages_ns.items():
        rig.shared.set(shm.slot_offset(slot) + shm.S_LAST_SENT, now_ns - age_ns)
    rig.transport.sent.clear()
    heir = rig.heir()
    heir.table.load(EngineProgram("n", 1, tuple(programs)), now_ns)
    assert rig.transport.sent == [102, 103, 101]
    assert list(heir.table.routers) == ["r2", "r3", "r1", "r0"]
    assert heir.table.routers["r0"].machine.state is State.BACKUP


# Slots of the shared state ---------------------------------------------------------------


def test_routers_that_change_slots_take_what_is_known_of_them_along(rig: Rig) -> None:
    """The agent gives out slots anew when it has lost the program that runs."""
    programs = [
        router_program(PEER, name=name, vrid=vrid, slot=slot, addresses=(address(text),))
        for name, vrid, slot, text in (("a", 51, 0, ONE), ("b", 52, 1, TWO))
    ]
    rig.table.load(EngineProgram("n", 1, tuple(programs)), NOW)
    active, backup = rig.table.routers["a"], rig.table.routers["b"]
    now_ns = rig.become_active(active)
    rig.hear(backup, now_ns)
    before = snapshot(rig.shared).routers
    swapped = [replace(programs[0], slot=1), replace(programs[1], slot=0)]
    rig.table.load(EngineProgram("n", 2, tuple(swapped)), now_ns)
    after = snapshot(rig.shared).routers
    assert after == {0: before[1], 1: before[0]}
    assert (after[1].state, after[1].address_present) == ("Active", True)
    assert left_active(rig.shared, swapped[0], now_ns + 1)
