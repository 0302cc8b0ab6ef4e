"""The prober: ICMP echo at a fixed rate, every reply with its time and hardware address.

Runs as a program of its own in the client's namespace. Commands come as lines on standard input:
``report SINCE UNTIL`` (CLOCK_MONOTONIC nanoseconds) is answered with one JSON line.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import select
import socket
import struct
import sys
import time

_ETH_P = {4: 0x0800, 6: 0x86DD}
_MAX_PROBES = 2_000_000
_ECHO = {4: (8, 0), 6: (128, 129)}
_GRACE_NS = 1_000_000_000


class Prober:
    """Sends, receives, remembers: one slot for each probe."""

    def __init__(self, interface: str, address: str, interval_s: float) -> None:
        self._family = 6 if ":" in address else 4
        self._address = address
        self._interval_ns = int(interval_s * 1e9)
        self._ident = os.getpid() & 0xFFFF
        kind = socket.AF_INET6 if self._family == 6 else socket.AF_INET
        protocol = socket.IPPROTO_ICMPV6 if self._family == 6 else socket.IPPROTO_ICMP
        self._sender = socket.socket(kind, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        self._sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._receiver = socket.socket(
            socket.AF_PACKET,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK,
            socket.htons(_ETH_P[self._family]),
        )
        self._receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._receiver.bind((interface, 0))
        self.sent_ns = array.array("q")
        self.replied_ns = array.array("q")
        self.mac_of = array.array("b")
        self.duplicates: list[tuple[int, int]] = []
        self.macs: list[str] = []

    def run(self) -> None:
        """Probe until standard input ends or memory's bound is reached."""
        due_ns = time.monotonic_ns()
        poll = select.epoll()
        poll.register(self._receiver, select.EPOLLIN)
        poll.register(sys.stdin.fileno(), select.EPOLLIN)
        print("ready", flush=True)
        while len(self.sent_ns) < _MAX_PROBES:
            now_ns = time.monotonic_ns()
            if now_ns >= due_ns:
                self._send(now_ns)
                # A stall is not made up for by a burst.
                due_ns = max(due_ns + self._interval_ns, now_ns + self._interval_ns // 2)
            wait_s = max(0, due_ns - time.monotonic_ns()) / 1e9
            for descriptor, _ in poll.poll(wait_s):
                if descriptor == self._receiver.fileno():
                    self._receive()
                elif not self._obey(sys.stdin.readline()):
                    return

    def _send(self, now_ns: int) -> None:
        number = len(self.sent_ns)
        kind = _ECHO[self._family][0]
        header = struct.pack("!BBHHH", kind, 0, 0, self._ident, number & 0xFFFF)
        packet = header + struct.pack("!Q", number)
        if self._family == 4:
            packet = packet[:2] + struct.pack("!H", _checksum(packet)) + packet[4:]
        self.sent_ns.append(now_ns)
        self.replied_ns.append(0)
        self.mac_of.append(-1)
        # No neighbour, no route: the probe is lost, as it is for a client.
        with contextlib.suppress(OSError):
            self._sender.sendto(packet, (self._address, 0))

    def _receive(self) -> None:
        now_ns = time.monotonic_ns()
        for _ in range(256):
            try:
                frame = self._receiver.recv(256)
            except BlockingIOError:
                return
            self._take(frame, now_ns)

    def _take(self, frame: bytes, now_ns: int) -> None:
        offset = 14 + (40 if self._family == 6 else (frame[14] & 0x0F) * 4)
        if len(frame) < offset + 16:
            return
        protocol = frame[20] if self._family == 6 else frame[23]
        if protocol not in (1, 58) or frame[offset] != (129 if self._family == 6 else 0):
            return
        ident, number = struct.unpack_from("!H", frame, offset + 4)[0], 0
        if ident != self._ident:
            return
        number = struct.unpack_from("!Q", frame, offset + 8)[0]
        if number >= len(self.sent_ns):
            return
        mac = frame[6:12].hex(":")
        if mac not in self.macs:
            self.macs.append(mac)
        if self.replied_ns[number]:
            self.duplicates.append((number, self.macs.index(mac)))
            return
        self.replied_ns[number] = now_ns
        self.mac_of[number] = self.macs.index(mac)

    def _obey(self, line: str) -> bool:
        words = line.split()
        if not words:
            return False
        if words[0] == "report":
            self._receive()  # what came before the question, though it was not looked at yet
            print(json.dumps(self.report(int(words[1]), int(words[2]))), flush=True)
        return True

    def report(self, since_ns: int, until_ns: int) -> dict[str, object]:
        """Return what happened to the probes sent in a window.

        ``gaps`` are the stretches without an answered probe, each (begin, length): from the last
        answered probe before to the first one after, by their times of sending.
        """
        first = _first_at(self.sent_ns, since_ns)
        last = _first_at(self.sent_ns, until_ns)
        gaps, lost, stall_ns = [], 0, 0
        answered_ns: int | None = None
        in_gap = False
        macs: dict[str, int] = {}
        for number in range(first, last):
            sent_ns = self.sent_ns[number]
            if number > first:
                stall_ns = max(stall_ns, sent_ns - self.sent_ns[number - 1])
            replied = self.replied_ns[number]
            if not replied or replied - sent_ns > _GRACE_NS:
                lost += 1
                in_gap = True
                continue
            if in_gap:
                begun_ns = answered_ns if answered_ns is not None else since_ns
                gaps.append((begun_ns, sent_ns - begun_ns))
            in_gap, answered_ns = False, sent_ns
            mac = self.macs[self.mac_of[number]]
            macs[mac] = macs.get(mac, 0) + 1
        if in_gap:
            begun_ns = answered_ns if answered_ns is not None else since_ns
            gaps.append((begun_ns, until_ns - begun_ns))
        duplicates = sum(1 for number, _ in self.duplicates if first <= number < last)
        return {
            "sent": last - first,
            "lost": lost,
            "gaps": gaps,
            "stall_ns": stall_ns,
            "macs": macs,
            "duplicates": duplicates,
            "last_answered_ns": answered_ns,
        }


def _first_at(times: array.array[int], moment_ns: int) -> int:
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if times[middle] < moment_ns:
            low = middle + 1
        else:
            high = middle
    return low


def _checksum(data: bytes) -> int:
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def main() -> None:
    """Run the prober until its parent closes standard input."""
    parser = argparse.ArgumentParser(prog="vrrp_lab.prober")
    parser.add_argument("interface")
    parser.add_argument("address")
    parser.add_argument("interval_s", type=float)
    options = parser.parse_args()
    Prober(options.interface, options.address, options.interval_s).run()


if __name__ == "__main__":
    main()
