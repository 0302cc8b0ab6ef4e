"""scapy's home: the Ethernet frames that tell a LAN where an address lives now."""

from __future__ import annotations

import ipaddress
import logging

import scapy.interfaces
from scapy.config import conf

# While it is imported scapy reads the host's routes, interfaces and addresses, 2.5 ms for each of
# thousands (kube-proxy's IPVS), and warns about what it misses. Who only builds frames needs none.
logging.getLogger("scapy").setLevel(logging.ERROR)
conf.route_autoload = conf.route6_autoload = False
scapy.interfaces.ifaces.reload = lambda: None  # type: ignore[method-assign]  # no setting there

from scapy.layers.inet6 import (  # noqa: E402 - reads the host unless told before
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether  # noqa: E402 - reads the host unless told before

_UNSPECIFIED = "0.0.0.0"  # noqa: S104 - a sender that claims nothing, not a socket's address
_NOBODY = "00:00:00:00:00:00"
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_ALL_NODES = "ff02::1"
_SOLICITED_NODE = ipaddress.IPv6Network("ff02::1:ff00:0/104")
_ALL_NODES_MAC = "33:33:00:00:00:01"


def gratuitous_arp(address: str, mac: bytes, *, reply: bool) -> bytes:
    """Return a broadcast ARP whose sender and target are both the address (RFC 5944 §4.6).

    Some neighbours learn from the request form, some from the reply form; both are sent.
    """
    text = mac.hex(":")
    frame = Ether(src=text, dst=_BROADCAST) / ARP(
        op=2 if reply else 1,
        hwsrc=text,
        psrc=address,
        hwdst=_BROADCAST,
        pdst=address,
    )
    return bytes(frame)


def unsolicited_na(address: str, mac: bytes, *, router: bool) -> bytes:
    """Return an unsolicited Neighbor Advertisement to all nodes, override set (RFC 4861 §4.4).

    ``router``: whether the node forwards, as the kernel says in its own answers.
    """
    text = mac.hex(":")
    frame = (
        Ether(src=text, dst=_ALL_NODES_MAC)
        / IPv6(src=address, dst=_ALL_NODES, hlim=255)
        / ICMPv6ND_NA(tgt=address, R=int(router), S=0, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=text)
    )
    return bytes(frame)


def arp_probe(address: str, mac: bytes) -> bytes:
    """Return a broadcast ARP request that asks who has the address and claims nothing.

    Its sender address is zero, so that no neighbour learns from it (RFC 5227 §2.1.1).
    """
    text = mac.hex(":")
    frame = Ether(src=text, dst=_BROADCAST) / ARP(
        op=1, hwsrc=text, psrc=_UNSPECIFIED, hwdst=_NOBODY, pdst=address
    )
    return bytes(frame)


def neighbor_probe(address: str, mac: bytes) -> bytes:
    """Return a Neighbor Solicitation for the address as duplicate detection sends it.

    From nobody to the address's solicited-node group (RFC 4862 §5.4.2): who has it tells all nodes.
    """
    last = ipaddress.IPv6Address(address).packed[-3:]
    group = ipaddress.IPv6Address(_SOLICITED_NODE.network_address.packed[:13] + last)
    frame = (
        Ether(src=mac.hex(":"), dst="33:33:ff:" + last.hex(":"))
        / IPv6(src="::", dst=str(group), hlim=255)
        / ICMPv6ND_NS(tgt=address)
    )
    return bytes(frame)


def decoded_addresses(frame: bytes) -> set[str]:
    """Return the addresses that a frame of these is about, as scapy reads it."""
    read = Ether(frame)
    if ARP in read:
        return {read[ARP].pdst} | ({read[ARP].psrc} - {_UNSPECIFIED})
    told = read[ICMPv6ND_NA] if ICMPv6ND_NA in read else read[ICMPv6ND_NS]
    return {told.tgt} | ({read[IPv6].src} - {"::"})
