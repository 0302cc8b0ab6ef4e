"""Reads the links of a network namespace as the kernel has them (rtnetlink(7)).

Standard library only, and in milliseconds: it is done at each change that may concern a program.
"""

from __future__ import annotations

import itertools
import socket
import struct

from vrrp_speaker.links.nature import Nature
from vrrp_speaker.links.table import Link, LinkAddress, LinkTable
from vrrp_speaker.netlink_messages import dump, walk_attributes

_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS = 16, 18, 20, 22
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_AF_SPEC, _IFLA_EXT_MASK = 1, 3, 26, 29
_SKIP_STATS = 1 << 3  # RTEXT_FILTER_SKIP_STATS
_IFLA_MASTER, _IFLA_LINKINFO, _IFLA_PROP_LIST = 10, 18, 52
_IFLA_INFO_KIND, _IFLA_ALT_IFNAME = 1, 53
_IFLA_INET_CONF, _IFLA_INET6_CONF = 1, 2
_ARP_IGNORE = 18
"""Where it stands in IFLA_INET_CONF (linux/ip.h, IPV4_DEVCONF_ARP_IGNORE, from 1 there)."""
_OWN_ONLY = (1, 2, 8)
"""With which of its values a link does not answer for addresses of others."""
_FORWARDING, _DISABLE_IPV6 = 0, 26
"""Where they stand in IFLA_INET6_CONF (linux/ipv6.h, DEVCONF_…)."""
_ALL_ARP_IGNORE = "/proc/sys/net/ipv4/conf/all/arp_ignore"
_LOOPBACK, _POINT_TO_POINT, _NO_ARP = 0x8, 0x10, 0x80  # linux/if.h
_IFA_ADDRESS, _IFA_LOCAL, _IFA_PROTO = 1, 2, 11
_TENTATIVE = 0x40  # IFA_F_TENTATIVE
_MAC_LENGTH = 6
_PATIENCE_S = 5.0


def read_links() -> LinkTable:
    """Return the links and addresses of the current network namespace.

    Raises:
        OSError: the kernel does not answer, or refuses.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.settimeout(_PATIENCE_S)
        addresses: dict[int, list[LinkAddress]] = {}
        sequences = itertools.count(1)
        for told in dump(kernel, _GET_ADDRESS, _IFADDR.pack(0, 0, 0, 0, 0), sequences):
            if told.kind != _NEW_ADDRESS:
                continue
            index, found = _address(told.body)
            if found is not None:
                addresses.setdefault(index, []).append(found)
        asked = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        asked += _ATTRIBUTE.pack(8, _IFLA_EXT_MASK) + _NUMBER.pack(_SKIP_STATS)
        ignored = _arp_ignored_by_all()
        return LinkTable(
            tuple(
                _link(told.body, addresses, ignored)
                for told in dump(kernel, _GET_LINK, asked, sequences)
                if told.kind == _NEW_LINK
            )
        )


def _link(body: bytes, addresses: dict[int, list[LinkAddress]], ignored: int) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    attributes = _attributes(body[_IFINFO.size :])
    mac = attributes.get(_IFLA_ADDRESS, b"")
    of_families = _attributes(attributes.get(_IFLA_AF_SPEC, b""))
    of_link = _attributes(attributes.get(_IFLA_LINKINFO, b""))
    ipv4 = _attributes(of_families.get(socket.AF_INET, b"")).get(_IFLA_INET_CONF, b"")
    # None of IPv6: not in this kernel, or not on this link.
    ipv6 = _attributes(of_families.get(socket.AF_INET6, b"")).get(_IFLA_INET6_CONF, b"")
    has_mac = len(mac) == _MAC_LENGTH and not flags & _LOOPBACK
    return Link(
        index=index,
        name=_name(attributes[_IFLA_IFNAME]),
        mac=mac if has_mac else b"",
        addresses=tuple(addresses.get(index, ())),
        forwarding=_setting(ipv6, _FORWARDING, 0) != 0,
        nature=Nature(
            kind=_name(of_link.get(_IFLA_INFO_KIND, b"")),
            resolves=not flags & (_LOOPBACK | _POINT_TO_POINT | _NO_ARP),
            other_names=_other_names(attributes.get(_IFLA_PROP_LIST, b"")),
            master=_setting(attributes.get(_IFLA_MASTER, b""), 0, 0),
            quiet=max(ignored, _setting(ipv4, _ARP_IGNORE, 0)) in _OWN_ONLY,
            has_ipv6=_setting(ipv6, _DISABLE_IPV6, 1) == 0,
        ),
    )


def _arp_ignored_by_all() -> int:
    """Return the least arp_ignore of any link (ip-sysctl)."""
    try:
        with open(_ALL_ARP_IGNORE) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _name(text: bytes) -> str:
    return text.rstrip(b"\0").decode(errors="backslashreplace")


def _other_names(properties: bytes) -> tuple[str, ...]:
    return tuple(
        _name(value) for kind, value in walk_attributes(properties) if kind == _IFLA_ALT_IFNAME
    )


def _setting(settings: bytes, position: int, absent: int) -> int:
    """Return one of an array of numbers."""
    offset = position * _NUMBER.size
    if len(settings) < offset + _NUMBER.size:
        return absent
    value: int = _NUMBER.unpack_from(settings, offset)[0]
    return value


def _address(body: bytes) -> tuple[int, LinkAddress | None]:
    family, prefix_length, flags, _, index = _IFADDR.unpack_from(body)
    if flags & _TENTATIVE:
        return index, None  # not usable before duplicate address detection ends: that is news
    attributes = _attributes(body[_IFADDR.size :])
    # IFA_LOCAL is the address itself; IFA_ADDRESS may be that of a point-to-point peer.
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if packed is None or family not in (socket.AF_INET, socket.AF_INET6):
        return index, None
    protocol = attributes.get(_IFA_PROTO, b"\0")[0]
    return index, LinkAddress(socket.inet_ntop(family, packed), prefix_length, protocol)


def _attributes(data: bytes) -> dict[int, bytes]:
    return dict(walk_attributes(data))
