"""What an advertisement adds to the counters, the first time and each time it is said again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.engine.programs import address, packed, router_program

from vrrp.authentication import SignatureClock
from vrrp.constants import Family
from vrrp.observations import Observation
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    checksum_cover,
    encode_message,
    seal_message,
)
from vrrp.validation import Accepted, Datagram
from vrrp_speaker.engine.programs.program import Peer
from vrrp_speaker.engine.routers.hearing import Hearing
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

NOW, VRID = 10**12, 51
ME, ONE, TWO = (packed(f"192.0.2.{n}") for n in (11, 12, 13))
PEERS = (Peer("node-2", ONE), Peer("node-3", TWO))


@pytest.fixture
def shared(tmp_path: Path) -> SharedState:
    return SharedState.create(str(tmp_path / "state.shm"))


@pytest.fixture
def router() -> RunningRouter:
    program = router_program(*PEERS, addresses=(address("192.0.2.50"),), base_priority=100)
    return new_router(program, input_faults=False, priority=100)


@pytest.fixture
def hearing(shared: SharedState, router: RunningRouter) -> Hearing:
    made = Hearing(shared)
    made.follow([router])
    return made


def say(
    hearing: Hearing,
    source: bytes,
    *,
    priority: int = 150,
    form: ChecksumForm = ChecksumForm.MESSAGE_ONLY,
    to: bytes = ME,
    at_ns: int = NOW,
) -> RunningRouter:
    """Let a peer's advertisement come in."""
    message = encode_message(Advertisement(3, VRID, priority, 20, (packed("192.0.2.50"),)))
    sent = seal_message(message, checksum_cover(form, source, to, len(message), b""))
    accepted = hearing.elections.validate(Datagram(Family.IPV4, source, to, 255, 2, sent), NOW)
    assert isinstance(accepted, Accepted)
    return hearing.note(accepted, at_ns)


def observed(shared: SharedState, what: Observation) -> int:
    """Return how often something odd was counted."""
    return shared.get(shm.H_OBSERVED + 8 * shm.OBSERVATIONS.index(what))


def counters(shared: SharedState, index: int) -> tuple[int, int]:
    """Return how many advertisements of a peer were counted, and when the last one came."""
    place = shm.peer_offset(0, index)
    return shared.get(place + shm.PEER_RECEIVED), shared.get(place + shm.PEER_LAST)


def test_each_advertisement_is_counted_for_its_sender(
    hearing: Hearing, shared: SharedState, router: RunningRouter
) -> None:
    for source, at_ns in ((ONE, NOW), (ONE, NOW + 1), (TWO, NOW + 2), (ONE, NOW + 3)):
        assert say(hearing, source, at_ns=at_ns) is router
    assert counters(shared, 0) == (3, NOW + 3)
    assert counters(shared, 1) == (1, NOW + 2)
    assert observed(shared, Observation.CHECKSUM_MESSAGE_ONLY) == 4


def test_what_is_odd_about_it_is_judged_by_our_present_priority(
    hearing: Hearing, shared: SharedState, router: RunningRouter
) -> None:
    for _ in range(3):
        say(hearing, ONE, priority=150)
    assert observed(shared, Observation.EQUAL_PRIORITY) == 0
    program = router_program(*PEERS, base_priority=150)
    router.machine = new_router(program, input_faults=False, priority=150).machine
    for _ in range(2):
        say(hearing, ONE, priority=150)
    assert observed(shared, Observation.EQUAL_PRIORITY) == 2


def test_counters_follow_a_router_to_another_slot(
    hearing: Hearing, shared: SharedState, router: RunningRouter
) -> None:
    say(hearing, ONE)
    router.program = router_program(*PEERS, slot=7)
    hearing.follow([router])
    say(hearing, ONE)
    assert shared.get(shm.peer_offset(7, 0) + shm.PEER_RECEIVED) == 1
    assert counters(shared, 0)[0] == 1


def test_in_multicast_the_checksum_form_is_that_of_whoever_speaks(hearing: Hearing) -> None:
    program = router_program(multicast=True, addresses=(address("192.0.2.50"),))
    router = new_router(program, input_faults=False, priority=100)
    hearing.follow([router])
    forms = ChecksumForm.MESSAGE_ONLY, ChecksumForm.PSEUDO_HEADER
    sent = []
    for source, form in ((ONE, forms[0]), (TWO, forms[1]), (ONE, forms[0])):
        say(hearing, source, form=form, to=Family.IPV4.group)
        [(_, message)] = router.encoder.encode(200, SignatureClock(), NOW, NOW)
        sent.append(message)
    assert sent[0] == sent[2] != sent[1]
