"""Arbitrary bytes against decoder, ladder and states: what must hold, whatever arrives.

An input is one byte that chooses a route (who sends to whom), one byte of flags, and a message. The
flags repair the checksum or the signature, so that a fuzzer gets past them; both are computed by
the tests' own arithmetic. Two more leave no room for members beyond the list, and no attempts.
Fuzzers call ``check``; so does ``test_corpus`` with every kept input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.unit.vrrp.wire import GROUP4, GROUP6, KEY, packed, sealed, trailer

from vrrp.actions import BindAddresses, UnbindAddresses
from vrrp.authentication import HmacKeys, Mode, ReplayMarks, SimplePassword, Stage
from vrrp.constants import Family, RejectReason
from vrrp.events import AdvertisementReceived
from vrrp.members import MAX_LEARNED, LearnedMembers
from vrrp.observations import observe
from vrrp.packet import decode_message, encode_message
from vrrp.states import Active, Backup, Fault, Initialize, Parameters, RouterState
from vrrp.validation import Accepted, Datagram, Election, Elections, ipv4_datagram
from vrrp.virtual_router import VirtualRouter

REPAIR_CHECKSUM, REPAIR_SIGNATURE, PERMISSIVE, CROWDED, EXHAUSTED = 1, 2, 4, 8, 16
IFINDEX = 7
TRAILER = 28
WALL_NS = 0x6B042785 * 1_000_000_000
"""Within seconds of the recorded signatures."""

PEER, US, STRANGER = packed("10.80.0.1"), packed("10.80.0.2"), packed("10.80.0.9")
PEER6, US6 = packed("fd80::1"), packed("fd80::2")
LINK_PEER, LINK_US = packed("fe80::80:1"), packed("fe80::80:2")


@dataclass(frozen=True)
class Route:
    """Who sends to whom, with which TTL; ``whole`` inputs begin with the IPv4 header."""

    source: bytes
    destination: bytes
    ttl: int = 255
    whole: bool = False

    @property
    def family(self) -> Family:
        return Family.IPV4 if len(self.source) == 4 else Family.IPV6


ROUTES = (
    Route(PEER, US),
    Route(PEER, GROUP4),
    Route(PEER6, US6),
    Route(LINK_PEER, GROUP6),
    Route(LINK_PEER, LINK_US, ttl=64),
    Route(STRANGER, US),
    Route(STRANGER, GROUP4),
    Route(PEER, US, whole=True),
)


def _elections(mode: Mode) -> tuple[Election, ...]:
    """Return elections with the VRIDs of recorded advertisements of each kind."""
    keys = HmacKeys({1: KEY}, 1, mode)
    v3 = Election(3, Family.IPV4, 0x1D, US, frozenset({PEER}), 100, frozenset())
    v6 = replace(v3, family=Family.IPV6, source=US6, peers=frozenset({PEER6}))
    password = SimplePassword(b"secret12")
    own = HmacKeys({1: bytes(32)}, 1, Mode.ENFORCE, stage=Stage.SIGN, election_keys={1: KEY})
    return tuple(
        replace(
            election,
            marks=ReplayMarks({PEER: 5 << 32}),
            learned=LearnedMembers() if election.authentication is own else None,
        )
        for election in (
            v3,
            replace(v3, vrid=0x16, group_ifindex=IFINDEX),
            replace(v3, vrid=0x2E, authentication=keys),
            replace(v3, version=2, vrid=0x0B, group_ifindex=IFINDEX),
            replace(v3, version=2, vrid=0x0C, group_ifindex=IFINDEX, authentication=password),
            replace(v3, version=2, vrid=0x36, authentication=keys),
            replace(v6, vrid=0x3C),
            replace(v6, vrid=0x26, source=LINK_US, group_ifindex=IFINDEX),
            replace(v6, vrid=0x29, source=LINK_US, peers=frozenset({LINK_PEER}), ttl_minimum=64),
            replace(v6, vrid=0x38, authentication=keys),
            replace(v3, vrid=0x40, authentication=own),
        )
    )


SECOND = 1_000_000_000
NOW_NS, SOON_NS = 600 * SECOND, 601 * SECOND
STATES: tuple[RouterState, ...] = (
    Initialize(),
    Initialize(SOON_NS),
    Backup(SECOND, SOON_NS),
    Backup(SECOND, SOON_NS, preempt_at_ns=SOON_NS, held_until_ns=SOON_NS),
    Active(SOON_NS),
    Active(SOON_NS, loser_answered_ns=NOW_NS, release_answered_ns=NOW_NS),
    Fault(),
    Fault(SOON_NS),
)

ELECTIONS = {mode: Elections(_elections(mode)) for mode in (Mode.ENFORCE, Mode.PERMISSIVE)}
_FIRST_MARKS = {PEER: 5 << 32}
_CROWD = {bytes((198, 51, 100, number)): NOW_NS for number in range(MAX_LEARNED)}


def datagram(data: bytes) -> tuple[Elections, Datagram | None]:
    """Return what an input stands for: the elections it meets and what arrives."""
    choice, flags = (*data[:2], 0, 0)[:2]
    route, message = ROUTES[choice % len(ROUTES)], data[2:]
    elections = ELECTIONS[Mode.PERMISSIVE if flags & PERMISSIVE else Mode.ENFORCE]
    if route.whole:
        return elections, ipv4_datagram(message, IFINDEX)
    message = _repaired(message, route, flags)
    source, destination = route.source, route.destination
    return elections, Datagram(route.family, source, destination, route.ttl, IFINDEX, message)


def _repaired(message: bytes, route: Route, flags: int) -> bytes:
    signed = flags & REPAIR_SIGNATURE and len(message) >= 8 + TRAILER
    body, end = (message[:-TRAILER], message[-TRAILER:]) if signed else (message, b"")
    if signed:
        end = trailer(body, route.source, int.from_bytes(end[4:12], "big"))
    if flags & REPAIR_CHECKSUM and len(body) >= 8:
        return sealed(body, route.source, route.destination, end)
    return body + end


def check(data: bytes) -> Accepted | RejectReason | None:
    """Climb the ladder with an input and return the outcome; raise where a promise is broken."""
    elections, arrived = datagram(data)
    flags = data[1] if len(data) > 1 else 0
    known = _CROWD if flags & CROWDED else {}
    elections.attempts.spent_ns = SOON_NS if flags & EXHAUSTED else 0
    for election in elections.by_id.values():
        election.marks.marks.clear()
        election.marks.marks.update(_FIRST_MARKS)
        if election.learned is not None:
            election.learned.known_ns = dict(known)
    if arrived is None:
        return None
    result = elections.validate(arrived, WALL_NS, NOW_NS)
    for election in elections.by_id.values():
        learned = election.learned.known_ns if election.learned is not None else known
        _check_learned(learned, known, result)
    changed = [e for e in elections.by_id.values() if e.marks.marks != _FIRST_MARKS]
    if isinstance(result, Accepted):
        _check_accepted(elections, arrived, result, changed)
    else:
        assert isinstance(result, RejectReason)
        assert not changed, "a rejected datagram moved a mark"
    return result


def _check_learned(
    learned: dict[bytes, int], before: dict[bytes, int], result: Accepted | RejectReason
) -> None:
    if isinstance(result, RejectReason):
        assert learned == before, "a rejected datagram taught something"
    assert len(learned) <= MAX_LEARNED


def _check_accepted(
    elections: Elections, arrived: Datagram, accepted: Accepted, changed: list[Election]
) -> None:
    heard = accepted.advertisement
    election = elections.by_id[accepted.family, heard.vrid]
    assert changed == ([election] if accepted.sequence is not None else [])
    learned = election.learned.known_ns if election.learned is not None else {}
    assert arrived.source in {*election.peers, *learned} or election.group_ifindex
    assert arrived.source != election.source
    assert heard.version == election.version
    assert heard.addresses
    assert heard.interval_cs > 0
    assert observe(accepted, election, 100)
    keys = election.authentication
    if isinstance(keys, HmacKeys) and keys.mode is Mode.ENFORCE:
        assert accepted.sequence is not None
    again = decode_message(encode_message(heard), accepted.family)
    assert sorted(again.addresses) == sorted(heard.addresses)
    assert replace(again, addresses=heard.addresses) == heard
    for state in STATES:
        _check_state(state, election, accepted)


def _check_state(state: RouterState, election: Election, accepted: Accepted) -> None:
    """An advertisement moves no address at once, and leaves no deadline out or in the past."""
    heard = accepted.advertisement
    mine = Parameters(election.version, 100, SECOND, 3, True, 0, election.source)
    router = VirtualRouter(mine, detail=state)
    held = router.holding
    event = AdvertisementReceived(accepted.source, heard.priority, heard.interval_cs)
    actions = router.handle(event, NOW_NS)
    assert not any(isinstance(action, BindAddresses | UnbindAddresses) for action in actions)
    assert router.holding is held
    deadline_ns = router.next_deadline_ns()
    assert (deadline_ns is None) is (state in (Initialize(), Fault()))
    assert deadline_ns is None or deadline_ns > NOW_NS
