"""Raw VRRP over IPv4 unicast: one socket for every Virtual Router of the node."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable

from vrrp.constants import IP_PROTOCOL, TTL

_DSCP_CS6 = 0xC0
"""Internetwork control, so that switches with queues prefer advertisements."""
_RECEIVE_BUFFER = 1 << 20
_MAX_DATAGRAM = 2048
_PKTINFO = struct.Struct("=I4s4s")
_IP_PKTINFO = 8  # Linux; named in the socket module from Python 3.13 on

# Nothing to do about these but try again with the next advertisement: the link is down, the peer
# does not resolve, the queue is full, a firewall refuses.
_TRANSIENT = frozenset(
    {
        errno.EAGAIN,
        errno.ENOBUFS,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EPERM,
        errno.EINVAL,
        errno.EADDRNOTAVAIL,
        errno.ENODEV,
        errno.ENXIO,
    }
)


class Transport:
    """Sends and receives VRRP messages.

    Raises:
        PermissionError: the process may not open raw sockets (CAP_NET_RAW).
    """

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, IP_PROTOCOL
        )
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_CS6)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def send(self, message: bytes, source: bytes, destinations: Iterable[str]) -> int:
        """Send one copy to each destination; return how many could not be sent."""
        # The source is named for each packet: a node may have several addresses, and its VIPs.
        control = [
            (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, source, bytes(4))),
        ]
        failures = 0
        for destination in destinations:
            try:
                self._socket.sendmsg([message], control, socket.MSG_DONTWAIT, (destination, 0))
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                failures += 1
        return failures

    def receive(self) -> bytes | None:
        """Return one datagram, IPv4 header included, or None when there is none left."""
        try:
            return self._socket.recv(_MAX_DATAGRAM)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno in _TRANSIENT:
                return None
            raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
