"""Who has this address? ARP requests and Neighbor Solicitations as a kernel sends them, as frames.

They are built when they are asked, which is rare and on nobody's way to become Active; ready bytes
for every peer of every router would be megabytes. Source: RFC 826; RFC 4861 §4.3, §7.2.2.
"""

from __future__ import annotations

import struct

from vrrp.constants import Family
from vrrp.packet import internet_checksum
from vrrp_speaker.engine.programs.program import Frame
from vrrp_speaker.shared_state import FrameKind

_ETH_P_IP, _ETH_P_ARP, _ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_SOLICITATION = struct.Struct("!BBHI16sBB6s")
_BROADCAST, _NOBODY = b"\xff" * 6, bytes(6)
_SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")
_SOLICITED_NODE_MAC = bytes.fromhex("3333ff")
_ICMPV6, _NEIGHBOR_SOLICITATION, _SOURCE_LINK_LAYER_ADDRESS = 58, 135, 1
_HOP_LIMIT = 255


def question(ifindex: int, mac: bytes, source: bytes, target: bytes) -> Frame:
    """Return the frame that asks on an interface for ``target``'s hardware address.

    Args:
        ifindex: where to ask.
        mac: the interface's own hardware address, six bytes.
        source: a packed address of ours, to which the answer goes.
        target: the packed address that is looked for, of the same family.
    """
    if len(target) == Family.IPV4.address_length:
        kind, frame = FrameKind.ARP_REQUEST, arp_request(mac, source, target)
    else:
        kind = FrameKind.NEIGHBOR_SOLICITATION
        frame = neighbor_solicitation(mac, source, target)
    return Frame(target, ifindex, kind, frame)


def arp_request(mac: bytes, source: bytes, target: bytes) -> bytes:
    """Return a broadcast ARP request from ``source`` for ``target``."""
    ethernet = _ETHERNET.pack(_BROADCAST, mac, _ETH_P_ARP)
    return ethernet + _ARP.pack(1, _ETH_P_IP, 6, 4, 1, mac, source, _NOBODY, target)


def neighbor_solicitation(mac: bytes, source: bytes, target: bytes) -> bytes:
    """Return a Neighbor Solicitation from ``source`` to ``target``'s solicited-node group."""
    group = _SOLICITED_NODE + target[-3:]
    length = _SOLICITATION.size
    pseudo_header = source + group + struct.pack("!II", length, _ICMPV6)

    def message(checksum: int) -> bytes:
        return _SOLICITATION.pack(
            *(_NEIGHBOR_SOLICITATION, 0, checksum, 0, target),
            *(_SOURCE_LINK_LAYER_ADDRESS, 1, mac),
        )

    checksum = internet_checksum(pseudo_header + message(0))
    return (
        _ETHERNET.pack(_SOLICITED_NODE_MAC + target[-3:], mac, _ETH_P_IPV6)
        + _IPV6.pack(6 << 28, length, _ICMPV6, _HOP_LIMIT, source, group)
        + message(checksum)
    )
