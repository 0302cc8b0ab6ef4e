"""Ping checks: one ICMP echo request, over IPv4 or IPv6."""

from __future__ import annotations

import os
import socket
import struct

from vrrp_api.check_kinds import PingCheck
from vrrp_speaker.agent.checks.connection import reason
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.targets import Targets
from vrrp_speaker.agent.checks.verdict import Result

_ECHO = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_TOKEN_BYTES = 16
_BUFFER = 2048


def probe_ping(run: Run, kind: PingCheck, targets: Targets) -> Result:
    """Ask once and wait for the answer to this very question until the deadline."""
    version = 6 if ":" in kind.address else 4
    try:
        targets.require(kind.address)
        with _socket(version) as wire:
            # Only the asked host is heard.
            wire.connect(socket.getaddrinfo(kind.address, 0, flags=socket.AI_NUMERICHOST)[0][4])
            token = os.urandom(_TOKEN_BYTES)
            wire.send(_request(version, token, run.number))
            return _await(run, wire, version, token)
    except TimeoutError:
        return Result(False, "no answer")
    except OSError as error:
        return Result(False, reason(error))


def _socket(version: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    try:
        # The kernel sorts the answers; permitted by net.ipv4.ping_group_range.
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        return socket.socket(family, socket.SOCK_RAW, protocol)


def _request(version: int, token: bytes, number: int) -> bytes:
    identifier, sequence = os.getpid() & 0xFFFF, number & 0xFFFF
    header = _ECHO.pack(_REQUEST[version], 0, 0, identifier, sequence)
    # The kernel fills in ICMPv6's checksum, and that of datagram sockets.
    checksum = _checksum(header + token) if version == 4 else 0
    return _ECHO.pack(_REQUEST[version], 0, checksum, identifier, sequence) + token


def _await(run: Run, wire: socket.socket, version: int, token: bytes) -> Result:
    raw = wire.type == socket.SOCK_RAW
    while True:
        wire.settimeout(run.remaining_s())
        data = wire.recv(_BUFFER)
        if raw and version == 4:
            data = data[(data[0] & 0x0F) * 4 :]
        # The token tells this answer from all others, whatever the kernel made of the identifier.
        if len(data) >= _ECHO.size and data[0] == _REPLY[version] and data[_ECHO.size :] == token:
            return Result(True)


def _checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
