"""The state of a node for people in trouble: all of it, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.node import engine, program, view

from vrrp.actions import StateChanged
from vrrp.constants import State, TransitionReason
from vrrp_speaker.agent.serving.dump import Clock, node_dump
from vrrp_speaker.agent.view import CheckView, NodeView
from vrrp_speaker.shared_state import layout as shm

SECRET, PASSWORD = "5ec7e7" * 8, b"hunter-2".hex()
CLOCK = Clock(1_000_000_000.0, 6_000_000_000)


def compiled() -> dict[str, Any]:
    """Return a program as the compiler writes it, keys and all."""
    document = program("a", "b")
    for router in document["routers"]:
        router.update(
            source="192.0.2.11",
            version=3,
            advertisementIntervalNs=200_000_000,
            downAdvertisements=3,
            addresses=[{"address": "192.0.2.50", "prefixLength": 24, "add": "00", "delete": "00"}],
            checks=[{"name": "web", "weight": -50}],
            peers=[
                {"node": f"node-{n}", "address": f"192.0.2.1{n}", "external": False} for n in (2, 3)
            ],
        )
    hmac, simple = document["routers"]
    hmac["authentication"] = {
        "type": "HMAC",
        "keyRef": "cluster",
        "mode": "Enforce",
        "active": 2,
        "keys": [{"id": 1, "secret": SECRET}, {"id": 2, "secret": SECRET}],
        "electionKey": "Sign",
        "electionKeys": [{"id": 1, "secret": SECRET}, {"id": 2, "secret": SECRET}],
    }
    simple["authentication"] = {"type": "Simple", "keyRef": "old", "password": PASSWORD}
    return document


def with_program(found: NodeView, document: dict[str, Any] | None) -> NodeView:
    return NodeView(
        found.node,
        document,
        found.engine,
        found.input_faults,
        found.checks,
        found.desired_generation,
        found.config_source,
        found.now_ns,
    )


def dumped(found: NodeView) -> dict[str, Any]:
    text = json.dumps(node_dump(found, (True, "ok"), "info", CLOCK))
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.fixture
def dump(tmp_path: Path) -> dict[str, Any]:
    shared = engine(tmp_path, State.ACTIVE, State.BACKUP)
    reason = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
    shared.note_transition(0, StateChanged(State.BACKUP, State.ACTIVE, reason), 5 * 10**9, 1)
    shared.set(shm.H_HEARTBEAT, 5_999_000_000)
    check = CheckView("web", True, False, 1.0, "status 500", 0.5, 100)
    return dumped(with_program(view(shared, ("a", "b"), check), compiled()))


def test_where_the_configuration_came_from(dump: dict[str, Any]) -> None:
    assert dump["configuration"] == {
        "source": "API",
        "desiredGeneration": 10,
        "appliedGeneration": 9,
        "ready": True,
        "message": "ok",
    }
    assert (dump["node"], dump["logLevel"]) == ("node-1", "info")
    assert dump["slots"] == {"a": 0, "b": 1}


def test_every_router_with_its_timers_and_peers(dump: dict[str, Any]) -> None:
    first, second = dump["virtualRouters"]
    assert (first["name"], first["state"], first["stateAgeMs"]) == ("a", "Active", 1000.0)
    assert (second["name"], second["state"]) == ("b", "Backup")
    assert second["faults"] == ["CheckFailed: web"]
    assert first["addresses"] == ["192.0.2.50/24"]
    (past,) = first["history"]
    assert (past["sequence"], past["reason"]) == (1, "ActiveDownTimerExpired")
    assert second["history"] == []
    assert first["transitionCounts"] == [
        {"from": "Backup", "to": "Active", "reason": "ActiveDownTimerExpired", "count": 2}
    ]
    assert first["peers"] == [
        {
            "node": "node-2",
            "address": "192.0.2.12",
            "external": False,
            "advertisementsReceived": 77,
            "heardAgeMs": 2100.0,
        },
        {
            "node": "node-3",
            "address": "192.0.2.13",
            "external": False,
            "advertisementsReceived": 0,
            "heardAgeMs": None,
        },
    ]
    # Priority 180: a skew of 76/256 of 200 ms.
    assert first["timers"] == {
        "advertisementIntervalMs": 200.0,
        "skewMs": 59.375,
        "activeDownIntervalMs": 659.375,
        "sentAgeMs": None,
        "heardAgeMs": 2100.0,
    }


def test_engine_and_checks(dump: dict[str, Any]) -> None:
    assert dump["engine"]["starts"] == 3
    assert dump["engine"]["heartbeatAgeMs"] == 1.0
    assert dump["engine"]["lateness"]["buckets"][-1] == {"upToMs": None, "count": 0}
    (check,) = dump["checks"]
    assert (check["passing"], check["message"], check["meanMs"]) == (False, "status 500", 5.0)


def test_members_that_no_list_names(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.BACKUP)
    place = shared.learn(0, bytes((192, 0, 2, 14)), 5 * 10**9)
    shared.note_heard(place, 5_500_000_000)
    (router,) = dumped(with_program(view(shared, ("a",)), compiled()))["virtualRouters"]
    assert router["learnedMembers"] == [
        {"address": "192.0.2.14", "advertisementsReceived": 1, "heardAgeMs": 500.0}
    ]
    assert router["timers"]["heardAgeMs"] == 500.0


def test_no_secret_in_it(dump: dict[str, Any]) -> None:
    hmac, simple = (router["authentication"] for router in dump["virtualRouters"])
    assert hmac == {
        "type": "HMAC",
        "keyRef": "cluster",
        "mode": "Enforce",
        "electionKey": "Sign",
        "keyIds": [1, 2],
        "activeKeyId": 2,
    }
    assert simple == {"type": "Simple", "keyRef": "old"}
    text = json.dumps(dump)
    for secret in (SECRET, PASSWORD):
        assert secret not in text
        assert bytes.fromhex(secret).decode(errors="replace") not in text


def test_node_that_has_just_started(tmp_path: Path) -> None:
    found = dumped(with_program(view(None, ()), None))
    assert (found["engine"], found["virtualRouters"], found["slots"]) == (None, [], {})
