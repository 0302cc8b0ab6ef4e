"""The route to an address's own subnet, where the interface has no address there but ours.

An address is bound with a host prefix: nothing of the kernel's depends on it then, neither the
node's own addresses nor their routes. Where nobody else brings the subnet's route, answers to the
subnet's hosts would leave by the default route or not at all, so the route comes with the
address. Source: rtnetlink(7), include/uapi/linux/rtnetlink.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.links.table import Link, LinkTable

ROUTE_PROTOCOL = 112
"""Our mark on routes (rtm_protocol), the same as on addresses."""
_LEAST_METRIC, _METRIC_BITS = 0xFE00_0000, 24
"""Behind every other route to the same subnet: whatever else comes is preferred."""

_NEW_ROUTE, _DELETE_ROUTE = 24, 25
_REQUEST, _REPLACE, _CREATE = 0x1, 0x100, 0x400
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_WORD = struct.Struct("=I")
_DST, _OIF, _PRIORITY, _PREFSRC, _EXPIRES = 1, 4, 6, 7, 23
_TABLE_MAIN, _SCOPE_UNIVERSE, _SCOPE_LINK, _UNICAST = 254, 0, 253, 1


def host_prefix(address: VipAddress) -> int:
    """Return the prefix length that an address is bound with, whatever its network's is.

    Of an interface's IPv4 addresses in one subnet the kernel makes one the first. All others depend
    on it: they bring no route, and go when it goes. A host prefix is nobody's first or second.
    """
    return 128 if address.family == 6 else 32


def wants_route(address: VipAddress, link: Link, table: LinkTable) -> bool:
    """Return whether the address's subnet has no route over its link but the one we bring.

    None is brought to a network in which another link has an address: whoever gives a prefix that
    is too wide must not lead the node's other traffic astray.
    """
    network = ipaddress.ip_network(f"{address.address}/{address.prefix_length}", strict=False)
    if network.prefixlen == network.max_prefixlen or link in table.in_subnet_of(address.address):
        return False
    holding = table.holding(address.address)  # kube-ipvs0 may have the address itself
    return all(other in holding for other in table.inside(network))


def add_route_request(address: VipAddress, ifindex: int, lease_s: int) -> bytes:
    """Return the request that makes the route, or renews it; nobody acknowledges it.

    An IPv4 route goes with the address that is its source, an IPv6 one when its lease ends.
    """
    attributes = [(_EXPIRES, _WORD.pack(lease_s))] if address.family == 6 else []
    flags = _REQUEST | _CREATE | _REPLACE
    return _request(_NEW_ROUTE, flags, address, ifindex, attributes)


def delete_route_request(address: VipAddress, ifindex: int) -> bytes:
    """Return the request that removes the route; nobody acknowledges it."""
    return _request(_DELETE_ROUTE, _REQUEST, address, ifindex, [])


def _metric(address: VipAddress) -> int:
    """Return a metric of the address's own: several addresses of a subnet have a route each."""
    return _LEAST_METRIC | int(ipaddress.ip_address(address.address)) & (1 << _METRIC_BITS) - 1


def _request(
    kind: int, flags: int, address: VipAddress, ifindex: int, more: list[tuple[int, bytes]]
) -> bytes:
    four = address.family == 4
    text = f"{address.address}/{address.prefix_length}"
    network = ipaddress.ip_network(text, strict=False)
    attributes = [
        (_DST, network.network_address.packed),
        (_OIF, _WORD.pack(ifindex)),
        (_PRIORITY, _WORD.pack(_metric(address))),
        *more,
    ]
    if four:
        attributes.append((_PREFSRC, ipaddress.ip_address(address.address).packed))
    body = _ROUTE.pack(
        socket.AF_INET if four else socket.AF_INET6,
        network.prefixlen,
        0,
        0,
        _TABLE_MAIN,
        ROUTE_PROTOCOL,
        _SCOPE_LINK if four else _SCOPE_UNIVERSE,
        _UNICAST,
        0,
    )
    for name, value in attributes:
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), name) + value
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body
