"""Memberships of raw sockets in the VRRP groups, 224.0.0.18 and ff02::12, one for each link."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping

from vrrp.constants import Family

_MREQN = struct.Struct("=4s4si")
_MREQ6 = struct.Struct("=16si")

Group = tuple[Family, int]
"""A family and the index of an interface."""


class JoinedGroups:
    """What a pair of sockets has joined; the kernel keeps each socket's own memberships."""

    def __init__(self, sockets: Mapping[Family, socket.socket]) -> None:
        self._sockets = sockets
        self._joined: set[Group] = set()

    def join(self, wanted: Iterable[Group]) -> set[Group]:
        """Be in these groups and in no other; return those that could not be joined.

        They are tried again at the next call: the interface may not exist, or the socket has as
        many memberships as ``net.ipv4.igmp_max_memberships`` allows.
        """
        wanted = set(wanted)
        for group in self._joined - wanted:
            self._change(*group, join=False)
        self._joined = {g for g in wanted if g in self._joined or self._change(*g, join=True)}
        return wanted - self._joined

    def forget(self, ifindex: int) -> None:
        """An interface went, and its memberships with it; one that returns may have its index."""
        for group in [group for group in self._joined if group[1] == ifindex]:
            self._change(*group, join=False)
            self._joined.discard(group)

    def _change(self, family: Family, ifindex: int, *, join: bool) -> bool:
        try:
            if family is Family.IPV4:
                option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
                request = _MREQN.pack(family.group, bytes(4), ifindex)
                self._sockets[family].setsockopt(socket.IPPROTO_IP, option, request)
            else:
                option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
                request = _MREQ6.pack(family.group, ifindex)
                self._sockets[family].setsockopt(socket.IPPROTO_IPV6, option, request)
        except (OSError, KeyError):
            return False  # no such interface any more, no room for another membership, no IPv6
        return True
