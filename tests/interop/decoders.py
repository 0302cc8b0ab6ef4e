"""Advertisements as programs read them that others wrote: scapy, and Wireshark's tshark."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vrrp import VRRPv3
from scapy.utils import checksum
from tests.interop.config import Checksum
from tests.interop.wire import Frame, write_pcap

_GOOD = "1"
_FIELDS = (
    *("ip.src", "ip.dst", "ip.ttl", "ipv6.src", "ipv6.dst", "ipv6.hlim"),
    *("vrrp.version", "vrrp.type", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count"),
    *("vrrp.adver_int", "vrrp.short_adver_int", "vrrp.auth_type", "vrrp.auth_string"),
    *("vrrp.ip_addr", "vrrp.ipv6_addr", "vrrp.checksum.status"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One advertisement as somebody reads it.

    ``checksums`` are the forms that fit: MESSAGE_ONLY, PSEUDO_HEADER. ``count`` is the field in the
    header, ``password`` is None where the message says that it has none.
    """

    source: str
    destination: str
    ttl: int
    version: int
    type: int
    vrid: int
    priority: int
    count: int
    interval_cs: int
    addresses: tuple[str, ...]
    password: str | None
    checksums: frozenset[Checksum]


# scapy ------------------------------------------------------------------------------------


def read_with_scapy(frame: Frame) -> Reading:
    """Return what scapy reads."""
    packet = Ether(frame.data)
    ip = packet.payload
    vrrp = ip.payload
    version_3 = isinstance(vrrp, VRRPv3)
    return Reading(
        source=ip.src,
        destination=ip.dst,
        ttl=ip.ttl if isinstance(ip, IP) else ip.hlim,
        version=vrrp.version,
        type=vrrp.type,
        vrid=vrrp.vrid,
        priority=vrrp.priority,
        count=vrrp.ipcount,
        interval_cs=vrrp.adv if version_3 else vrrp.adv * 100,
        addresses=tuple(vrrp.addrlist),
        password=None if version_3 or not vrrp.authtype else _password(vrrp),
        checksums=_scapy_checksums(packet),
    )


def _password(vrrp: Any) -> str:
    data: bytes = vrrp.auth1.to_bytes(4, "big") + vrrp.auth2.to_bytes(4, "big")
    return data.rstrip(b"\0").decode()


def _scapy_checksums(packet: Any) -> frozenset[Checksum]:
    vrrp = packet.payload.payload
    fitting = set()
    if checksum(bytes(vrrp)) == 0:
        fitting.add(Checksum.MESSAGE_ONLY)
    if isinstance(vrrp, VRRPv3):
        again = packet.copy()
        del again.payload.payload.chksum
        if Ether(bytes(again)).payload.payload.chksum == vrrp.chksum:
            fitting.add(Checksum.PSEUDO_HEADER)
    return frozenset(fitting)


# tshark -----------------------------------------------------------------------------------


def read_with_tshark(frames: Sequence[Frame], folder: Path) -> list[Reading]:
    """Return what tshark reads, in the order of the frames."""
    path = folder / "frames.pcap"
    write_pcap(path, frames)
    forms = {Checksum.PSEUDO_HEADER: "FALSE", Checksum.MESSAGE_ONLY: "TRUE"}
    layers = {form: _tshark(path, setting) for form, setting in forms.items()}
    readings = []
    for index in range(len(frames)):
        views = {form: found[index] for form, found in layers.items()}
        fitting = {f for f, view in views.items() if view["vrrp.checksum.status"] == [_GOOD]}
        readings.append(_reading(views[Checksum.MESSAGE_ONLY], frozenset(fitting)))
    return readings


def _tshark(path: Path, message_only: str) -> list[dict[str, list[str]]]:
    wanted = [part for name in _FIELDS for part in ("-e", name)]
    command = ["tshark", "-n", "-r", str(path), "-T", "json", *wanted]
    command += ["-o", f"vrrp.v3_checksum_as_in_v2:{message_only}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return [packet["_source"]["layers"] for packet in json.loads(ended.stdout)]


def _reading(fields: dict[str, list[str]], checksums: frozenset[Checksum]) -> Reading:
    version_3 = "vrrp.short_adver_int" in fields
    ip, hops, addresses = "ip", "ip.ttl", "vrrp.ip_addr"
    if "ipv6.src" in fields:
        ip, hops, addresses = "ipv6", "ipv6.hlim", "vrrp.ipv6_addr"
    interval = "vrrp.short_adver_int" if version_3 else "vrrp.adver_int"
    return Reading(
        source=fields[f"{ip}.src"][0],
        destination=fields[f"{ip}.dst"][0],
        ttl=int(fields[hops][0]),
        version=int(fields["vrrp.version"][0]),
        type=int(fields["vrrp.type"][0]),
        vrid=int(fields["vrrp.virt_rtr_id"][0]),
        priority=int(fields["vrrp.prio"][0]),
        count=int(fields["vrrp.addr_count"][0]),
        interval_cs=int(fields[interval][0]) * (1 if version_3 else 100),
        addresses=tuple(fields.get(addresses, ())),
        password=fields.get("vrrp.auth_string", [None])[0],
        checksums=checksums,
    )
