"""What the tests on the wire share: questions to a node, who moved where, frames taken apart."""

from __future__ import annotations

import socket
import sys

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from tests.eventually import eventually
from tests.netns.observe import Capture, Frame, metric, settled, state
from tests.unit.vrrp.wire import packed

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node

VIP, ADDRESS, ADDRESS6 = "pair", "192.0.2.50", "2001:db8:0:1::50"
SOLICITED_NODE = "ff02::1:ff00:50"
"""The group of ADDRESS6: its last 24 bits (RFC 4291 §2.7.1)."""
RANKS = "nodePriorities: [{node: node-1, priority: 200}, {node: node-2, priority: 150}, \
{node: node-3, priority: 100}]"
"""node-1 is home."""

_SEND = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
for line in sys.stdin:
    out.send(bytes.fromhex(line))
"""


def manifest(name: str, vrid: int, addresses: str, spec: str = "") -> str:
    """Return a VirtualIP whose best node is node-1; ``spec`` holds further fields."""
    return f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {name}}}
spec:
  {{addresses: [{addresses}], virtualRouterID: {vrid}, {RANKS}{spec and ", " + spec}}}
"""


PAIR = manifest(VIP, 51, f'{{address: {ADDRESS}/24}}, {{address: "{ADDRESS6}/64"}}')


def mac(host: Host) -> bytes:
    """Return a host's hardware address."""
    return bytes.fromhex(host.mac.replace(":", ""))


def inject(client: Host, *frames: bytes) -> None:
    """Send whole frames from a host's interface, whatever they claim."""
    program = client.namespace.start([sys.executable, "-c", _SEND], stdin=-1)
    program.communicate("\n".join(frame.hex() for frame in frames).encode(), timeout=60)
    assert program.returncode == 0


def is_from(frame: Frame, host: Host) -> bool:
    """Whether a frame left this host."""
    return frame.data[6:12] == mac(host)


# Where the address is --------------------------------------------------------------------


def at_home(lab: Lab, virtual_ip: str = VIP, address: str = ADDRESS) -> Node:
    """Wait until node-1 is Active and the others are Backup; return it."""
    home = lab.node("node-1")
    eventually(lambda: settled(lab, virtual_ip, address) is home, within_s=30)
    return home


def moved_to(lab: Lab, name: str) -> Node:
    """Wait until a node is Active and holds both addresses; return it."""
    node = lab.node(name)
    eventually(
        lambda: state(node, VIP) == "Active" and node.holds(ADDRESS) and node.holds(ADDRESS6),
        within_s=10,
    )
    return node


def transitions(lab: Lab) -> float:
    """Return how often any router changed its state."""
    return sum(metric(node, "kube_vrrp_transitions_total") for node in lab.nodes)


def is_member(host: Host, group: str) -> bool:
    """Whether the host listens to a group on its interface."""
    return group in host.exec("ip", "-6", "maddr", "show", "dev", "eth0").stdout.split()


# Questions -------------------------------------------------------------------------------


def who_has(client: Host, host: Host, address: str) -> bytes:
    """Return an ARP request or Neighbor Solicitation that only this host gets."""
    ethernet = Ether(src=client.mac, dst=host.mac)
    if ":" not in address:
        return bytes(ethernet / ARP(op=1, hwsrc=client.mac, psrc=client.address, pdst=address))
    group = "ff02::1:ff" + packed(address)[13:14].hex() + ":" + packed(address)[14:].hex()
    return bytes(
        ethernet
        / IPv6(src=client.address6, dst=group, hlim=255)
        / ICMPv6ND_NS(tgt=address)
        / ICMPv6NDOptSrcLLAddr(lladdr=client.mac)
    )


def echo(client: Host, host: Host, address: str) -> bytes:
    """Return an echo request to an address that only this host gets."""
    asked = ICMPv6EchoRequest() if ":" in address else ICMP()
    return bytes(_to(client, host, address) / asked)


def connect(client: Host, host: Host, address: str) -> bytes:
    """Return a TCP SYN to a port where nobody listens; a host that has the address resets it."""
    return bytes(_to(client, host, address) / TCP(sport=4711, dport=9, flags="S"))


def _to(client: Host, host: Host, address: str) -> Packet:
    """Return Ethernet and IP header of a packet to an address, in a frame to this host."""
    ethernet = Ether(src=client.mac, dst=host.mac)
    if ":" in address:
        return ethernet / IPv6(src=client.address6, dst=address)
    return ethernet / IP(src=client.address, dst=address)


def own(host: Host, like: str) -> str:
    """Return the host's own address of the same family."""
    return host.address6 if ":" in like else host.address


def speaks_for(frame: Frame, address: str) -> bool:
    """Whether an ARP reply, Neighbor Advertisement or IP packet speaks in an address's name."""
    data = frame.data
    if frame.is_arp:
        return data[28:32] == packed(address)
    if frame.is_neighbor_advertisement:
        return data[62:78] == packed(address)
    return packed(address) == (data[26:30] if data[12:14] == b"\x08\x00" else data[22:38])


def answers(lab: Lab, node: Node, address: str, *questions: bytes, last: bytes) -> list[Frame]:
    """Ask a node in the client's name; return what it says for an address.

    ``last`` is a question that the node answers for its own address. It was asked after the others,
    so whatever the node had to say to them was said when that answer is there.
    """
    with Capture(lab.client) as capture:
        inject(lab.client, *questions, last)

        def said(name: str) -> list[Frame]:
            return [
                frame
                for frame in capture.frames()
                if is_from(frame, node.host)
                and frame.data[:6] == mac(lab.client)
                and speaks_for(frame, name)
            ]

        eventually(lambda: said(own(node.host, address)), within_s=5)
        return said(address)


def unsolicited_na(client: Host, address: str, hardware: str) -> bytes:
    """Return an unsolicited Neighbor Advertisement to everybody (RFC 4861 §7.2.6)."""
    return bytes(
        Ether(src=client.mac, dst="33:33:00:00:00:01")
        / IPv6(src=address, dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=address, R=0, S=0, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=hardware)
    )


def is_announcement(frame: Frame, address: str) -> bool:
    """Whether a frame tells everybody where an address is: gratuitous ARP or unsolicited NA."""
    if not speaks_for(frame, address) or not frame.data[0] & 1:
        return False
    if frame.is_arp:
        return frame.data[28:32] == frame.data[38:42]
    return frame.is_neighbor_advertisement


# Advertisements --------------------------------------------------------------------------


def is_advertisement(frame: Frame, vrid: int) -> bool:
    """Whether a frame is VRRP of this election, over either family."""
    data = frame.data
    if data[12:14] == b"\x08\x00":
        return data[23] == 112 and data[35] == vrid
    return data[12:14] == b"\x86\xdd" and data[20] == 112 and data[55] == vrid


def hops(frame: Frame) -> int:
    """Return TTL or hop limit."""
    return frame.data[22] if frame.data[12:14] == b"\x08\x00" else frame.data[21]


def ends(frame: Frame) -> tuple[str, str]:
    """Return source and destination address of an IP packet."""
    data = frame.data
    if data[12:14] == b"\x08\x00":
        return socket.inet_ntoa(data[26:30]), socket.inet_ntoa(data[30:34])
    v6 = socket.AF_INET6
    return socket.inet_ntop(v6, data[22:38]), socket.inet_ntop(v6, data[38:54])


def message(frame: Frame) -> bytes:
    """Return what follows the IP header."""
    return frame.data[34:] if frame.data[12:14] == b"\x08\x00" else frame.data[54:]
