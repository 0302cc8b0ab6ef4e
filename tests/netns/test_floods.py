"""Floods of protocol 112, of strangers and in the name of a peer: counters grow, nothing moves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from tests.eventually import eventually
from tests.netns.inside import all_at, engine, lateness_p99_s, manifest, routers, transitions

from vrrp.members import ATTEMPTS_AT_ONCE, ATTEMPTS_PER_SECOND
from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node
from vrrp_speaker.shared_state.values import EngineState

pytestmark = pytest.mark.netns
NODES = 3
VRID, VRID6 = 51, 61
MANIFEST = manifest("four", VRID, "192.0.2.50/24", ranks=(1, 2, 3)) + manifest(
    "six", VRID6, "2001:db8:0:1::61/64", ranks=(1, 2, 3)
)
RATE, SECONDS = 50_000, 2


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active everywhere before and after."""
    node = sized.node("node-1")
    all_at(sized, node)
    yield node
    all_at(sized, node)


def garbage(vrid: int, family: int) -> list[bytes]:
    """Return messages that a peer must not send, each refused for another reason."""
    address = bytes([192, 0, 2, 50]) if family == 4 else bytes.fromhex("fe80" + "00" * 13 + "50")
    better = bytes([0x31, vrid, 254, 1, 0, 20, 0, 0]) + address
    return [
        better[:1],  # truncated
        bytes([0x41]) + better[1:],  # version
        bytes([0x32]) + better[1:],  # type
        better[:1] + b"\xfe" + better[2:],  # unknown_vrid
        better,  # auth_missing
        better + bytes([1, 1]) + bytes(26),  # auth_invalid
    ]


# Of a stranger only what looks like a signed advertisement is looked at, and that seldom.
STRANGERS = {"unknown_source", "auth_invalid", "unverified"}
REASONS = {"truncated", "version", "type", "unknown_vrid", "auth_missing", "auth_invalid"}


def frames(source: Host, sender: Host, destination: Host, family: int) -> list[bytes]:
    """Return garbage in a host's name from another host's interface."""
    ethernet = Ether(src=sender.mac, dst=destination.mac)
    if family == 4:
        header: Packet = IP(src=source.address, dst=destination.address, ttl=255, proto=112)
    else:
        header = IPv6(src=source.address6, dst=destination.address6, hlim=255, nh=112)
    messages = garbage(VRID if family == 4 else VRID6, family)
    return [bytes(ethernet / header / message) for message in messages]


def flooded(lab: Lab, listed: list[bytes]) -> int:
    """Send frames from the client for a while; return how many."""
    program = lab.client.namespace.start(
        [sys.executable, "-m", "tests.netns.packets", str(RATE), str(SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = program.communicate("\n".join(f.hex() for f in listed).encode(), timeout=60)
    return int(out)


def refused(before: EngineState, after: EngineState) -> dict[str, int]:
    """Return how many datagrams were rejected between two copies, by reason."""
    counts = {why: after.rejected[why] - before.rejected[why] for why in after.rejected}
    return {why: count for why, count in counts.items() if count}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("claimed", ["stranger", "peer"])
@pytest.mark.parametrize("flooded_one", ["node-1", "node-2"])
def test_flood_changes_counters_and_nothing_else(
    sized: Lab, home: Node, family: int, claimed: str, flooded_one: str
) -> None:
    target, backup = sized.node(flooded_one), sized.node("node-2")
    source = sized.client if claimed == "stranger" else sized.node("node-3").host
    before = transitions(sized.nodes)
    copies = {node.name: engine(node) for node in (home, backup)}
    sent = {name: router.advertisements_sent for name, router in routers(home).items()}
    begun_s = time.monotonic()
    count = flooded(sized, frames(source, sized.client, target.host, family))
    counts = refused(copies[target.name], engine(target))
    flood_s = time.monotonic() - begun_s
    print(f"{count / SECONDS:.0f} datagrams a second to {target.name}: refused {counts}")
    assert set(counts) == (STRANGERS if claimed == "stranger" else REASONS)
    assert all(number > 100 for number in counts.values())
    if claimed == "stranger":
        assert counts["auth_invalid"] <= ATTEMPTS_AT_ONCE + ATTEMPTS_PER_SECOND * flood_s
    for node in (home, backup):
        after = engine(node)
        print(f"{node.name}: deadlines p99 {lateness_p99_s(copies[node.name], after)}")
        assert after.engine_starts == copies[node.name].engine_starts, node.log.read_text()[-500:]
    for name, router in routers(home).items():
        # Two peers, five times a second; half of that shows that they went on.
        assert router.advertisements_sent - sent[name] > SECONDS * 5
    eventually(lambda: home.get("/readyz") == "ok\n", within_s=10)
    assert transitions(sized.nodes) == before
