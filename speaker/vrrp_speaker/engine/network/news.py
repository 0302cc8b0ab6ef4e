"""The socket on which the kernel tells of links and addresses."""

from __future__ import annotations

import errno
import socket

from vrrp_speaker.engine.network.netlink import News, RequestSocket, parse_news
from vrrp_speaker.engine.network.news_filter import EVERYTHING, Attention, news_filter
from vrrp_speaker.engine.wire import bpf

_GROUPS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
_BUFFER = 1 << 16
_RECEIVE_BUFFER = 1 << 20
_LEAST_NEWS = 64
"""No message of links or addresses takes less of that buffer."""


class NewsLostError(Exception):
    """The kernel dropped news (ENOBUFS): everything must be read again."""


class NewsSocket:
    """Delivers link and address news as they happen."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._passed_over: int | None = None
        self._attention = EVERYTHING
        self._socket.bind((0, _GROUPS))

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def pass_over_bound_by(self, requests: RequestSocket) -> None:
        """Let the kernel keep back the news of addresses that those requests bound or renewed.

        With hundreds of leases they would be most of what there is, and say nothing new. Source:
        the kernel names in IPv4's whose request it was (``rtmsg_ifa``); IPv6's come still.
        """
        self._passed_over = requests.port
        self._filter()

    def attend(self, attention: Attention) -> bool:
        """Let the kernel keep back what is about nothing of this; return whether news were missed.

        They were where more is let pass than before: then everything must be read again.
        """
        before, self._attention = self._attention, attention
        if attention != before:
            self._filter()
        return attention.wider_than(before)

    def _filter(self) -> None:
        bpf.attach(self._socket, news_filter(self._attention, self._passed_over))

    def receive(self) -> list[News] | None:
        """Return the news of one message batch, or None when there is none left.

        Raises:
            NewsLostError: the socket's buffer overran.
        """
        try:
            data = self._socket.recv(_BUFFER)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise NewsLostError from error
            raise
        return list(parse_news(data))

    def discard(self) -> None:
        """Throw away what is queued; after an overrun the kernel adds nothing until all is gone.

        A dump that follows is newer than anything here, and news after it are complete again.
        """
        for _ in range(_RECEIVE_BUFFER // _LEAST_NEWS):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
