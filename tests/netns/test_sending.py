"""What the kernel refuses to send is counted, and ends no engine."""

from __future__ import annotations

import sys

import pytest

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
_SEND = """
import socket
from vrrp.constants import Family
from vrrp_speaker.engine.wire.transport import Route, Transport
route = Route(Family.IPV4, socket.inet_aton("192.0.2.11"), 0, 255)
copies = [(to, bytes(20)) for to in ("192.0.2.12", "192.0.2.255", "198.51.100.1", "203.0.113.1")]
print(Transport().send(route, copies))
"""


def test_broadcast_address_and_refusing_routes_are_failures_and_no_errors(lan: Lan) -> None:
    host = lan.hosts[0]
    for kind, prefix in (("prohibit", "198.51.100.0/24"), ("unreachable", "203.0.113.0/24")):
        assert host.exec("ip", "route", "add", kind, prefix).returncode == 0
    sent = host.exec(sys.executable, "-c", _SEND)
    assert (sent.stdout, sent.stderr) == ("3\n", "")
