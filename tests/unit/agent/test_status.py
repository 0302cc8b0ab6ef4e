"""The NodeConfig status: what it says, and that equal states give equal texts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.unit.agent.node import engine, view

from vrrp.actions import StateChanged
from vrrp.constants import State, TransitionReason
from vrrp_api.features import FEATURES
from vrrp_api.node_status import NodeConfigStatus, Transition, parse_node_config_status
from vrrp_speaker.agent.api_client import ApiClient, ApiError
from vrrp_speaker.agent.status import pace
from vrrp_speaker.agent.status.builder import StatusBuilder, rfc3339
from vrrp_speaker.agent.status.writer import StatusWriter
from vrrp_speaker.agent.view import CheckView
from vrrp_speaker.shared_state import Conflict, ForeignRouter, HeldByMember
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.shared_state.layout import bytes_hash

TAKEOVER = StateChanged(State.BACKUP, State.ACTIVE, TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED)
YIELD = StateChanged(State.ACTIVE, State.BACKUP, TransitionReason.HANDOVER)
FAULT = StateChanged(State.BACKUP, State.FAULT, TransitionReason.FAULT)
CLEARED = StateChanged(State.FAULT, State.BACKUP, TransitionReason.FAULT_CLEARED)


def test_status_says_what_the_engine_and_the_checks_say(tmp_path: Path) -> None:
    check = CheckView("web", True, False, 1000.0, "timed out", 0.0, 1)
    pending = CheckView("dns", False, False, 0.0, "", 0.0, 0)
    shared = engine(tmp_path, State.BACKUP, State.FAULT)
    shared.note_transition(0, TAKEOVER, 5_000_000_000, 1_008_000_000_000)
    seen = view(shared, ("a", "b"), check, pending)
    status = StatusBuilder().build(seen, 1010.0, 7_000_000_000)
    first, second = status.virtual_routers
    assert (first.name, first.state, first.effective_priority) == ("a", "Active", 180)
    assert first.since == "1970-01-01T00:16:48.000000Z"  # 2 s before second 1010
    told = Transition(
        "1970-01-01T00:16:48.000000Z", "Backup", "Active", "ActiveDownTimerExpired", sequence=1
    )
    assert (first.last_transition, first.history, first.virtual_ip_generation) == (told, (told,), 4)
    assert (second.last_transition, second.history) == (None, ())
    assert (second.state, second.faults) == ("Fault", ("CheckFailed: web",))
    assert [c.name for c in status.checks] == ["web"]
    assert (status.observed_generation, status.engine_restarts) == (9, 2)


def test_stranger_is_told_with_address_mac_and_time(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.FAULT, State.ACTIVE)
    mac = bytes.fromhex("02005e005364")
    shared.set(shm.S_FAULTS + shm.slot_offset(0), 1 << shm.FAULTS.index("AddressConflict"))
    shared.note_conflict(0, Conflict(bytes([192, 0, 2, 50]), mac, 6_000_000_000), 1)
    six = bytes.fromhex("20010db8000000000000000000000050")
    shared.note_conflict(1, Conflict(six, mac, 7_000_000_000), 3)
    builder = StatusBuilder()
    status = builder.build(view(shared, ("a", "b")), 1010.0, 7_000_000_000)
    first, second = status.virtual_routers
    assert first.faults == ("AddressConflict: 192.0.2.50 at 02:00:5e:00:53:64",)
    assert first.conflict is not None
    assert first.conflict.to_object() == {
        "address": "192.0.2.50",
        "mac": "02:00:5e:00:53:64",
        "time": "1970-01-01T00:16:49.000000Z",  # a second before second 1010
    }
    assert second.conflict is not None
    assert second.conflict.address == "2001:db8::50"
    obj = {"status": status.to_object()}
    assert parse_node_config_status(obj) == status
    later = builder.build(view(shared, ("a", "b")), 1020.37, 17_000_000_000)
    assert later.virtual_routers == status.virtual_routers


def test_address_that_a_member_has_is_told_with_the_member(tmp_path: Path) -> None:
    shared, held = engine(tmp_path, State.ACTIVE), bytes([192, 0, 2, 51])
    shared.set(shm.S_FAULTS + shm.slot_offset(0), 1 << shm.FAULTS.index("AddressHeldByMember"))
    seen, learned = view(shared, ("a",)), bytes([192, 0, 2, 15])
    shared.learn(0, learned, 10**9)
    assert seen.program is not None
    listed = ip_address(seen.program["routers"][0]["peers"][0]["address"]).packed
    for member, name in (
        (listed, "192.0.2.51 at node-2"),
        (learned, "192.0.2.51 at 192.0.2.15"),
        (bytes(4), "192.0.2.51 at a member"),  # it was dropped from the list meanwhile
    ):
        shared.note_held(0, HeldByMember(held, bytes_hash(member)))
        (router,) = StatusBuilder().build(view(shared, ("a",)), 1.0, 10**9).virtual_routers
        assert router.faults == (f"AddressHeldByMember: {name}",)
    shared.note_held(0, None)
    (router,) = StatusBuilder().build(view(shared, ("a",)), 1.0, 10**9).virtual_routers
    assert router.faults == ("AddressHeldByMember",)


def test_group_that_was_not_joined_is_told_with_interface_and_limit(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.FAULT)
    shared.set(shm.S_FAULTS + shm.slot_offset(0), 1 << shm.FAULTS.index("GroupNotJoined"))
    seen = view(shared, ("a",))
    assert seen.program is not None
    for family, limit in ((4, "net.ipv4.igmp_max_memberships"), (6, "net.core.optmem_max")):
        seen.program["routers"][0]["family"] = family
        (router,) = StatusBuilder().build(seen, 1010.0, 7_000_000_000).virtual_routers
        assert router.faults == (f"GroupNotJoined: on eth0; {limit} may be too low",)


def test_foreign_router_is_told_with_source_priority_and_time(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.ACTIVE)
    shared.note_foreign(0, ForeignRouter(bytes([192, 0, 2, 99]), 150, 6_000_000_000))
    six = bytes.fromhex("fe800000000000000000000000000099")
    shared.note_foreign(1, ForeignRouter(six, 20, 7_000_000_000))
    builder = StatusBuilder()
    status = builder.build(view(shared, ("a", "b")), 1010.0, 7_000_000_000)
    first, second = status.virtual_routers
    assert first.foreign is not None
    assert first.foreign.to_object() == {
        "source": "192.0.2.99",
        "priority": 150,
        "time": "1970-01-01T00:16:49.000000Z",  # a second before second 1010
    }
    assert second.foreign is not None
    assert second.foreign.source == "fe80::99"
    assert parse_node_config_status({"status": status.to_object()}) == status
    later = builder.build(view(shared, ("a", "b")), 1020.37, 17_000_000_000)
    assert later.virtual_routers == status.virtual_routers


def test_routers_that_were_heard_are_told_with_when_they_began_or_ceased(tmp_path: Path) -> None:
    shared, second = engine(tmp_path, State.BACKUP), 10**9
    stranger = bytes((192, 0, 2, 14))
    place = shared.learn(0, stranger, second)
    shared.learn(0, bytes((192, 0, 2, 15)), second)  # dropped from the list, and said nothing since
    shared.set(shm.peer_offset(0, 0) + shm.PEER_LAST, 4 * second)
    builder = StatusBuilder()

    def look(at_s: int) -> list[tuple[object, ...]]:
        now_ns = at_s * second
        shared.set(shm.H_HEARTBEAT, now_ns)
        seen = view(shared, ("a",), now_ns=now_ns)
        status = builder.build(seen, 1000.0 + at_s, now_ns)
        assert parse_node_config_status({"status": status.to_object()}) == status
        assert status.features == FEATURES
        (router,) = status.virtual_routers
        heard = [(p.node or p.address, p.heard, p.since[14:19]) for p in router.peers_heard]
        return [router.holders, *heard]

    # node-2 was heard at second 4, the last time; its interval is one, of which three may miss.
    assert look(7) == [("node-2",), ("node-2", True, "16:47")]
    shared.note_heard(place, 7 * second)
    learned = ("192.0.2.14", True, "16:48")
    assert look(8) == [("192.0.2.14",), ("node-2", False, "16:44"), learned]
    shared.note_heard(place, 9 * second)
    assert look(9) == [("192.0.2.14",), ("node-2", False, "16:44"), learned]
    assert look(20)[2] == ("192.0.2.14", False, "16:49")
    assert look(30) == look(20)
    # Whoever became Active after the last word of another one is alone.
    shared.note_heard(place, 30 * second)
    shared.note_transition(0, TAKEOVER, 31 * second, 0)
    assert look(31)[0] == ("node-1",)
    shared.note_heard(place, 32 * second)
    assert look(32)[0] == ("node-1", "192.0.2.14")


def test_equal_state_gives_equal_text_though_clocks_drift(tmp_path: Path) -> None:
    seen = view(engine(tmp_path, State.ACTIVE), ("a",))
    builder = StatusBuilder()
    first = builder.build(seen, 1010.0, 7_000_000_000)
    later = builder.build(seen, 1020.37, 17_000_000_000)
    assert replace(later, heartbeat_time=first.heartbeat_time) == first


def test_history_tells_five_tenures_whatever_a_standby_went_through(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.BACKUP)
    for second in range(12):
        shared.note_transition(0, (TAKEOVER, YIELD)[second % 2], 0, second * 10**9)
    for second in range(100, 200):
        shared.note_transition(0, (FAULT, CLEARED)[second % 2], 0, second * 10**9)
    (router,) = StatusBuilder().build(view(shared, ("a",)), 1010.0, 0).virtual_routers
    tenures = [past.sequence for past in router.history if "Active" in (past.before, past.after)]
    assert tenures == list(range(3, 13))
    assert [past.sequence for past in router.history if past.sequence > 12] == [109, 110, 111, 112]
    assert router.last_transition == router.history[-1]
    # Another agent, as after a restart, says the same to the letter.
    (again,) = StatusBuilder().build(view(shared, ("a",)), 2020.5, 7).virtual_routers
    assert again.history == router.history


def test_history_of_a_node_with_many_routers_is_short(tmp_path: Path) -> None:
    shared = engine(tmp_path, *[State.BACKUP] * 255)
    for moment in range(10):
        shared.note_transition(0, (TAKEOVER, YIELD)[moment % 2], 0, moment)
    names = tuple(f"vip-{number}" for number in range(255))
    status = StatusBuilder().build(view(shared, names), 1010.0, 0)
    assert [past.sequence for past in status.virtual_routers[0].history] == [7, 8, 9, 10]


def test_router_of_an_engine_that_does_not_turn_takes_no_part(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE)
    turned_ns = 7_000_000_000  # the election waits three intervals of a second
    late = view(shared, ("a",), now_ns=turned_ns + 3_000_000_000)
    (router,) = StatusBuilder().build(late, 1010.0, late.now_ns).virtual_routers
    assert (router.state, router.faults) == ("Active", ())
    gone = view(shared, ("a",), now_ns=turned_ns + 3_000_000_001)
    (router,) = StatusBuilder().build(gone, 1010.0, gone.now_ns).virtual_routers
    assert (router.state, router.faults) == ("Fault", ("EngineSilent",))
    assert router.since == "1970-01-01T00:16:47.000000Z"  # when it turned last


def test_times_are_rfc3339_in_utc() -> None:
    assert rfc3339(0.25) == "1970-01-01T00:00:00.250000Z"


class FakeClient(ApiClient):
    """Takes statuses, or refuses them."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.refusals = 0
        self.renewed: list[tuple[str, str]] = []
        self.lease_refused: int | None = None
        self.asked = 0
        self.stored: dict[str, Any] = {}
        self.there: Callable[[Any], None] = lambda _: None

    def renew_lease(self, namespace: str, node: str, time: str) -> None:
        self.asked += 1
        if self.lease_refused is not None:
            raise ApiError("no Leases", self.lease_refused)
        self.renewed.append((namespace, node))

    def apply_status(self, node: str, status: Any) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise ApiError("away")
        self.written.append((node, status["observedGeneration"]))
        # As far as its kinds know it.
        self.stored = {key: value for key, value in status.items() if key != "speaker"}
        self.there(self.stored)
        return self.stored


class Source:
    """A status that changes when told."""

    def __init__(self) -> None:
        self.generation = 1
        self.times = 0

    def __call__(self) -> NodeConfigStatus:
        self.times += 1
        return NodeConfigStatus(self.generation, f"{self.times}", "", 0, "API", (), ())


def writer(client: FakeClient) -> tuple[StatusWriter, Source]:
    source = Source()
    return StatusWriter(client, "node-1", source, lambda: None), source


def test_stop_before_anything_is_loaded_tells_nothing() -> None:
    client = FakeClient()
    made, source = writer(client)
    source.generation = 0
    made.start()
    made.stop(5)
    assert client.written == []


def test_change_is_written_soon_and_outages_are_outlasted() -> None:
    client = FakeClient()
    client.refusals = 3
    made, source = writer(client)
    made.start()
    eventually(lambda: client.written == [("node-1", 1)], within_s=5)
    source.generation = 2
    made.changed()
    eventually(lambda: client.written[1:] == [("node-1", 2)], within_s=5)
    made.stop(5)
    assert client.written[2:] == [("node-1", 2)]  # the last word


def test_what_changes_nothing_is_not_written() -> None:
    client = FakeClient()
    made, source = writer(client)
    made.start()
    eventually(lambda: client.written, within_s=5)
    for _ in range(5):
        made.changed()
    source.generation = 2
    made.changed()
    eventually(lambda: ("node-1", 2) in client.written, within_s=5)
    assert client.written == [("node-1", 1), ("node-1", 2)]
    made.stop(5)


def test_stop_does_not_wait_for_an_api_server_that_is_away() -> None:
    client = FakeClient()
    client.refusals = 10**9
    made, _ = writer(client)
    made.start()
    stopping = threading.Thread(target=made.stop, args=(0.2,), daemon=True)
    stopping.start()
    stopping.join(5)
    assert not stopping.is_alive()


# Heartbeats ------------------------------------------------------------------------------


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "IDLE_HEARTBEAT_S", 0.02)


def leased(client: FakeClient, source: Source) -> StatusWriter:
    """Return a writer that is asked for Leases and sees what it wrote."""
    made = StatusWriter(client, "node-1", source, lambda: "ours")
    client.there = made.reported
    return made


@pytest.mark.usefixtures("often")
def test_status_that_the_server_has_otherwise_is_written_again() -> None:
    """An older one that came late, one of before a restore, none at all any more, another's."""
    client = FakeClient()
    made = leased(client, Source())
    made.start()
    eventually(lambda: client.renewed, within_s=5)
    others: list[dict[str, Any]] = [{"heartbeatTime": "0"}, {}, {"checks": [1]}]
    for times, other in enumerate(others, 2):
        made.reported({**client.stored, **other} if other else other)
        eventually(partial(has_written, client, times), within_s=5)
    renewed = len(client.renewed)
    eventually(lambda: len(client.renewed) > renewed + 2, within_s=5)
    assert client.written == [("node-1", 1)] * 4
    made.stop(5)


def has_written(client: FakeClient, times: int) -> bool:
    return len(client.written) == times


@pytest.mark.usefixtures("often")
def test_heartbeat_is_a_lease_where_that_is_asked_for_and_changes_are_written() -> None:
    client, source = FakeClient(), Source()
    made = leased(client, source)
    made.start()
    eventually(lambda: client.renewed[:3] == [("ours", "node-1")] * 3, within_s=5)
    assert client.written == [("node-1", 1)]
    source.generation = 2
    made.changed()
    eventually(lambda: client.written == [("node-1", 1), ("node-1", 2)], within_s=5)
    made.stop(5)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_server_that_is_away_or_overloaded_is_asked_for_nothing_dearer(status: int) -> None:
    client = FakeClient()
    client.lease_refused = status
    made = leased(client, Source())
    made.start()
    eventually(lambda: client.asked > 3, within_s=20)
    assert client.written == [("node-1", 1)]
    client.lease_refused = None
    eventually(lambda: len(client.renewed) > 3, within_s=20)
    made.stop(5)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("status", [403, 404])
def test_lease_that_is_refused_leaves_the_status_as_heartbeat(status: int) -> None:
    client = FakeClient()
    client.lease_refused = status
    made = leased(client, Source())
    made.start()
    eventually(lambda: len(client.written) > 3, within_s=5)
    client.lease_refused = None
    eventually(lambda: len(client.renewed) > 3, within_s=5)
    made.stop(5)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(("node", "namespace"), [("node-1", None), ("n" * 249, "ours")])
def test_status_is_the_heartbeat_where_no_lease_is_asked_for_or_can_be(
    node: str, namespace: str | None
) -> None:
    client = FakeClient()
    made = StatusWriter(client, node, Source(), lambda: namespace)
    made.start()
    eventually(lambda: len(client.written) > 3, within_s=5)
    made.stop(5)
    assert client.renewed == []
