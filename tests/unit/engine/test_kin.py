"""Members are asked for by their own addresses; what they answer with is known to be theirs."""

from __future__ import annotations

from tests.unit.engine.programs import announcement, packed, router_program
from tests.unit.engine.rig import NOW, ONE, PEER, Rig, rig

from vrrp_speaker.engine.neighbours.kin import Kin
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.neighbours.probing import places
from vrrp_speaker.engine.network.netlink import LinkNews
from vrrp_speaker.engine.network.node_network import Digest
from vrrp_speaker.engine.programs.program import Peer
from vrrp_speaker.engine.routers.running_router import new_router

__all__ = ["rig"]  # pytest finds fixtures by name
MAC, OURS, OTHER = (bytes.fromhex(f"02005e0053{n}") for n in ("12", "11", "64"))
LEARNED = packed("192.0.2.14")


def test_members_are_asked_for_with_the_addresses_of_the_election(rig: Rig) -> None:
    rig.network.learn([LinkNews(2, "eth0", True, True, OURS)], Digest())
    router = rig.load(ONE, probes=(announcement(ONE, b"probe"),))
    router.others.learned.note(LEARNED, NOW)
    rig.executor.probe(router, places(router.program), NOW)
    rig.frames.run(NOW)
    probe, *questions = rig.wire.sent
    assert probe == b"probe"
    # ARP (RFC 826): who has the member's address, tell our own.
    assert [frame[38:42] for frame in questions] == [PEER.address, LEARNED]
    assert {frame[22:32] for frame in questions} == {OURS + packed("192.0.2.11")}


def test_only_members_of_the_cluster_are_kin() -> None:
    outside = Peer("x", packed("192.0.2.2"), external=True)
    router = new_router(router_program(PEER, outside), input_faults=False, priority=1)
    kin = Kin()
    kin.sync([router])
    assert list(kin.addresses()) == [PEER.address]
    for address, mac in ((PEER.address, MAC), (outside.address, OTHER), (LEARNED, OTHER)):
        kin.see(Sighting(2, address, mac))
    assert kin.has(router, MAC)
    assert not kin.has(router, OTHER)
    kin.see(Sighting(3, PEER.address, OTHER))  # another link
    assert not kin.has(router, OTHER)
    kin.sync([router])  # what is known stays
    assert kin.has(router, MAC)
    kin.sync([])
    assert not kin.has(router, MAC)
