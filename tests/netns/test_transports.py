"""Every way an election can run, on real interfaces: family, group, version, signature."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from tests.eventually import eventually
from tests.netns.inside import program, routers
from tests.netns.observe import Capture, Frame, metric, settled, state

from vrrp_lab.lab import Lab, new_key
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns


@dataclass(frozen=True)
class Way:
    """One election: its VirtualIP's fields, and how its packets look on the wire."""

    name: str
    vrid: int
    address: str
    spec: str
    ethernet: str
    first_byte: int

    @property
    def host(self) -> str:
        """The address without its prefix length."""
        return self.address.partition("/")[0]


_IPV4, _IPV6 = "0800", "86dd"
_SECOND = "advertisementInterval: 1s, version: 2"
WAYS = (
    Way("six", 61, "2001:db8:0:1::61/64", "", _IPV6, 0x31),
    Way("group", 62, "192.0.2.62/24", "transport: {mode: Multicast}", _IPV4, 0x31),
    Way("group-six", 63, "2001:db8:0:1::63/64", "transport: {mode: Multicast}", _IPV6, 0x31),
    Way("two", 64, "192.0.2.64/24", _SECOND, _IPV4, 0x21),
    Way("two-group", 65, "192.0.2.65/24", _SECOND + ", transport: {mode: Multicast}", _IPV4, 0x21),
    Way("two-password", 66, "192.0.2.66/24",
        _SECOND + ", authentication: {type: Simple, keyRef: old}", _IPV4, 0x21),
    Way("plain", 67, "192.0.2.67/24", "authentication: {type: None}", _IPV4, 0x31),
    Way("plain-group-six", 68, "2001:db8:0:1::68/64",
        "authentication: {type: None}, transport: {mode: Multicast}", _IPV6, 0x31),
    Way("far", 69, "192.0.2.69/24", "transport: {ttl: {send: 64, acceptMinimum: 60}}", _IPV4, 0x31),
)  # fmt: skip
MULTICAST = {"group": "01005e000012", "two-group": "01005e000012"} | dict.fromkeys(
    ("group-six", "plain-group-six"), "333300000012"
)
PLAIN = ("two-password", "plain", "plain-group-six")


def _manifest(way: Way) -> str:
    spec = f", {way.spec}" if way.spec else ""
    return f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {way.name}}}
spec:
  {{addresses: [{{address: "{way.address}"}}], virtualRouterID: {way.vrid}, interface: eth0,
  nodePriorities: [{{node: node-1, priority: 200}}, {{node: node-2, priority: 150}},
  {{node: node-3, priority: 100}}]{spec}}}
"""


MANIFEST = "---".join(map(_manifest, WAYS))
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)


@pytest.fixture(scope="module", autouse=True)
def password(standalone: Lab) -> None:
    for node in standalone.nodes:
        node.write_key("old.pass", "secret12")


@pytest.fixture
def active(standalone: Lab) -> Iterator[Node]:
    """The Active node of every election; every speaker runs again afterwards."""
    yield at_home(standalone)
    for node in standalone.nodes:
        if not node.running:
            node.start_speaker()
    at_home(standalone)


def at_home(lab: Lab) -> Node:
    """Wait until node-1 is Active everywhere."""
    home = lab.node("node-1")
    for way in WAYS:
        eventually(partial(_settled_at, lab, way, home), within_s=30)
    return home


def _settled_at(lab: Lab, way: Way, home: Node) -> bool:
    return settled(lab, way.name, way.host) is home


def _is_active(node: Node, way: Way) -> bool:
    return state(node, way.name) == "Active"


def of(way: Way, frame: Frame) -> bool:
    """Whether a captured frame is an advertisement of this election."""
    if frame.data[12:14].hex() != way.ethernet:
        return False
    protocol = frame.data[23] if way.ethernet == _IPV4 else frame.data[20]
    return protocol == 112 and message(frame)[1] == way.vrid


def message(frame: Frame) -> bytes:
    """Return what follows the IP header."""
    return frame.data[34:] if frame.data[12:14] == b"\x08\x00" else frame.data[54:]


def ttl(frame: Frame) -> int:
    return frame.data[22] if frame.data[12:14] == b"\x08\x00" else frame.data[21]


def captured(capture: Capture, way: Way, count: int = 2) -> list[Frame]:
    """Wait for some advertisements of an election."""

    def found() -> list[Frame] | None:
        frames = [frame for frame in capture.frames() if of(way, frame)]
        return frames if len(frames) >= count else None

    return eventually(found, within_s=10) or []


@each_way
def test_client_reaches_the_address_at_the_best_node(
    standalone: Lab, active: Node, way: Way
) -> None:
    assert standalone.holders(way.host) == [active]
    with standalone.client.probe(way.host) as probe:
        probe.wait_answered(30)


@each_way
def test_advertisements_look_as_the_election_says(standalone: Lab, active: Node, way: Way) -> None:
    with Capture(standalone.node("node-2").host) as capture:
        frames = captured(capture, way)
    for frame in frames:
        assert message(frame)[0] == way.first_byte
        assert ttl(frame) == (64 if way.name == "far" else 255)
        expected = MULTICAST.get(way.name)
        if expected is not None:
            assert frame.data[:6].hex() == expected
        else:
            assert not frame.data[0] & 1
        plain_length = (
            8 + (16 if way.ethernet == _IPV6 else 4) + (8 if way.first_byte == 0x21 else 0)
        )
        signed = 0 if way.name in PLAIN else 28
        # Ethernet pads short frames; the IP header has the length.
        length = (
            int.from_bytes(frame.data[16:18], "big") - 20
            if way.ethernet == _IPV4
            else int.from_bytes(frame.data[18:20], "big")
        )
        assert length == plain_length + signed


def test_killed_and_stopped_node_hands_over_every_election(standalone: Lab, active: Node) -> None:
    active.kill_speaker()
    second, third = standalone.node("node-2"), standalone.node("node-3")
    for way in WAYS:
        eventually(partial(_is_active, second, way), within_s=20)
    second.stop_speaker()
    for way in WAYS:
        eventually(partial(_is_active, third, way), within_s=20)
        assert not second.holds(way.host)


# Signatures ----------------------------------------------------------------------------

_SEND = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
for frame in sys.argv[1:]:
    out.send(bytes.fromhex(frame))
"""


def inject(lab: Lab, frames: list[bytes]) -> None:
    """Send whole frames from the client's interface, whatever source they claim."""
    lab.client.namespace.run(sys.executable, "-c", _SEND, *(frame.hex() for frame in frames))


def rejected(node: Node, reason: str) -> float:
    return metric(node, "kube_vrrp_advertisements_rejected_total", reason=reason)


def received(node: Node, way: Way) -> int:
    return sum(peer.received for peer in routers(node)[way.name].peers)


def transitions(lab: Lab) -> float:
    return sum(metric(node, "kube_vrrp_transitions_total") for node in lab.nodes)


SIGNED = [way for way in WAYS if way.name not in PLAIN]


@pytest.mark.parametrize("way", SIGNED, ids=lambda way: way.name)
def test_replayed_and_forged_advertisements_change_a_counter_and_nothing_else(
    standalone: Lab, active: Node, way: Way
) -> None:
    victim = standalone.node("node-2")
    with Capture(victim.host) as capture:
        genuine = captured(capture, way, 3)[0]
    before = transitions(standalone)
    replayed, invalid = rejected(victim, "auth_replayed"), rejected(victim, "auth_invalid")
    forged = bytearray(genuine.data)
    forged[len(forged) - len(message(genuine)) + 2] = 0  # a release in the name of the Active node
    inject(standalone, [genuine.data] * 5 + [bytes(forged)] * 5)
    eventually(lambda: rejected(victim, "auth_replayed") >= replayed + 5, within_s=5)
    eventually(lambda: rejected(victim, "auth_invalid") >= invalid + 5, within_s=5)
    assert transitions(standalone) == before


def test_unsigned_advertisement_in_a_peers_name_is_refused(standalone: Lab, active: Node) -> None:
    way = next(way for way in WAYS if way.name == "group")
    with Capture(standalone.node("node-2").host) as capture:
        genuine = captured(capture, way)[0].data
    stripped = bytearray(genuine[:-28])
    stripped[16:18] = (int.from_bytes(genuine[16:18], "big") - 28).to_bytes(2, "big")
    stripped[24:26] = b"\0\0"
    words = [int.from_bytes(stripped[i : i + 2], "big") for i in range(14, 34, 2)]
    total = sum(words)
    stripped[24:26] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    before, missing = transitions(standalone), rejected(standalone.node("node-2"), "auth_missing")
    inject(standalone, [bytes(stripped)] * 5)
    eventually(
        lambda: rejected(standalone.node("node-2"), "auth_missing") >= missing + 5, within_s=5
    )
    assert transitions(standalone) == before


def test_nothing_can_be_played_back_to_a_replaced_engine(standalone: Lab, active: Node) -> None:
    way = next(way for way in WAYS if way.name == "six")
    victim = standalone.node("node-3")
    with Capture(victim.host) as capture:
        genuine = captured(capture, way, 3)[0]
    engine = victim.processes()["engine"]
    victim.host.exec("kill", "-9", str(engine))
    eventually(lambda: victim.processes().get("engine") not in (None, engine), within_s=5)
    heard = received(victim, way)
    eventually(lambda: received(victim, way) > heard, within_s=10)  # the new one listens
    replayed = rejected(victim, "auth_replayed")
    inject(standalone, [genuine.data] * 3)
    eventually(lambda: rejected(victim, "auth_replayed") >= replayed + 3, within_s=5)


def test_key_rotation_moves_nothing_and_rejects_nothing(standalone: Lab, active: Node) -> None:
    before = transitions(standalone)
    bad = [sum(rejected(n, f"auth_{why}") for why in ("unknown_key", "invalid", "missing"))
           for n in standalone.nodes]  # fmt: skip
    fresh = new_key()
    for node in standalone.nodes:
        node.write_key("cluster.2", fresh)
        eventually(partial(_uses_keys, node, {1, 2}, 1), within_s=15)
    for node in standalone.nodes:
        node.write_key("cluster.active", "2")
        eventually(partial(_uses_keys, node, {1, 2}, 2), within_s=15)
    for node in standalone.nodes:
        node.remove_key("cluster.1")
        eventually(partial(_uses_keys, node, {2}, 2), within_s=15)
    since_ns = time.monotonic_ns()
    with Capture(standalone.node("node-2").host) as capture:
        way = SIGNED[0]
        frame = captured(capture, way)[0]
        assert frame.time_ns > since_ns
        assert frame.data[-27] == 2  # the key id of the trailer
    after = [sum(rejected(n, f"auth_{why}") for why in ("unknown_key", "invalid", "missing"))
             for n in standalone.nodes]  # fmt: skip
    assert after == bad
    assert transitions(standalone) == before


def _uses_keys(node: Node, ids: set[int], active_id: int) -> bool:
    found = program(node)[SIGNED[0].name]
    known = {key["id"] for key in found["authentication"]["keys"]}
    reported = metric(node, "kube_vrrp_authentication_key_id", virtual_ip=SIGNED[0].name)
    return (known, found["authentication"]["active"], reported) == (ids, active_id, active_id)


def test_program_with_keys_is_nobody_elses_to_read(standalone: Lab, active: Node) -> None:
    mode = (active.run_dir / "program.json").stat().st_mode
    assert mode & 0o077 == 0
