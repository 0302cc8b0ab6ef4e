"""Learned members: counted, sent to, remembered by the next engine, and let go of in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.programs import address, packed, router_program
from tests.unit.engine.rig import NOW, SECOND, Rig, rig
from tests.unit.engine.shared import snapshot
from tests.unit.vrrp.wire import compose, sealed, stamp, trailer

from vrrp.authentication import HmacKeys, Mode, SignatureClock, Stage
from vrrp.constants import Family, RejectReason, State
from vrrp.events import DeadlineReached, Shutdown
from vrrp.members import LEARNED_FOR_NS, MAX_LEARNED
from vrrp.validation import Accepted, Datagram
from vrrp_speaker.engine.last_will import execute_last_will
from vrrp_speaker.engine.programs.program import EngineProgram, Peer, RouterProgram
from vrrp_speaker.engine.routers.members import recall_members
from vrrp_speaker.engine.routers.running_router import RunningRouter, last_heard_ns, new_router
from vrrp_speaker.engine.wire.encoder import Encoder
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

__all__ = ["rig"]  # pytest finds fixtures by name
OWN, SHARED = bytes(range(32)), bytes(range(100, 132))
KEYS = HmacKeys({1: SHARED}, 1, Mode.ENFORCE, stage=Stage.REQUIRE, election_keys={1: OWN})
ME, VIP = packed("192.0.2.11"), packed("192.0.2.50")
LISTED, STRANGER, ANOTHER = (packed(f"192.0.2.{n}") for n in (12, 13, 14))
PEER = Peer("node-2", LISTED)
WALL_S, MS = 1_750_000_000, 10**6


def program(*peers: Peer, **changed: Any) -> RouterProgram:
    """Return a router with a key of its own, of lower priority than those that are heard."""
    fields = {"addresses": (address("192.0.2.50"),), "authentication": KEYS, **changed}
    return router_program(*peers, base_priority=100, **fields)


def load(rig: Rig, *peers: Peer, at_ns: int = NOW, **changed: Any) -> RunningRouter:
    rig.table.load(EngineProgram("n", 1, (program(*peers, **changed),)), at_ns)
    return rig.table.routers["a"]


def arrive(
    rig: Rig, source: bytes, at_ns: int, *, priority: int = 200, key: bytes = OWN
) -> RejectReason | None:
    """Let a signed advertisement come in as the loop does; return why it was refused."""
    message = compose(priority=priority, word=20)
    wall_ns = WALL_S * SECOND + at_ns - NOW
    sequence = stamp(wall_ns // SECOND, wall_ns % SECOND * 65536 // SECOND)
    sent = sealed(message, source, ME, trailer(message, source, sequence, key=key))
    datagram = Datagram(Family.IPV4, source, ME, 255, 2, sent)
    result = rig.parts.hearing.elections.validate(datagram, wall_ns, at_ns)
    if isinstance(result, Accepted):
        router = rig.parts.hearing.note(result, at_ns)
        rig.faults.heard(router, at_ns)
        rig.executor.handle(router, result.event, at_ns)
        return None
    return result


def receivers(router: RunningRouter) -> list[str]:
    return [to for to, _ in router.encoder.encode(100, SignatureClock(), NOW, NOW)]


def said_to(router: RunningRouter) -> list[bytes]:
    """Return what each receiver would be sent, without the signature."""
    copies = router.encoder.encode(100, SignatureClock(), NOW, NOW)
    return [message[:-28] for _, message in copies]


def learned(shared: SharedState) -> dict[bytes, int]:
    """Return how much was received from each learned member, as the agent reads it."""
    return {m.address: m.heard.received for m in snapshot(shared).routers[0].learned}


def test_member_that_no_list_names_is_heard_sent_to_and_counted(rig: Rig) -> None:
    router = load(rig, PEER)
    for number in range(3):
        assert arrive(rig, STRANGER, NOW + number * MS) is None
    assert router.machine.state is State.BACKUP
    assert router.machine.next_deadline_ns() == NOW + 2 * MS + router.machine.parameters.down_ns(
        200_000_000
    )
    assert receivers(router) == ["192.0.2.12", "192.0.2.13"]
    assert learned(rig.shared) == {STRANGER: 3}
    assert snapshot(rig.shared).routers[0].unlisted.received == 0
    assert last_heard_ns(rig.shared, router.program) == NOW + 2 * MS


def test_without_a_list_a_member_is_somebody_to_hand_over_to(rig: Rig) -> None:
    router = load(rig)
    alone = router.has_others or router.can_hand_over
    assert arrive(rig, STRANGER, NOW) is None
    assert (alone, router.has_others, router.can_hand_over) == (False, True, True)
    now_ns = rig.become_active(router)
    rig.transport.sent.clear()
    rig.requests.made.clear()
    rig.executor.handle(router, Shutdown(hand_over=router.can_hand_over), now_ns)
    assert (rig.transport.sent, rig.requests.made) == ([0], [])
    assert arrive(rig, STRANGER, now_ns + MS) is None
    assert router.machine.next_deadline_ns() == now_ns + 141 * MS
    rig.executor.handle(router, DeadlineReached(), now_ns + 141 * MS)
    assert rig.requests.made == [b"delete 192.0.2.50"]


def test_forgery_teaches_nothing(rig: Rig) -> None:
    router = load(rig, PEER)
    before = router.machine.next_deadline_ns()
    assert arrive(rig, STRANGER, NOW + 1, key=SHARED) is RejectReason.AUTH_INVALID
    assert receivers(router) == ["192.0.2.12"]
    assert learned(rig.shared) == {}
    assert router.machine.next_deadline_ns() == before


def test_checksum_form_of_a_member_is_the_one_it_sends(rig: Rig) -> None:
    router = load(rig, PEER)
    arrive(rig, STRANGER, NOW)
    peers, member = said_to(router)
    assert member == sealed(peers, ME, STRANGER)  # a pseudo-header, as it sends
    assert peers != member
    # It stays so when others are learned, and when the program changes.
    arrive(rig, ANOTHER, NOW + MS)
    assert said_to(router) == [peers, member, sealed(peers, ME, ANOTHER)]
    changed = replace(router.program, preempt=False)
    rig.table.load(EngineProgram("n", 2, (changed,)), NOW + 2 * MS)
    assert said_to(router) == [peers, member, sealed(peers, ME, ANOTHER)]


def test_member_that_the_list_names_now_keeps_what_was_counted(rig: Rig) -> None:
    router = load(rig, PEER)
    for number in range(5):
        arrive(rig, STRANGER, NOW + number * SECOND)
    load(rig, PEER, Peer("node-3", STRANGER), at_ns=NOW + 9 * SECOND)
    assert receivers(router) == ["192.0.2.12", "192.0.2.13"]
    assert learned(rig.shared) == {}
    assert [peer.received for peer in snapshot(rig.shared).routers[0].peers] == [0, 5]
    assert arrive(rig, STRANGER, NOW + 4 * SECOND) is RejectReason.AUTH_REPLAYED
    assert arrive(rig, STRANGER, NOW + 10 * SECOND) is None
    assert [peer.received for peer in snapshot(rig.shared).routers[0].peers] == [0, 6]


def test_peer_that_the_list_drops_is_still_sent_to(rig: Rig) -> None:
    router = load(rig, PEER, Peer("node-3", STRANGER))
    arrive(rig, STRANGER, NOW)
    load(rig, PEER, at_ns=NOW + SECOND)
    assert receivers(router) == ["192.0.2.12", "192.0.2.13"]
    assert learned(rig.shared) == {STRANGER: 0}
    heir = new_router(router.program, input_faults=False, priority=100)
    recall_members(rig.shared, heir)
    assert heir.others.marks.marks[STRANGER] == router.others.marks.marks[STRANGER]
    assert arrive(rig, STRANGER, NOW) is RejectReason.AUTH_REPLAYED


def test_closed_list_lets_go_of_whom_it_drops_and_of_whom_was_learned(rig: Rig) -> None:
    router = load(rig, PEER)
    arrive(rig, STRANGER, NOW)
    closed = HmacKeys({1: SHARED}, 1, Mode.ENFORCE)
    load(rig, authentication=closed, at_ns=NOW + SECOND)
    assert receivers(router) == []
    assert learned(rig.shared) == {}
    assert not router.has_others
    assert arrive(rig, STRANGER, NOW + SECOND) is RejectReason.UNKNOWN_SOURCE


def test_long_list_that_is_dropped_leaves_as_many_as_there_is_room_for(rig: Rig) -> None:
    """Those that were heard last first."""
    peers = [Peer(f"node-{n}", packed(f"192.0.2.{n}")) for n in range(20, 40)]
    router = load(rig, *peers)
    for number, peer in enumerate(peers[::-1]):
        arrive(rig, peer.address, NOW + number * SECOND)
    load(rig, at_ns=NOW + 60 * SECOND)
    assert set(router.others.learned.known_ns) == {peer.address for peer in peers[:MAX_LEARNED]}
    assert set(learned(rig.shared)) == set(router.others.learned.known_ns)


def test_member_that_crowds_out_another_takes_its_place(rig: Rig) -> None:
    router = load(rig)
    sources = [packed(f"192.0.2.{n}") for n in range(20, 20 + MAX_LEARNED)]
    for number, source in enumerate(sources):
        arrive(rig, source, NOW + number * MS)
    late_ns = NOW + 11 * SECOND
    for number, source in enumerate(sources[1:]):
        assert arrive(rig, source, late_ns + number * MS) is None
    assert arrive(rig, STRANGER, late_ns + 10 * MS) is None
    assert set(learned(rig.shared)) == {*sources[1:], STRANGER}
    assert set(receivers(router)) == {
        "192.0.2.13",
        *(f"192.0.2.{n}" for n in range(21, 20 + MAX_LEARNED)),
    }


def test_member_that_was_silent_for_an_hour_is_forgotten(rig: Rig) -> None:
    router = load(rig, PEER)
    arrive(rig, STRANGER, NOW)
    arrive(rig, ANOTHER, NOW + SECOND)
    rig.look_for_changes(NOW + LEARNED_FOR_NS - 1)
    assert len(learned(rig.shared)) == 2
    rig.look_for_changes(NOW + LEARNED_FOR_NS + SECOND - 1)
    assert learned(rig.shared) == {ANOTHER: 1}
    assert receivers(router) == ["192.0.2.12", "192.0.2.14"]
    # When it speaks again it is learned anew, with the bytes that it said before.
    assert arrive(rig, STRANGER, NOW + LEARNED_FOR_NS + 2 * SECOND) is None
    assert learned(rig.shared) == {ANOTHER: 1, STRANGER: 1}


def test_engine_that_goes_on_for_another_takes_no_replay_of_a_listed_peer(rig: Rig) -> None:
    load(rig, PEER)
    assert arrive(rig, PEER.address, NOW) is None
    rig.parts = rig.heir()
    load(rig, PEER, at_ns=NOW + 1)
    assert arrive(rig, PEER.address, NOW) is RejectReason.AUTH_REPLAYED
    assert arrive(rig, PEER.address, NOW + 2 * MS) is None


def test_engine_that_goes_on_for_another_knows_its_members(rig: Rig) -> None:
    router = load(rig, PEER)
    arrive(rig, STRANGER, NOW)
    now_ns = rig.become_active(router)
    rig.parts = rig.heir()
    heir = load(rig, PEER, at_ns=now_ns + 1)
    assert heir is not router
    assert heir.machine.state is State.ACTIVE
    assert receivers(heir) == ["192.0.2.12", "192.0.2.13"]
    assert heir.others.learned.known_ns == {STRANGER: NOW}
    assert arrive(rig, STRANGER, NOW) is RejectReason.AUTH_REPLAYED
    assert arrive(rig, STRANGER, now_ns + 2 * MS) is None
    assert learned(rig.shared) == {STRANGER: 2}


def test_speaking_in_turns_is_told_to_whoever_watches(rig: Rig) -> None:
    load(rig, PEER)
    voices = shm.slot_offset(0) + shm.S_VOICES
    found = []
    for number, source in enumerate((LISTED, LISTED, STRANGER, STRANGER, LISTED)):
        arrive(rig, source, NOW + number * SECOND)
        found.append(rig.shared.get(voices))
    assert found == [1, 1, 2, 2, 3]


def test_last_will_reaches_learned_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    class Sockets:
        def send(self, _route: object, copies: tuple[tuple[str, bytes], ...]) -> int:
            sent.extend(to for to, _ in copies)
            return 0

        def close(self) -> None:
            """Nothing to do."""

    module = "vrrp_speaker.engine.last_will"
    monkeypatch.setattr(f"{module}.Transport", Sockets)
    monkeypatch.setattr(f"{module}._remove_addresses", lambda *_: None)
    of = program(PEER)
    monkeypatch.setattr(f"{module}.stored_program", lambda _: EngineProgram("n", 1, (of,)))
    shared = SharedState.create(str(tmp_path / "state.shm"))
    shared.set(shm.slot_offset(0) + shm.S_STATE, shm.STATES.index(State.ACTIVE))
    shared.learn(0, STRANGER, NOW)
    execute_last_will(shared, "program")
    assert sent == ["192.0.2.12", "192.0.2.13"]


@pytest.mark.parametrize("text", ["192.0.2.13", "2001:db8::13"])
def test_shared_state_has_members_of_either_family(tmp_path: Path, text: str) -> None:
    shared = SharedState.create(str(tmp_path / "state.shm"))
    shared.set(shm.slot_offset(3) + shm.S_NAME_HASH, 1)
    places = [shared.learn(3, packed(text)[:-1] + bytes((n,)), NOW) for n in range(MAX_LEARNED)]
    shared.forget_learned(places[2])
    assert shared.learn(3, packed(text), NOW) == places[2]
    found = [member.address for member in snapshot(shared).routers[3].learned]
    assert found[2] == packed(text)
    assert [source for _, source in shared.learned(3)] == found
    assert snapshot(shared).routers[3].history == ()


def test_encoder_reaches_whom_it_is_told_beside_the_list() -> None:
    encoder = Encoder(program(PEER))
    encoder.reach([STRANGER])
    encoder.reach([ANOTHER])
    assert [to for to, _ in encoder.encode(1, SignatureClock(), 1, 1)] == [
        "192.0.2.12",
        "192.0.2.14",
    ]
