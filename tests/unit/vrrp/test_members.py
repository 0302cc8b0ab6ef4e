"""Elections that know their members by signature: who counts, and what that may cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.vrrp.settings import (
    IFINDEX,
    ME,
    ME6,
    OTHER_PEER,
    PEER,
    PEER6,
    STRANGER,
    STRANGER6,
    VIP,
    VIP6,
    VRID,
    WALL_NS,
    WALL_S,
)
from tests.unit.vrrp.wire import (
    GROUP4,
    KEY,
    compose,
    hmac_sha256,
    packed,
    sealed,
    stamp,
    trailer,
    with_checksum,
)

from vrrp.authentication import HmacKeys, Mode, ReplayMarks, Stage, election_key, sign, verify
from vrrp.constants import NS_PER_SECOND, Family, RejectReason
from vrrp.foreign import foreign_advertisement
from vrrp.members import (
    ATTEMPTS_AT_ONCE,
    ATTEMPTS_PER_SECOND,
    CROWDED_OUT_NS,
    LEARNED_FOR_NS,
    MAX_LEARNED,
    Allowance,
    LearnedMembers,
)
from vrrp.validation import Accepted, Datagram, Election, Elections

SECOND, NOW = NS_PER_SECOND, 10**12
SHARED = bytes(range(100, 132))
OWN = hmac_sha256(SHARED, b"kube-vrrp.io/election\0ingress")
OTHER = hmac_sha256(SHARED, b"kube-vrrp.io/election\0other")
STAGES = pytest.mark.parametrize("stage", Stage)


def keys(stage: Stage = Stage.REQUIRE) -> HmacKeys:
    return HmacKeys({1: SHARED}, 1, Mode.ENFORCE, stage=stage, election_keys={1: OWN})


def election(stage: Stage = Stage.REQUIRE, family: Family = Family.IPV4) -> Election:
    """Return an open election that lists one peer and has heard nobody."""
    four = family is Family.IPV4
    return Election(
        3,
        family,
        VRID,
        ME if four else ME6,
        frozenset({PEER if four else PEER6}),
        100,
        frozenset({VIP if four else VIP6}),
        authentication=keys(stage),
        marks=ReplayMarks(),
        learned=LearnedMembers(),
    )


def said(
    source: bytes = STRANGER,
    *,
    key: bytes | None = OWN,
    key_id: int = 1,
    vrid: int = VRID,
    at: int = stamp(WALL_S),
    ttl: int = 255,
    to: bytes | None = None,
) -> Datagram:
    """Return a signed advertisement from somebody; one without a key is not signed."""
    family = Family.IPV4 if len(source) == 4 else Family.IPV6
    four = family is Family.IPV4
    message = compose(vrid=vrid, addresses=(VIP if four else VIP6,))
    to = to or (ME if four else ME6)
    end = trailer(message, source, at, key=key, key_id=key_id) if key is not None else b""
    return Datagram(family, source, to, ttl, IFINDEX, sealed(message, source, to, end))


def judge(
    of: Election, datagram: Datagram, now_ns: int = NOW, attempts: Allowance | None = None
) -> Accepted | RejectReason:
    return Elections([of], attempts).validate(datagram, WALL_NS, now_ns)


# The key ---------------------------------------------------------------------------------


def test_key_of_an_election_is_derived_from_the_label_and_its_name() -> None:
    assert election_key(SHARED, "ingress") == OWN
    assert len(OWN) == 32
    assert election_key(SHARED, "other") == OTHER != OWN


@pytest.mark.parametrize(
    ("stage", "signs"),
    [(Stage.ACCEPT, SHARED), (Stage.BOTH, OWN), (Stage.SIGN, OWN), (Stage.REQUIRE, OWN)],
)
def test_stage_decides_which_key_signs(stage: Stage, signs: bytes) -> None:
    message = compose()
    assert sign(keys(stage), message, ME, stamp(5)) == trailer(message, ME, stamp(5), key=signs)
    shared = trailer(message, ME, stamp(6), key=SHARED)
    assert sign(keys(stage), message, ME, stamp(6), shared=True) == shared


@STAGES
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("key", [SHARED, OWN, OTHER])
def test_stage_decides_which_key_is_believed_of_whom(
    stage: Stage, listed: bool, key: bytes
) -> None:
    message = compose()
    end = trailer(message, PEER, stamp(5), key=key)
    _, wrong = verify(keys(stage), message, PEER, end, listed=listed)
    believed = key == OWN or (key == SHARED and listed and stage is not Stage.REQUIRE)
    assert wrong is (None if believed else RejectReason.AUTH_INVALID)


@pytest.mark.parametrize("before", [None, *Stage])
def test_stages_beside_each_other_always_understand_each_other(before: Stage | None) -> None:
    """A roll-out of each step: whoever was told talks with whoever was not."""
    order = [None, *Stage]
    after = order[min(len(order) - 1, order.index(before) + 1)]
    message = compose()
    both = [
        HmacKeys({1: SHARED}, 1, Mode.ENFORCE) if stage is None else keys(stage)
        for stage in (before, after)
    ]
    for sender in both:
        for receiver in both:
            end = sign(sender, message, PEER, stamp(5))
            assert verify(receiver, message, PEER, end)[1] is None


# Who counts ------------------------------------------------------------------------------


@STAGES
@pytest.mark.parametrize(("source", "peer"), [(STRANGER, PEER), (STRANGER6, PEER6)])
def test_whoever_signs_with_the_elections_key_counts_and_is_learned(
    stage: Stage, source: bytes, peer: bytes
) -> None:
    mine = election(stage, Family.IPV4 if len(source) == 4 else Family.IPV6)
    for sender in (source, peer):
        result = judge(mine, said(sender))
        assert isinstance(result, Accepted)
        assert (result.source, result.sequence) == (sender, stamp(WALL_S))
        assert result.event.priority == 100
    assert mine.learned is not None
    assert mine.learned.known_ns == {source: NOW}
    assert mine.marks.marks == {source: stamp(WALL_S), peer: stamp(WALL_S)}


OTHERS_ADDRESS = packed("192.0.2.77")
REFUSED: dict[str, tuple[Datagram, RejectReason]] = {
    "forged": (said(key=bytes(32)), RejectReason.AUTH_INVALID),
    "shared key": (said(key=SHARED), RejectReason.AUTH_INVALID),
    "of another election": (said(key=OTHER), RejectReason.AUTH_INVALID),
    "of another cluster": (
        said(key=hmac_sha256(KEY, b"kube-vrrp.io/election\0ingress")),
        RejectReason.AUTH_INVALID,
    ),
    "unknown id": (said(key_id=9), RejectReason.AUTH_UNKNOWN_KEY),
    "old": (said(at=stamp(WALL_S - 31)), RejectReason.AUTH_STALE),
    "not signed": (said(key=None), RejectReason.UNKNOWN_SOURCE),
    "other id": (said(vrid=VRID + 1), RejectReason.UNKNOWN_SOURCE),
    "routed": (said(ttl=254), RejectReason.TTL),
    "to the group": (said(to=GROUP4), RejectReason.UNKNOWN_SOURCE),
    "to another host": (said(to=OTHERS_ADDRESS), RejectReason.UNKNOWN_SOURCE),
    "from ourselves": (said(ME), RejectReason.UNKNOWN_SOURCE),
    "from a virtual address": (said(VIP), RejectReason.UNKNOWN_SOURCE),
    "cut off": (said()._replace(message=said().message[:-1]), RejectReason.UNKNOWN_SOURCE),
    "too short": (said()._replace(message=b"\x31\x33"), RejectReason.UNKNOWN_SOURCE),
    "nothing": (said()._replace(message=b""), RejectReason.UNKNOWN_SOURCE),
    "version 2": (
        said()._replace(message=b"\x21" + said().message[1:]),
        RejectReason.UNKNOWN_SOURCE,
    ),
    "checksum": (
        said()._replace(
            message=with_checksum(said().message[:-28], b"\1\0") + said().message[-28:]
        ),
        RejectReason.CHECKSUM,
    ),
}


@pytest.mark.parametrize(("datagram", "reason"), REFUSED.values(), ids=REFUSED)
def test_whoever_does_not_prove_it_is_nobody(datagram: Datagram, reason: RejectReason) -> None:
    mine = election()
    assert judge(mine, datagram) is reason
    assert mine.learned == LearnedMembers()
    assert mine.marks == ReplayMarks()


def test_what_a_member_said_cannot_be_played_again() -> None:
    mine = election()
    first = said()
    assert isinstance(judge(mine, first), Accepted)
    assert judge(mine, first) is RejectReason.AUTH_REPLAYED
    # Nor once it was forgotten as a member: its mark outlives that.
    mine.learned.known_ns.clear()  # type: ignore[union-attr]  # it is open
    assert judge(mine, first) is RejectReason.AUTH_REPLAYED
    assert mine.learned == LearnedMembers()


def test_member_with_two_addresses_is_one() -> None:
    """What it says by the second one has the sequence that the first one had."""
    mine = election()
    assert isinstance(judge(mine, said(PEER)), Accepted)
    assert judge(mine, said(STRANGER)) is RejectReason.AUTH_REPLAYED
    assert mine.learned == LearnedMembers()
    assert list(mine.marks.marks) == [PEER]


def test_peer_of_another_election_proves_itself_as_a_stranger_does() -> None:
    mine = election()
    closed = replace(mine, vrid=VRID + 1, peers=frozenset({OTHER_PEER}), learned=None)
    elections = Elections([mine, closed])
    forged = said(OTHER_PEER, key=SHARED)
    assert elections.validate(forged, WALL_NS, NOW) is RejectReason.AUTH_INVALID
    assert isinstance(elections.validate(said(OTHER_PEER), WALL_NS, NOW), Accepted)
    assert mine.learned is not None
    assert list(mine.learned.known_ns) == [OTHER_PEER]


def test_closed_list_stays_closed_with_the_key_of_the_election() -> None:
    """As in mode Multicast, where the list says nothing, and unicast is not listened to."""
    closed = replace(election(), learned=None)
    assert judge(closed, said()) is RejectReason.UNKNOWN_SOURCE
    assert isinstance(judge(closed, said(PEER)), Accepted)
    group = replace(closed, group_ifindex=IFINDEX, peers=frozenset())
    assert judge(group, said(to=GROUP4, key=OTHER)) is RejectReason.AUTH_INVALID
    assert isinstance(judge(group, said(to=GROUP4)), Accepted)


def test_learned_member_is_no_foreign_router() -> None:
    mine = election()
    assert foreign_advertisement(said(), mine) is not None
    assert isinstance(judge(mine, said()), Accepted)
    assert foreign_advertisement(said(), mine) is None


# Bounds ----------------------------------------------------------------------------------


def addresses(count: int) -> list[bytes]:
    return [bytes((198, 51, number >> 8, number & 255)) for number in range(1, count + 1)]


def test_ten_thousand_senders_in_a_second_teach_nothing_and_cost_little() -> None:
    mine, attempts = election(), Allowance()
    elections = Elections([mine], attempts)
    forged = [said(source, key=bytes(32)) for source in addresses(10_000)]
    found = [
        elections.validate(datagram, WALL_NS, NOW + number * SECOND // 10_000)
        for number, datagram in enumerate(forged)
    ]
    verified = found.count(RejectReason.AUTH_INVALID)
    assert verified <= ATTEMPTS_PER_SECOND + ATTEMPTS_AT_ONCE
    assert verified >= ATTEMPTS_PER_SECOND
    assert found.count(RejectReason.UNVERIFIED) == len(forged) - verified
    assert mine.learned == LearnedMembers()
    # Listed and learned members do not wait, whatever strangers use up.
    mine.learned.known_ns[OTHER_PEER] = NOW
    for member in (PEER, OTHER_PEER):
        assert isinstance(elections.validate(said(member), WALL_NS, NOW + SECOND), Accepted)


def had(attempts: Allowance, now_ns: int) -> int:
    """Spend all attempts that there are at a moment; return how many that were."""
    count = 0
    while attempts.left(now_ns):
        attempts.take(now_ns)
        count += 1
    return count


def test_allowance_saves_up_so_much_and_no_more() -> None:
    attempts = Allowance()
    for at_ns in (NOW, NOW + 3600 * SECOND):
        assert had(attempts, at_ns) == ATTEMPTS_AT_ONCE
        assert had(attempts, at_ns + SECOND // ATTEMPTS_PER_SECOND - 1) == 0
        assert had(attempts, at_ns + SECOND // ATTEMPTS_PER_SECOND) == 1


def test_members_beyond_the_bound_are_refused_unread() -> None:
    mine, attempts = election(), Allowance()
    elections = Elections([mine], attempts)
    for source in addresses(MAX_LEARNED):
        at = stamp(WALL_S, int.from_bytes(source[2:], "big"))
        assert isinstance(elections.validate(said(source, at=at), WALL_NS, NOW), Accepted)
    spent_ns = attempts.spent_ns
    assert elections.validate(said(), WALL_NS, NOW) is RejectReason.TOO_MANY_MEMBERS
    late_ns = NOW + CROWDED_OUT_NS - 1
    assert elections.validate(said(), WALL_NS, late_ns) is RejectReason.TOO_MANY_MEMBERS
    assert attempts.spent_ns == spent_ns
    # Whoever was silent for longer than others makes room.
    again = said(addresses(1)[0], at=stamp(WALL_S + 1))
    assert isinstance(elections.validate(again, WALL_NS, late_ns), Accepted)
    assert isinstance(elections.validate(said(), WALL_NS, late_ns + 1), Accepted)
    first, second, *rest = addresses(MAX_LEARNED)
    assert mine.learned is not None
    assert set(mine.learned.known_ns) == {first, *rest, STRANGER}
    assert second not in mine.learned.known_ns


def test_members_are_forgotten_when_they_were_silent_for_an_hour() -> None:
    members = LearnedMembers({PEER: NOW, STRANGER: NOW + 1})
    assert not members.forget_silent(NOW + LEARNED_FOR_NS - 1)
    assert members.forget_silent(NOW + LEARNED_FOR_NS)
    assert members.known_ns == {STRANGER: NOW + 1}
    assert LEARNED_FOR_NS == 3600 * SECOND


def test_members_that_the_list_drops_are_kept_as_far_as_there_is_room() -> None:
    members = LearnedMembers({STRANGER: NOW - 5})
    members.keep(addresses(20), NOW)
    assert members.known_ns == {
        STRANGER: NOW - 5,
        **dict.fromkeys(addresses(MAX_LEARNED - 1), NOW),
    }


# What is said again ----------------------------------------------------------------------

_SENDERS = st.sampled_from([PEER, OTHER_PEER, STRANGER])
_KEYS = st.sampled_from([OWN, OWN, SHARED, OTHER])


def _copy(of: Election) -> Election:
    assert of.learned is not None
    return replace(
        of,
        marks=ReplayMarks(dict(of.marks.marks)),
        learned=LearnedMembers(dict(of.learned.known_ns)),
    )


def _forget(elections: Elections) -> None:
    for each in elections.by_id.values():
        assert each.learned is not None
        each.learned.known_ns.clear()


@given(
    stage=st.sampled_from(list(Stage)),
    heard=st.lists(st.tuples(_SENDERS, _KEYS, st.integers(-1, 4), st.booleans()), max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_whatever_was_said_before_the_judgement_is_that_of_elections_that_heard_nothing(
    stage: Stage, heard: list[tuple[bytes, bytes, int, bool]]
) -> None:
    mine = election(stage)
    elections = Elections([mine])
    for number, (source, key, seconds, forgets) in enumerate(heard):
        datagram = said(source, key=key, at=stamp(WALL_S + seconds, number))
        fresh = _copy(mine)
        expected = judge(fresh, datagram)
        assert elections.validate(datagram, WALL_NS, NOW) == expected
        assert (mine.marks, mine.learned) == (fresh.marks, fresh.learned)
        if forgets:
            _forget(elections)
