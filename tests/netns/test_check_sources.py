"""Checks that need a network of their own: interfaces and pings, seen from inside a namespace."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.eventually import eventually
from tests.unit.agent.checks import probe, settings

from vrrp_api.check_kinds import InterfaceCheck, PingCheck
from vrrp_lab.lan import Host, Lan
from vrrp_speaker.agent.checks.interfaces import Links
from vrrp_speaker.agent.checks.routes import Distance, distance
from vrrp_speaker.agent.checks.targets import parse_targets
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.messages import CheckNews
from vrrp_speaker.options import ANYWHERE

pytestmark = pytest.mark.netns
T = TypeVar("T")
VETH = InterfaceCheck("veth0")
_libc = ctypes.CDLL(None, use_errno=True)


def inside(host: Host, work: Callable[[], T]) -> T:
    """Call something in a thread that has moved into a host's network namespace."""
    found: list[T] = []

    def run() -> None:
        with open(host.namespace.path, "rb") as namespace:
            assert _libc.setns(namespace.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
        found.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


# Interfaces --------------------------------------------------------------------------


class Bench:
    """A listener in a host, and what it said of one interface check."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.links = inside(host, Links)
        self.said: list[Result] = []

    def ip(self, *words: str) -> None:
        self.host.namespace.run("ip", "link", *words)

    def take(self) -> None:
        """Take in what is there."""
        for news in self.links.turn({"a": VETH}):
            assert isinstance(news, CheckNews)
            self.said.append(news.result)

    def until(self, *messages: str) -> None:
        """Wait until exactly this was said since the last time; "" is a pass."""

        def heard() -> bool:
            self.take()
            assert [result.message for result in self.said] == list(messages)
            return True

        eventually(heard, within_s=5)
        assert [result.passed for result in self.said] == [not message for message in messages]
        self.said.clear()


@pytest.fixture
def bench(lan: Lan) -> Bench:
    return Bench(lan.hosts[0])


def test_an_interface_must_exist_be_up_and_have_a_carrier(bench: Bench) -> None:
    bench.until("no interface veth0")
    bench.ip("add", "veth0", "type", "veth", "peer", "name", "peer0")
    bench.until("veth0 is down")
    bench.ip("set", "veth0", "up")
    bench.until("veth0 has no carrier")
    bench.ip("set", "peer0", "up")
    bench.until("")
    bench.ip("property", "add", "dev", "veth0", "altname", "uplink0")
    bench.take()
    uplink = InterfaceCheck("uplink0")
    assert bench.links.result(uplink) == Result(True)
    bench.ip("set", "peer0", "down")
    bench.until("veth0 has no carrier")
    assert bench.links.result(uplink) == Result(False, "uplink0 has no carrier")
    bench.ip("set", "veth0", "down")
    bench.until("veth0 is down")
    bench.ip("del", "veth0")
    bench.until("no interface veth0")


def plug_veth(bench: Bench) -> None:
    bench.ip("add", "veth0", "up", "type", "veth", "peer", "name", "peer0")
    bench.ip("set", "peer0", "up")


def make_veth(bench: Bench) -> None:
    plug_veth(bench)

    def up() -> bool:
        bench.links.turn({"a": VETH})
        return bench.links.result(VETH).passed

    eventually(up, within_s=5)


def test_a_renamed_interface_is_another_one(bench: Bench) -> None:
    make_veth(bench)
    bench.ip("set", "veth0", "down")
    bench.ip("set", "veth0", "name", "veth9")
    bench.until("veth0 is down", "no interface veth0")


def test_what_goes_and_comes_back_did_go(bench: Bench) -> None:
    make_veth(bench)
    bench.ip("del", "veth0")
    plug_veth(bench)

    def back() -> bool:
        bench.take()
        return bench.links.result(VETH).passed

    eventually(back, within_s=5)
    messages = [result.message for result in bench.said]
    assert messages[0] in ("veth0 is down", "veth0 has no carrier", "no interface veth0")
    assert "no interface veth0" in messages
    assert messages[-1] == ""


def test_lost_news_are_an_error_that_opens_anew(bench: Bench) -> None:
    make_veth(bench)
    bench.links._kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(10):
        bench.ip("set", "peer0", "down")
        bench.ip("set", "peer0", "up")
    with pytest.raises(OSError, match="No buffer space"):
        bench.links.turn({"a": VETH})


# Pings -------------------------------------------------------------------------------


def ping(host: Host, address: str, tmp_path: Path, timeout_ms: int = 1000) -> Result:
    made = settings(tmp_path, targets=parse_targets(ANYWHERE))
    return inside(host, lambda: probe(made, PingCheck(address), timeout_ms=timeout_ms))


@pytest.mark.parametrize("group_range", ["1 0", "0 2147483647"])
def test_a_host_answers_over_both_families(lan: Lan, tmp_path: Path, group_range: str) -> None:
    """With a raw socket where datagrams are not permitted, and with a datagram socket."""
    host, other = lan.hosts[:2]
    host.namespace.run("sysctl", "-qw", f"net.ipv4.ping_group_range={group_range}")
    for address in (other.address, other.address6, "127.0.0.1", "::1"):
        assert ping(host, address, tmp_path) == Result(True), address


def test_nobody_answers(lan: Lan, tmp_path: Path) -> None:
    host = lan.hosts[0]
    for address in ("192.0.2.77", "2001:db8:0:1::77"):
        assert not ping(host, address, tmp_path, 300).passed
    lan.hosts[1].cut_link()
    assert ping(host, lan.hosts[1].address, tmp_path, 300) == Result(False, "no answer")
    assert "unreachable" in ping(host, "203.0.113.1", tmp_path, 300).message


def test_answers_to_others_are_not_taken_for_its_own(lan: Lan, tmp_path: Path) -> None:
    """A raw socket hears every answer of the host; here all but ours are answered."""
    host, other = lan.hosts[:2]
    for words in (
        "add table ip quiet",
        "add chain ip quiet input { type filter hook input priority 0 ; }",
        "add rule ip quiet input icmp type echo-request meta length 44 drop",
    ):
        other.namespace.run("nft", words)
    request = bytes.fromhex("0800") + bytes(38)
    request = request[:2] + (~0x0800 & 0xFFFF).to_bytes(2, "big") + request[4:]
    stop = threading.Event()

    def ask_too() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
            wire.settimeout(0.01)
            answered = 0
            while not stop.is_set():
                wire.sendto(request, (other.address, 0))
                try:
                    answered += wire.recv(2048)[20] == 0
                except TimeoutError:
                    continue
            assert answered > 10

    asking = threading.Thread(target=lambda: inside(host, ask_too))
    asking.start()
    try:
        assert ping(host, other.address, tmp_path) == Result(False, "no answer")
    finally:
        stop.set()
        asking.join()


# Whom checks may ask -----------------------------------------------------------------

_ROUTES = (
    "link add near type veth peer name far",
    "link set near up",
    "link set far up",
    "link set lo up",
    "address add 198.51.100.7/24 dev near",
    "address add 2001:db8:7::7/64 dev near nodad",
    "route add 10.244.3.9/32 dev near",
    "route add 10.244.4.0/24 via 198.51.100.9",
    "route add 192.88.99.0/24 dev near proto 112",
    "route add prohibit 203.0.113.66/32",
    "route add 100.64.0.0/24 nexthop via 198.51.100.9 nexthop via 198.51.100.8",
    "route replace default via 198.51.100.1",
    "-6 route replace default via 2001:db8:7::1",
)
_DISTANCES = {
    "127.0.0.1": Distance.NODE,
    "127.9.9.9": Distance.NODE,
    "::1": Distance.NODE,
    "198.51.100.7": Distance.NODE,
    "2001:db8:7::7": Distance.NODE,
    "198.51.100.1": Distance.SUBNET,
    "198.51.100.200": Distance.SUBNET,
    "2001:db8:7::1": Distance.SUBNET,
    "10.244.3.9": Distance.SUBNET,
    "198.51.100.255": Distance.BEYOND,  # broadcast
    "10.244.4.9": Distance.BEYOND,
    "192.88.99.9": Distance.BEYOND,  # the route came with an address of ours
    "203.0.113.9": Distance.BEYOND,
    "203.0.113.66": Distance.BEYOND,
    "100.64.0.1": Distance.BEYOND,
    "2001:db8:8::1": Distance.BEYOND,
}


def test_how_far_addresses_are_as_the_routes_have_it(lan: Lan) -> None:
    host = lan.hosts[0]
    for words in _ROUTES:
        host.namespace.run("ip", *words.split())

    def distances() -> dict[str, Distance]:
        return {text: distance(ipaddress.ip_address(text)) for text in _DISTANCES}

    assert inside(host, distances) == _DISTANCES
    # A default route without a gateway leads to the whole world, and is no subnet.
    host.namespace.run("ip", "route", "replace", "default", "dev", "near")
    assert inside(host, distances) == _DISTANCES
    host.namespace.run("ip", "route", "del", "default")
    assert inside(host, distances) == _DISTANCES
