"""What passes between two hosts: captured while the routers run, kept where somebody asks."""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vrrp_lab.lan import Host, Lan

_PCAP_HEADER = struct.Struct("=IHHiIII")
_PCAP_RECORD = struct.Struct("=IIII")
_PCAP_NANOSECONDS = 0xA1B23C4D
_ETHERNET = 1
_IPV6 = b"\x86\xdd"


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame as it left a host; ``time_ns`` is nanoseconds since 1970."""

    host: str
    time_ns: int
    data: bytes

    @property
    def is_vrrp(self) -> bool:
        """Whether it is an advertisement."""
        return self.data[12:14] != b"\x08\x06" and self.data[self._protocol_offset] == 112

    @property
    def vrid(self) -> int:
        """The Virtual Router ID of an advertisement."""
        return self.data[self._message_offset + 1]

    @property
    def priority(self) -> int:
        """The priority of an advertisement."""
        return self.data[self._message_offset + 2]

    @property
    def _protocol_offset(self) -> int:
        return 20 if self.data[12:14] == _IPV6 else 23

    @property
    def _message_offset(self) -> int:
        if self.data[12:14] == _IPV6:
            return 14 + 40
        return 14 + (self.data[14] & 0x0F) * 4


class Wire:
    """Every frame that two hosts send while the block runs."""

    def __init__(self, lan: Lan, hosts: Iterable[Host]) -> None:
        self._names = {host.port: host.name for host in hosts}
        command = [sys.executable, "-m", "tests.interop.capture", *self._names]
        self._process = lan.switch.start(command, stdout=subprocess.PIPE, cwd=_ROOT)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self._frames: list[Frame] = []
        threading.Thread(target=self._read, daemon=True).start()

    def advertisements(self, vrid: int, since_ns: int = 0) -> list[Frame]:
        """Return the advertisements of one Virtual Router ID so far."""
        return self._select(lambda f: f.is_vrrp and f.vrid == vrid and f.time_ns >= since_ns)

    def of_one_election(self, vrid: int) -> list[Frame]:
        """Return its advertisements, and ARP and ICMPv6 of everybody."""
        return self._select(lambda frame: not frame.is_vrrp or frame.vrid == vrid)

    def _select(self, wanted: Callable[[Frame], bool]) -> list[Frame]:
        return [frame for frame in list(self._frames) if wanted(frame)]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                return  # it was ended as it wrote
            port, moment, data = line.split()
            name = self._names[port.decode()]
            self._frames.append(Frame(name, int(moment), bytes.fromhex(data.decode())))


def write_pcap(path: Path, frames: Iterable[Frame]) -> None:
    """Write frames to a file that Wireshark opens."""
    with path.open("wb") as file:
        file.write(_PCAP_HEADER.pack(_PCAP_NANOSECONDS, 2, 4, 0, 0, 65535, _ETHERNET))
        for frame in frames:
            seconds, nanoseconds = divmod(frame.time_ns, 1_000_000_000)
            size = len(frame.data)
            file.write(_PCAP_RECORD.pack(seconds, nanoseconds, size, size) + frame.data)


_ROOT = Path(__file__).resolve().parents[2]
