"""What leaves: one copy for each peer, checksum form by who it is for, a signature each time."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP
from scapy.layers.vrrp import VRRPv3
from scapy.utils import checksum
from tests.unit.engine.programs import address, packed, router_program

from vrrp.authentication import (
    TRAILER_LENGTH,
    HmacKeys,
    Mode,
    SignatureClock,
    SimplePassword,
    Stage,
    verify,
)
from vrrp.constants import Family
from vrrp.packet import ChecksumForm
from vrrp_speaker.engine.programs.program import Peer
from vrrp_speaker.engine.wire.encoder import Encoder

KEYS = HmacKeys({1: b"k" * 32}, 1, Mode.ENFORCE)
WALL_NS = 1_700_000_000 * 10**9


NODE, OUTSIDE = Peer("node-2", packed("192.0.2.12")), Peer("x", packed("192.0.2.2"), external=True)


def encode(encoder: Encoder, priority: int = 200) -> dict[str, bytes]:
    return dict(encoder.encode(priority, SignatureClock(), 1, WALL_NS))


def form(message: bytes, destination: str) -> str:
    """Say which checksum it is, by scapy's arithmetic."""
    if checksum(message) == 0:
        return "message"
    header = packed("192.0.2.11") + packed(destination) + bytes((0, 112, 0, len(message)))
    return "pseudo-header" if checksum(header + message) == 0 else "wrong"


def test_only_addresses_of_the_family_are_listed() -> None:
    (message,) = encode(Encoder(router_program(NODE))).values()
    assert message[:6] == bytes((0x31, 51, 200, 1, 0, 20))
    assert message[8:] == packed("192.0.2.50")


def test_no_peers_is_alone_and_not_the_group() -> None:
    assert encode(Encoder(router_program())) == {}


def test_multicast_is_one_copy_to_the_group() -> None:
    copies = encode(Encoder(router_program(NODE, OUTSIDE, multicast=True)))
    assert {to: form(message, to) for to, message in copies.items()} == {
        "224.0.0.18": "pseudo-header"
    }


@pytest.mark.parametrize(
    ("setting", "to_node", "to_outside"),
    [
        ("Auto", "message", "pseudo-header"),
        ("MessageOnly", "message", "message"),
        ("PseudoHeader", "pseudo-header", "pseudo-header"),
    ],
)
def test_checksum_form_is_by_setting_and_receiver(
    setting: str, to_node: str, to_outside: str
) -> None:
    copies = encode(Encoder(router_program(NODE, OUTSIDE, checksum=setting)))
    assert form(copies["192.0.2.12"], "192.0.2.12") == to_node
    assert form(copies["192.0.2.2"], "192.0.2.2") == to_outside


def test_auto_follows_the_form_a_peer_sends_and_a_fixed_one_does_not() -> None:
    following, fixed = (
        Encoder(router_program(NODE, OUTSIDE, checksum=setting))
        for setting in ("Auto", "PseudoHeader")
    )
    for encoder in (following, fixed):
        encode(encoder)
        encoder.heard(OUTSIDE.address, ChecksumForm.MESSAGE_ONLY)
        encoder.heard(NODE.address, ChecksumForm.PSEUDO_HEADER)
    copies = encode(following)
    assert form(copies["192.0.2.2"], "192.0.2.2") == "message"
    assert form(copies["192.0.2.12"], "192.0.2.12") == "pseudo-header"
    assert form(encode(fixed)["192.0.2.2"], "192.0.2.2") == "pseudo-header"


def test_version_2_carries_the_password() -> None:
    v2 = router_program(
        NODE, version=2, adver_interval_ns=10**9, authentication=SimplePassword(b"secret")
    )
    (message,) = encode(Encoder(v2), priority=0).values()
    assert message[:6] == bytes((0x21, 51, 0, 1, 1, 1))
    assert message[-8:] == b"secret\0\0"
    assert checksum(message) == 0


def test_each_signature_is_new_and_goes_to_all_peers_alike() -> None:
    other = Peer("node-3", packed("192.0.2.13"))
    encoder, clock = Encoder(router_program(NODE, other, authentication=KEYS)), SignatureClock()
    sequences = []
    for _ in range(3):
        copies = [message for _, message in encoder.encode(200, clock, 1, WALL_NS)]
        assert len({message[-28:] for message in copies}) == 1
        sequence, wrong = verify(KEYS, copies[0][:-28], packed("192.0.2.11"), copies[0][-28:])
        assert wrong is None
        assert form(copies[0][:-28], "192.0.2.12") == "message"
        sequences.append(sequence)
    assert sequences == sorted(set(sequences))


def test_receive_only_does_not_sign() -> None:
    keys = HmacKeys(KEYS.keys, 1, Mode.RECEIVE_ONLY)
    (message,) = encode(Encoder(router_program(NODE, authentication=keys))).values()
    assert len(message) == 12


def test_ipv6_checksum_covers_the_trailer() -> None:
    v6 = router_program(
        Peer("node-2", packed("2001:db8::12")),
        family=Family.IPV6,
        source=packed("2001:db8::11"),
        authentication=KEYS,
    )
    (message,) = encode(Encoder(v6)).values()
    assert message[8:24] == packed("2001:db8::50")
    header = (
        packed("2001:db8::11")
        + packed("2001:db8::12")
        + len(message).to_bytes(4, "big")
        + bytes((0, 0, 0, 112))
    )
    assert len(message) == 8 + 16 + 28
    assert checksum(header + message) == 0


def test_link_local_address_is_listed_first() -> None:
    addresses = (address("2001:db8::50"), address("fe80::50"))
    v6 = router_program(
        Peer("node-2", packed("2001:db8::12")),
        family=Family.IPV6,
        source=packed("2001:db8::11"),
        addresses=addresses,
    )
    (message,) = encode(Encoder(v6)).values()
    assert message[8:24] == packed("fe80::50")


def test_scapy_is_a_second_opinion() -> None:
    (message,) = encode(Encoder(router_program(NODE, checksum="PseudoHeader"))).values()
    packet = IP(src="192.0.2.11", dst="192.0.2.12", ttl=255, proto=112) / message
    seen = IP(bytes(packet))[VRRPv3]
    assert (seen.version, seen.vrid, seen.priority, seen.adv, seen.addrlist) == (
        3,
        51,
        200,
        20,
        ["192.0.2.50"],
    )


@pytest.mark.parametrize(
    ("setting", "to_outside"), [("Auto", "message"), ("PseudoHeader", "pseudo-header")]
)
def test_another_program_keeps_the_form_that_a_peer_was_heard_to_send(
    setting: str, to_outside: str
) -> None:
    encoder = Encoder(router_program(NODE, OUTSIDE))
    encoder.heard(OUTSIDE.address, ChecksumForm.MESSAGE_ONLY)
    heir = encoder.follow(router_program(OUTSIDE, base_priority=190, checksum=setting))
    assert {to: form(message, to) for to, message in encode(heir).items()} == {
        "192.0.2.2": to_outside
    }


@pytest.mark.parametrize("six", [False, True])
def test_while_a_key_is_taken_away_all_is_said_with_both(six: bool) -> None:
    """Whoever knows one of the two hears each advertisement, and later than the one before."""
    shared, own = {1: b"k" * 32}, {1: b"o" * 32}
    twice = HmacKeys(shared, 1, Mode.ENFORCE, stage=Stage.BOTH, election_keys=own)
    source, peer = ("2001:db8::11", "2001:db8::12") if six else ("192.0.2.11", "192.0.2.12")
    fields = {"family": Family.IPV6, "addresses": (address("2001:db8::50"),)} if six else {}
    program = router_program(
        Peer("node-2", packed(peer)), source=packed(source), authentication=twice, **fields
    )
    clock, encoder = SignatureClock(), Encoder(program)
    heard: dict[str, list[int]] = {"own": [], "shared": []}
    for turn in (1, 2):
        copies = encoder.encode(200, clock, turn * 10**9, WALL_NS + turn * 10**9)
        assert [to for to, _ in copies] == [peer, peer]
        for _, copy in copies:
            message, trailer = copy[:-TRAILER_LENGTH], copy[-TRAILER_LENGTH:]
            for name, keys in (("own", own), ("shared", shared)):
                known = HmacKeys(keys, 1, Mode.ENFORCE)
                sequence, wrong = verify(known, message, packed(source), trailer)
                heard[name] += [sequence] * (wrong is None)
    (first, third), (second, fourth) = heard["own"], heard["shared"]
    assert first < second < third < fourth
