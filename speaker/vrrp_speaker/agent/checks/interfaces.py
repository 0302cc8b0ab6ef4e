"""Interface checks: up with a carrier, told by the kernel the moment that it changes.

As keepalived's ``track_interface``: IFF_UP and IFF_RUNNING (rtnetlink(7)).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping

from vrrp_api.check_kinds import CheckKind
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.checks.watching import News, Watching
from vrrp_speaker.agent.messages import CheckMessage
from vrrp_speaker.netlink_messages import walk_attributes

_GROUP_LINKS = 0x1
_ERROR, _DONE, _NEW_LINK, _DELETE_LINK, _GET_LINK = 2, 3, 16, 17, 18
_REQUEST_DUMP = 0x1 | 0x300
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_IFLA_NAME, _IFLA_PROP_LIST, _IFLA_ALT_NAME = 3, 52, 53
_UP, _RUNNING = 0x1, 0x40
_BUFFER = 1 << 17
_PATIENCE_S = 2.0


class Interfaces(Watching):
    """Watches the node's interfaces."""

    def open(self) -> Links:
        """Listen to the kernel and ask it for what there is."""
        return Links()


class Links:
    """The state of every interface, as news of the kernel has it."""

    def __init__(self) -> None:
        """Open a socket.

        Raises:
            OSError: the kernel has none for us.
        """
        self._flags: dict[str, int] = {}
        self._names: dict[int, list[str]] = {}
        """By index; the alternative names of an interface are as good."""
        self._news = News()
        self._kernel = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        try:
            self._kernel.settimeout(_PATIENCE_S)
            self._kernel.bind((0, _GROUP_LINKS))
            request = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            header = _HEADER.pack(_HEADER.size + len(request), _GET_LINK, _REQUEST_DUMP, 1, 0)
            self._kernel.send(header + request)
            while not self._take(self._kernel.recv(_BUFFER)):
                pass
            self._kernel.setblocking(False)
        except OSError:
            self._kernel.close()
            raise

    def fileno(self) -> int:
        """Return the socket."""
        return self._kernel.fileno()

    def wait_s(self) -> None:
        """Nothing happens without news."""
        return

    def close(self) -> None:
        """Listen no more."""
        self._kernel.close()

    def turn(self, wanted: Mapping[str, CheckKind]) -> Iterable[CheckMessage]:
        """Take in the kernel's news; return what is new for the checks.

        Raises:
            OSError: news were lost (ENOBUFS); everything must be asked again.
        """
        found: list[CheckMessage] = list(self._judge(wanted))
        while True:
            try:
                self._take(self._kernel.recv(_BUFFER))
            except BlockingIOError:
                return found
            # Judged after each: an interface that went and came back did go.
            found += self._judge(wanted)

    def _judge(self, wanted: Mapping[str, CheckKind]) -> Iterable[CheckMessage]:
        return self._news.of({name: (kind, self.result(kind)) for name, kind in wanted.items()})

    def result(self, kind: CheckKind) -> Result:
        """Return what an interface check finds."""
        flags = self._flags.get(kind.target)
        if flags is None:
            return Result(False, f"no interface {kind.target}")
        if not flags & _UP:
            return Result(False, f"{kind.target} is down")
        if not flags & _RUNNING:
            return Result(False, f"{kind.target} has no carrier")
        return Result(True)

    def _take(self, data: bytes) -> bool:
        """Take in messages; return whether they end the dump."""
        for kind, body in _messages(data):
            if kind == _DONE:
                return True
            if kind == _ERROR:
                number = -struct.unpack_from("=i", body)[0]
                raise OSError(number, "list of interfaces")
            if kind in (_NEW_LINK, _DELETE_LINK):
                self._link(body, gone=kind == _DELETE_LINK)
        return False

    def _link(self, body: bytes, *, gone: bool) -> None:
        family, _, index, flags, _ = _LINK.unpack_from(body)
        if family != socket.AF_UNSPEC:
            return  # a bridge's word on a port of its own
        for name in self._names.pop(index, ()):
            self._flags.pop(name, None)
        if not gone:
            self._names[index] = list(_names(body[_LINK.size :]))
            self._flags.update(dict.fromkeys(self._names[index], flags))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += max(_HEADER.size, (length + 3) & ~3)


def _names(attributes: bytes) -> Iterator[str]:
    """Yield the name of a link and its alternative ones."""
    for kind, value in walk_attributes(attributes):
        if kind == _IFLA_PROP_LIST:
            yield from _names(value)
        elif kind in (_IFLA_NAME, _IFLA_ALT_NAME):
            yield value.rstrip(b"\0").decode(errors="backslashreplace")
