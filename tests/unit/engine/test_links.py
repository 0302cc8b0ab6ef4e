"""The links that an election and its addresses need: one that does not run is a fault of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.engine.programs import address, packed
from tests.unit.engine.rig import NOW, ONE, PEER, Rig
from tests.unit.engine.rig import rig as rig  # noqa: PLC0414 - a fixture is found by its name

from vrrp.constants import State
from vrrp_speaker.engine.network.netlink import AddressNews, LinkNews
from vrrp_speaker.engine.network.node_network import Digest
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import EngineFault

SOURCE = packed("192.0.2.11")
SECOND = replace(address("198.51.100.50"), ifindex=3)


def carrier(rig: Rig, ifindex: int, *, running: bool) -> None:
    """Let the kernel tell of a link's carrier."""
    rig.network.learn([LinkNews(ifindex, f"eth{ifindex - 2}", running, True)], Digest())
    rig.faults.refresh_all(NOW)


def two_links(rig: Rig, *, source_on: int = 2, **changed: Any) -> RunningRouter:
    """Load a router on eth0 with a second address on eth1; the node's own is where it is told."""
    carrier(rig, 3, running=True)
    rig.network.learn([AddressNews(2, SOURCE, 24, 0, present=False)], Digest())
    rig.network.learn([AddressNews(source_on, SOURCE, 24, 0, present=True)], Digest())
    router = rig.load(ONE, **changed)
    program = replace(router.program, addresses=(address(ONE), SECOND))
    rig.table.load(EngineProgram("n", 2, (program,)), NOW)
    assert not router.found.faults
    return router


def test_link_of_one_address_is_a_fault_of_the_election_until_it_returns(rig: Rig) -> None:
    router = two_links(rig)
    rig.become_active(router)
    carrier(rig, 3, running=False)
    assert router.found.faults == {EngineFault.INTERFACE_DOWN}
    assert router.found.link_down == 3
    assert router.machine.state is State.FAULT
    assert b"delete " + ONE.encode() in rig.requests.made  # they move together
    carrier(rig, 3, running=True)
    assert (router.machine.state, router.found.link_down) == (State.BACKUP, 0)


def test_link_that_the_advertisements_leave_by_is_needed_too(rig: Rig) -> None:
    router = two_links(rig, source_on=3)
    rig.table.load(EngineProgram("n", 3, (replace(router.program, addresses=()),)), NOW)
    carrier(rig, 3, running=False)
    assert (router.machine.state, router.found.link_down) == (State.FAULT, 3)
    # The address may be on several links; one that runs is enough.
    rig.network.learn([AddressNews(2, SOURCE, 24, 0, present=True)], Digest())
    rig.faults.refresh_all(NOW)
    assert not router.found.faults


def test_who_is_alone_needs_no_link_for_advertisements(rig: Rig) -> None:
    router = two_links(rig, source_on=3, peers=())
    rig.table.load(EngineProgram("n", 3, (replace(router.program, addresses=()),)), NOW)
    carrier(rig, 3, running=False)
    assert not router.found.faults
    assert PEER not in router.program.peers
