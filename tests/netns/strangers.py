"""Hosts that nobody invited: routers that advertise, and such as claim an address."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from tests.unit.vrrp.wire import GROUP4, GROUP6, compose, packed, sealed

from vrrp_lab.lan import Host

# Send whole frames through eth0 ten times a second, until terminated.
_ADVERTISE = """
import socket, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
while True:
    for frame in sys.argv[1:]:
        wire.send(bytes.fromhex(frame))
    time.sleep(0.1)
"""

# Say of an address again and again that it is ours, as a host does that believes so.
CLAIM = """
import socket, sys, time
mac, address = bytes.fromhex(sys.argv[1].replace(":", "")), socket.inet_aton(sys.argv[2])
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
arp = bytes.fromhex("0001080006040001") + mac + address + bytes(6) + address
while True:
    if "while-held" in sys.argv:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind((sys.argv[2], 0))
    wire.send(bytes([255] * 6) + mac + bytes.fromhex("0806") + arp)
    if "once" in sys.argv:
        break
    time.sleep(0.1)
"""
_CLAIM6 = """
import socket, sys, time
mac, address = bytes.fromhex(sys.argv[1].replace(":", "")), sys.argv[2]
wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
target = socket.inet_pton(socket.AF_INET6, address)
message = bytes.fromhex("8800000020000000") + target + bytes.fromhex("0201") + mac
while True:
    wire.sendto(message, ("ff02::1%eth0", 0))
    time.sleep(0.1)
"""


def advertisement(
    sender: Host,
    vrid: int,
    *,
    priority: int = 150,
    version: int = 3,
    six: bool = False,
    to: Host | None = None,
    ttl: int = 255,
) -> bytes:
    """Return a frame with a plain advertisement, to VRRP's group or to one host."""
    source = packed(sender.address6 if six else sender.address)
    if to is None:
        ethernet = Ether(src=sender.mac, dst="33:33:00:00:00:12" if six else "01:00:5e:00:00:12")
        destination = GROUP6 if six else GROUP4
    else:
        ethernet = Ether(src=sender.mac, dst=to.mac)
        destination = packed(to.address6 if six else to.address)
    addresses = (packed("fe80::77" if six else "192.0.2.77"),)
    message = compose(version=version, vrid=vrid, priority=priority, addresses=addresses)
    if six:
        header: Packet = IPv6(src=sender.address6, hlim=ttl, nh=112)
    else:
        header = IP(src=sender.address, ttl=ttl, proto=112)
    header.dst = str(ipaddress.ip_address(destination))
    return bytes(ethernet / header / sealed(message, source, destination))


@contextmanager
def advertising(host: Host, *frames: bytes) -> Iterator[None]:
    """A host sends these frames again and again while the block runs."""
    command = [sys.executable, "-c", _ADVERTISE, *(frame.hex() for frame in frames)]
    process = host.namespace.start(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def sent_at_rate(host: Host, frames: list[bytes], rate: int, seconds: int) -> int:
    """Send frames from a host for a while; return how many were sent."""
    program = host.namespace.start(
        [sys.executable, "-m", "tests.netns.packets", str(rate), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = program.communicate("\n".join(f.hex() for f in frames).encode(), timeout=60)
    return int(out)


@contextmanager
def claimed_by(host: Host, address: str, *flags: str) -> Iterator[None]:
    """A host says all the time that it has the address while the block runs."""
    script = _CLAIM6 if ":" in address else CLAIM
    command = [sys.executable, "-c", script, host.mac, address, *flags]
    process = host.namespace.start(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
