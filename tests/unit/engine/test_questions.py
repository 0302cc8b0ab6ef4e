"""Questions for hardware addresses, read by scapy."""

from __future__ import annotations

from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from tests.unit.engine.programs import packed

from vrrp_speaker.engine.neighbours.questions import question
from vrrp_speaker.shared_state import FrameKind

MAC, MAC_TEXT = bytes.fromhex("02005e005301"), "02:00:5e:00:53:01"


def test_arp_request_asks_everybody_on_behalf_of_the_source() -> None:
    asked = question(7, MAC, packed("192.0.2.11"), packed("192.0.2.12"))
    assert (asked.ifindex, asked.kind) == (7, FrameKind.ARP_REQUEST)
    frame = Ether(asked.data)
    assert (frame.src, frame.dst, frame.type) == (MAC_TEXT, "ff:ff:ff:ff:ff:ff", 0x0806)
    arp = frame[ARP]
    assert (arp.hwtype, arp.ptype, arp.hwlen, arp.plen, arp.op) == (1, 0x0800, 6, 4, 1)
    assert (arp.hwsrc, arp.psrc) == (MAC_TEXT, "192.0.2.11")
    assert (arp.hwdst, arp.pdst) == ("00:00:00:00:00:00", "192.0.2.12")


def test_neighbor_solicitation_asks_the_targets_group_and_tells_our_address() -> None:
    asked = question(7, MAC, packed("2001:db8::11"), packed("2001:db8::12:3456"))
    assert (asked.ifindex, asked.kind) == (7, FrameKind.NEIGHBOR_SOLICITATION)
    frame = Ether(asked.data)
    assert (frame.src, frame.dst, frame.type) == (MAC_TEXT, "33:33:ff:12:34:56", 0x86DD)
    ip = frame[IPv6]
    assert (ip.src, ip.dst, ip.hlim) == ("2001:db8::11", "ff02::1:ff12:3456", 255)
    solicitation = frame[ICMPv6ND_NS]
    assert solicitation.tgt == "2001:db8::12:3456"
    assert solicitation[ICMPv6NDOptSrcLLAddr].lladdr == MAC_TEXT
    checksum = solicitation.cksum
    del solicitation.cksum
    assert Ether(bytes(frame))[ICMPv6ND_NS].cksum == checksum
    assert ip.plen == len(bytes(ip.payload))
