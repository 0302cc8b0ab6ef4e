"""Real speakers and a peer outside the cluster, played by the client: RFC 9568 §5, §6.4.3 and §7.1.

The client is a configured peer of two elections without signatures, so what it sends is heard.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from tests.conformance.lan import (
    at_home,
    ends,
    hops,
    inject,
    is_advertisement,
    is_from,
    mac,
    manifest,
    message,
    transitions,
)
from tests.eventually import eventually
from tests.netns.observe import Capture, Frame, metric, state
from tests.unit.vrrp.wire import compose, packed, sealed

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
CLIENT, CLIENT6 = "192.0.2.100", "2001:db8:0:1::100"
REJECTED = "kube_vrrp_advertisements_rejected_total"
OBSERVED = "kube_vrrp_advertisements_observed_total"
TRANSITIONS = "kube_vrrp_transitions_total"


@dataclass(frozen=True)
class Election:
    """One election that the client takes part in."""

    name: str
    vrid: int
    address: str
    peer: str
    interval_cs: int

    @property
    def manifest(self) -> str:
        """Return its VirtualIP."""
        transport = f'transport: {{externalPeers: ["{self.peer}"]}}, authentication: {{type: None}}'
        interval = f"advertisementInterval: {self.interval_cs * 10}ms"
        return manifest(
            self.name, self.vrid, f'{{address: "{self.address}"}}', f"{transport}, {interval}"
        )

    def source(self, node: Node) -> str:
        """Return where a node's advertisements come from."""
        return node.host.address6 if ":" in self.peer else node.host.address

    def frame(
        self,
        lab: Lab,
        node: Node,
        priority: int,
        *,
        interval_cs: int | None = None,
        address: str | None = None,
        ttl: int = 255,
        damage: int = 0,
    ) -> bytes:
        """Return an advertisement of the client to a node; ``damage`` spoils the checksum."""
        to = self.source(node)
        addresses = (packed(address or self.address.partition("/")[0]),)
        word = self.interval_cs if interval_cs is None else interval_cs
        composed = compose(vrid=self.vrid, priority=priority, word=word, addresses=addresses)
        sent = bytearray(sealed(composed, packed(self.peer), packed(to)))
        sent[7] ^= damage
        ethernet = Ether(src=lab.client.mac, dst=node.host.mac)
        ip: Packet
        if ":" in self.peer:
            ip = IPv6(src=self.peer, dst=to, nh=112, hlim=ttl)
        else:
            ip = IP(src=self.peer, dst=to, proto=112, ttl=ttl)
        return bytes(ethernet / ip / bytes(sent))


FOUR = Election("four", 53, "192.0.2.53/24", CLIENT, 200)
"""Slow: an advertisement every two seconds, so that one out of turn stands out."""
SIX = Election("six", 54, "2001:db8:0:1::54/64", CLIENT6, 20)
MANIFEST = FOUR.manifest + "---" + SIX.manifest
BOTH = pytest.mark.parametrize("election", [FOUR, SIX], ids=lambda election: election.name)


@pytest.fixture
def active(standalone: Lab) -> Node:
    """The Active node of both elections."""
    for election in (FOUR, SIX):
        at_home(standalone, election.name, election.address.partition("/")[0])
    return standalone.node("node-1")


def advertised(capture: Capture, node: Node, election: Election) -> list[Frame]:
    """Return the advertisements of a node."""
    return [
        frame
        for frame in capture.frames()
        if is_from(frame, node.host) and is_advertisement(frame, election.vrid)
    ]


@BOTH
def test_advertisement_leaves_with_255_hops_from_the_node_to_each_peer(
    standalone: Lab, active: Node, election: Election
) -> None:
    others = [standalone.node(name) for name in ("node-2", "node-3")]
    wanted = {election.peer: standalone.client, **{election.source(n): n.host for n in others}}
    with Capture(active.host) as capture:
        eventually(lambda: len(advertised(capture, active, election)) >= 6, within_s=10)
        sent = advertised(capture, active, election)
    assert {ends(frame)[1] for frame in sent} == wanted.keys()
    for frame in sent:
        source, destination = ends(frame)
        assert source == election.source(active)
        assert hops(frame) == 255
        assert frame.data[:12] == mac(wanted[destination]) + mac(active.host)
        assert message(frame)[:3] == bytes((0x31, election.vrid, 200))


@BOTH
def test_advertisement_with_254_hops_changes_a_counter_and_nothing_else(
    standalone: Lab, active: Node, election: Election
) -> None:
    before, refused = transitions(standalone), metric(active, REJECTED, reason="ttl")
    better = election.frame(standalone, active, 254, ttl=254)
    inject(standalone.client, *[better] * 5)
    eventually(lambda: metric(active, REJECTED, reason="ttl") == refused + 5, within_s=5)
    assert state(active, election.name) == "Active"
    assert transitions(standalone) == before


@BOTH
def test_oddities_of_an_accepted_advertisement_are_counted(
    standalone: Lab, active: Node, election: Election
) -> None:
    kinds = ["interval_differs", "addresses_differ"]
    kinds += ["first_address_not_link_local"] if ":" in election.peer else []
    before = transitions(standalone)
    counts = {kind: metric(active, OBSERVED, observation=kind) for kind in kinds}
    other = "2001:db8:0:1::99" if ":" in election.peer else "192.0.2.99"
    odd = election.frame(standalone, active, 1, interval_cs=4095, address=other)
    inject(standalone.client, odd)
    eventually(
        lambda: all(metric(active, OBSERVED, observation=k) > n for k, n in counts.items()),
        within_s=5,
    )
    assert metric(active, "kube_vrrp_advertisements_received_total", peer=election.peer) > 0
    assert state(active, election.name) == "Active"
    assert transitions(standalone) == before


@pytest.mark.parametrize("priority", [0, 100], ids=["release", "loser"])
def test_active_answers_a_release_and_a_loser_before_its_next_advertisement_is_due(
    standalone: Lab, active: Node, priority: int
) -> None:
    """The next one is due two seconds after the last; what is said after one is answered by 1.5."""
    asked = FOUR.frame(standalone, active, priority)
    with Capture(standalone.client) as capture:

        def around() -> list[Frame]:
            """Ask; return the advertisements next to the question if that came early enough."""
            inject(standalone.client, asked)
            frames = capture.until_now(0)
            said_ns = max(frame.time_ns for frame in frames if frame.data == asked)
            found = advertised(capture, active, FOUR)
            before = [f for f in found if said_ns - 1_000_000_000 < f.time_ns < said_ns]
            after = [f for f in found if f.time_ns > said_ns]
            return [before[-1], after[0]]

        # A loser is answered once an interval.
        regular, answer = eventually(around, within_s=30, every_s=2.2)
    assert message(answer)[2] == 200
    assert answer.time_ns - regular.time_ns < 1_500_000_000


def test_active_yields_to_a_better_router_and_comes_back_when_it_is_silent(
    standalone: Lab, active: Node
) -> None:
    """Three of its seconds later, and before node-2 has missed three of ours."""
    address = FOUR.address.partition("/")[0]
    reason = {"virtual_ip": FOUR.name, "reason": "HigherPriorityAdvertisement"}
    yielded = metric(active, TRANSITIONS, **reason)
    owners = metric(active, OBSERVED, observation="foreign_owner")
    since_ns = time.monotonic_ns()
    inject(standalone.client, FOUR.frame(standalone, active, 255, interval_cs=100))
    eventually(lambda: not active.holds(address), within_s=3)
    assert standalone.holders(address) == []
    eventually(lambda: metric(active, TRANSITIONS, **reason) == yielded + 1, within_s=5)
    assert metric(active, OBSERVED, observation="foreign_owner") == owners + 1
    at_home(standalone, FOUR.name, address)
    assert time.monotonic_ns() - since_ns > 3_000_000_000


def test_flood_of_rejected_packets_writes_no_line(standalone: Lab, active: Node) -> None:
    before = metric(active, REJECTED, reason="checksum")
    lines = len(active.log.read_text().splitlines())
    spoilt = FOUR.frame(standalone, active, 254, damage=0x55)
    inject(standalone.client, *[spoilt] * 500)
    eventually(lambda: metric(active, REJECTED, reason="checksum") == before + 500, within_s=10)
    assert state(active, FOUR.name) == "Active"
    assert len(active.log.read_text().splitlines()) - lines < 10
