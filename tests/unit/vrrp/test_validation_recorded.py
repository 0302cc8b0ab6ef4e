"""What keepalived did with 73 good and spoilt advertisements, and what we do with the same bytes.

Where ours differs, ``DIFFERENT`` says how and why. The moment of receiving is the stamp of the
first signed advertisement less the offset (``dt``) it was given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from tests.unit.vrrp.wire import GROUP4, GROUP6, Row, cover6, packed, rows, with_checksum

from vrrp.authentication import Authentication, HmacKeys, Mode, ReplayMarks
from vrrp.constants import NS_PER_SECOND, Family, RejectReason
from vrrp.validation import Accepted, Datagram, Election, Elections

RECORDED = rows("golden-receive.jsonl")
IFINDEX = 5
RECORDED_ON_S = 0x6B042768
"""The second of the first signed row; where nothing is signed, any moment does."""

Verdict = RejectReason | None

REASONS = (
    ("too long", RejectReason.LENGTH),
    ("Invalid VRRPv3 checksum", RejectReason.CHECKSUM),
    ("invalid TTL/HL", RejectReason.TTL),
    ("interval mismatch mine", RejectReason.INTERVAL_MISMATCH),
    ("interval mismatch with", RejectReason.INTERVAL_MISMATCH),
    ("wrong version", RejectReason.VERSION),
    ("wrong VRRP version", RejectReason.VERSION),
    ("missing authentication trailer", RejectReason.AUTH_MISSING),
    ("malformed authentication trailer", RejectReason.AUTH_MALFORMED),
    ("stale authentication trailer", RejectReason.AUTH_STALE),
    ("unknown authentication key id", RejectReason.AUTH_UNKNOWN_KEY),
    ("invalid authentication HMAC", RejectReason.AUTH_INVALID),
    ("replayed authentication trailer", RejectReason.AUTH_REPLAYED),
    ("not a unicast peer", RejectReason.UNKNOWN_SOURCE),
    ("unexpected ip number count", RejectReason.ADDRESS_COUNT),
)
"""keepalived's log line, and our name for the same thing."""


@dataclass(frozen=True)
class Difference:
    """Our verdict on each datagram of a row, and why it is another than keepalived's."""

    verdicts: tuple[Verdict, ...]
    why: str


_BOTH_FORMS = Difference((None,), "over IPv4 both checksum forms are accepted (RFC 9568, 5798)")
_LIST = Difference((None,), "another address list is observed, never a reason (RFC 9568 §7.1)")
_LENGTH = Difference((RejectReason.LENGTH,), "a message has exactly its length; no padding")
_NO_MONOTONIC = "a first sequence far from our clock is stale: monotonic mode is not offered"

DIFFERENT = {
    "no hmac: message-only checksum": _BOTH_FORMS,
    "good hmac, message-only checksum": _BOTH_FORMS,
    "no hmac: two addresses where one is configured": _LIST,
    "no trailer, 2 bytes of padding, enforce": _LENGTH,
    "no trailer, 2 bytes of padding, permissive": _LENGTH,
    "no addresses where one is configured": Difference(
        (RejectReason.ADDRESS_COUNT,), "count 0 is refused (RFC 9568 erratum 8299)"
    ),
    "no hmac: checksum 0, v3_checksum_as_v2": Difference(
        (RejectReason.CHECKSUM,), "no option switches the checksum off (keepalived's defect D2)"
    ),
    "stamp -7 s and wrong key": Difference(
        (RejectReason.AUTH_INVALID,), "the tag is checked before the time: only a key is believed"
    ),
    "no hmac: multicast advert to a unicast instance": Difference(
        (RejectReason.NOT_FOR_US,), "keepalived drops it without a trace, we count it"
    ),
    "monotonic, sequence 0": Difference((RejectReason.AUTH_STALE,), _NO_MONOTONIC),
    "monotonic, growing": Difference((RejectReason.AUTH_STALE,) * 2, _NO_MONOTONIC),
    "monotonic, equal": Difference((RejectReason.AUTH_STALE,) * 2, _NO_MONOTONIC),
    "monotonic, lower": Difference((RejectReason.AUTH_STALE,) * 2, _NO_MONOTONIC),
}


def label(row: Row) -> str:
    return f"{row['version']}:{row['name']}"


def family(row: Row) -> Family:
    return Family.IPV6 if row["family"] == "ipv6" else Family.IPV4


def theirs(row: Row) -> tuple[Verdict, ...]:
    """Return keepalived's verdict on each datagram: it logs what it drops, in order."""
    dropped = [
        next((reason for text, reason in REASONS if text in line), None) for line in row["log"]
    ]
    count = len(row["sent_hex"])
    if count == 1:
        reasons = [reason for reason in dropped if reason is not None]
        return (reasons[0],) if reasons else (None,)
    meaningful = dropped[:count]
    return tuple(meaningful + [None] * (count - len(meaningful)))


def authentication(instance: str) -> Authentication:
    """Return the keys of keepalived's ``auth_hmac`` block in the row."""
    key = re.search(r"hex:([0-9a-f]+)", instance)
    if key is None:
        return None
    word = re.search(r"mode (\S+)", instance)
    assert word is not None
    modes = {"enforce": Mode.ENFORCE, "permissive": Mode.PERMISSIVE}
    mode = modes.get(word[1], Mode.RECEIVE_ONLY)
    return HmacKeys({1: bytes.fromhex(key[1])}, active=1, mode=mode, window_s=5)


def mirror(row: Row, ttl_minimum: int) -> Election:
    """Return an election configured like the instance that heard the row: 1 s, one address."""
    us, peer = ("fd80::1", "fd80::2") if row["family"] == "ipv6" else ("10.80.0.1", "10.80.0.2")
    sent = bytes.fromhex(row["sent_hex"][0])
    first_address = sent[8 : 8 + family(row).address_length]
    multicast = row["mode"] == "multicast"
    return Election(
        row["vrrp"],
        family(row),
        sent[1],
        packed(us),
        frozenset() if multicast else frozenset({packed(peer)}),
        100,
        frozenset({first_address}),
        IFINDEX if multicast else 0,
        ttl_minimum,
        authentication(row["instance"]),
    )


def datagram(row: Row, sent_hex: str, to_group: bool) -> Datagram:
    """Return what arrived; over IPv6 the sender's kernel filled the checksum in."""
    source, message = packed(row["src"]), bytes.fromhex(sent_hex)
    if family(row) is Family.IPV6:
        destination = GROUP6 if to_group else packed("fd80::1")
        trailer = message[24:]
        covered = cover6(source, destination, len(message)) + trailer
        message = with_checksum(message[:24], covered) + trailer
    else:
        destination = GROUP4 if to_group else packed("10.80.0.1")
    return Datagram(family(row), source, destination, row["ttl"], IFINDEX, message)


def received_ns(row: Row) -> int:
    """Return when the first datagram arrived."""
    first, send = bytes.fromhex(row["sent_hex"][0]), row["sends"][0]
    signed = send.get("trailer", True) and not send.get("swap") and "seq" not in send
    if not signed:
        return RECORDED_ON_S * NS_PER_SECOND
    stamped_s = int.from_bytes(first[-24:-20], "big")
    return (stamped_s - int(send.get("dt", 0))) * NS_PER_SECOND


def ours(row: Row, *, ttl_minimum: int = 255) -> tuple[Verdict, ...]:
    """Climb the ladder with every datagram of the row."""
    elections = Elections([mirror(row, ttl_minimum)])
    to_group = row["mode"] == "multicast" or "multicast advert to" in row["name"]
    found: list[Verdict] = []
    for sent_hex in row["sent_hex"]:
        result = elections.validate(datagram(row, sent_hex, to_group), received_ns(row))
        found.append(None if isinstance(result, Accepted) else result)
    return tuple(found)


@pytest.mark.parametrize("row", RECORDED, ids=label)
def test_validate_recorded_case_gives_keepalived_s_verdict_or_a_named_difference(row: Row) -> None:
    different = DIFFERENT.get(row["name"])
    found = ours(row, ttl_minimum=min(row["ttl"], 64) if row["family"] == "ipv6" else 255)
    if different is None:
        assert found == theirs(row)
        assert (None in found) is (row["verdict"] == "accepted")
    else:
        assert found == different.verdicts, different.why


def test_every_named_difference_is_one() -> None:
    names = {row["name"] for row in RECORDED}
    assert DIFFERENT.keys() <= names
    for name, difference in DIFFERENT.items():
        same_name = [row for row in RECORDED if row["name"] == name]
        assert any(theirs(row) != difference.verdicts for row in same_name), name


@pytest.mark.parametrize("row", [row for row in RECORDED if row["ttl"] == 64], ids=label)
def test_validate_hop_limit_64_is_refused_unless_the_election_accepts_it(row: Row) -> None:
    """keepalived's IPv6 unicast leaves with 64; a peer that sends so needs its own minimum."""
    assert theirs(row) == (None,)
    assert ours(row) == ours(row, ttl_minimum=65) == (RejectReason.TTL,)
    assert ours(row, ttl_minimum=64) == (None,)


def test_validate_recorded_sequence_later_than_the_mark_is_accepted_whatever_the_clock() -> None:
    """keepalived calls +7 s stale in a window of 5; a sender we know is believed."""
    by_name = {row["name"]: row for row in RECORDED if row["version"] == "2.4.3"}
    ahead = by_name["stamp +7 s, window 5"]
    assert theirs(ahead) == (RejectReason.AUTH_STALE,)
    marks = ReplayMarks({packed(ahead["src"]): RECORDED_ON_S << 32})
    known = replace(mirror(ahead, 255), marks=marks)
    heard = datagram(ahead, ahead["sent_hex"][0], to_group=False)
    assert isinstance(Elections([known]).validate(heard, received_ns(ahead)), Accepted)
