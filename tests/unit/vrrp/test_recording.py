"""Recordings: what was written is replayed with the same consequences, and damage is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vrrp.actions import SendAdvertisement, StateChanged, UnbindAddresses
from vrrp.constants import State, TransitionReason
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)
from vrrp.recording import RecordingError, event_object, replay, router_object
from vrrp.states import Active, Backup, Fault, Initialize, Parameters, RouterState
from vrrp.virtual_router import VirtualRouter

INTERVAL = 200_000_000
DOWN = 3 * INTERVAL + (256 - 200) * INTERVAL // 256
PARAMETERS = Parameters(3, 200, INTERVAL, 3, True, 0, b"\xc0\0\2\x0b")
PEER = b"\xc0\0\2\x0c"
HISTORY: tuple[tuple[Event, int], ...] = (
    (Startup(), 0),
    (AdvertisementReceived(PEER, 100, 20), 5),
    (PriorityChanged(201), 6),
    (PriorityChanged(200), 7),
    (ConfigurationChanged(INTERVAL, 3, True, 0, PARAMETERS.source), 8),
    (DeadlineReached(), DOWN),
    (AdvertisementReceived(PEER, 250, 20), DOWN + 1),
    (TakeOver(), DOWN + 2),
    (FaultChanged(True), DOWN + 3),
    (FaultChanged(True, hand_over=False), DOWN + 4),
    (Shutdown(TransitionReason.REMOVED, hand_over=False), DOWN + 5),
)


def recorded(router: VirtualRouter, history: tuple[tuple[Event, int], ...]) -> list[dict[str, Any]]:
    """Return the lines a recorder writes, through JSON and back."""
    lines: list[dict[str, Any]] = [{"router": "a", "begins": router_object(router)}]
    lines += [{"router": "a", "atNs": at, "event": event_object(event)} for event, at in history]
    return [json.loads(json.dumps(line)) for line in lines]


def test_replay_does_what_the_router_did() -> None:
    original = VirtualRouter(PARAMETERS)
    lines = recorded(original, HISTORY)
    done = [original.handle(event, at) for event, at in HISTORY]
    steps = list(replay(lines))
    assert [step.event for step in steps] == [event for event, _ in HISTORY]
    assert [step.actions for step in steps] == done
    assert steps[-1].state == original.detail
    assert [step.at_ns for step in steps] == [at for _, at in HISTORY]


def test_replay_begins_in_the_state_the_recording_began_in() -> None:
    running = VirtualRouter(PARAMETERS)
    running.handle(Resume(), 0)
    (step,) = replay(recorded(running, ((Shutdown(hand_over=False), 5),)))
    assert step.actions == (
        SendAdvertisement(0),
        UnbindAddresses(),
        StateChanged(State.ACTIVE, State.INITIALIZE, TransitionReason.SHUTDOWN),
    )


STATES: list[RouterState] = [
    Initialize(),
    Initialize(held_until_ns=50),
    Backup(INTERVAL, 60),
    Backup(INTERVAL, 60, preempt_at_ns=40, held_until_ns=50),
    Active(60),
    Active(60, loser_answered_ns=1, release_answered_ns=2),
    Fault(),
    Fault(held_until_ns=50),
]


@pytest.mark.parametrize("state", STATES, ids=repr)
def test_replay_begins_with_the_timers_the_recording_began_with(state: RouterState) -> None:
    router = VirtualRouter(PARAMETERS, detail=state)
    (step,) = replay(recorded(router, ((DeadlineReached(), 3),)))
    assert step.actions == ()
    assert step.state == state


def test_recorded_event_without_hand_over_is_read_as_handing_over() -> None:
    """As what was recorded before there was a choice."""
    lines = recorded(VirtualRouter(PARAMETERS, detail=Active(60)), ((Shutdown(), 3),))
    del lines[1]["event"]["hand_over"]
    (step,) = replay(lines)
    assert step.event == Shutdown(hand_over=True)
    assert step.state == Initialize(held_until_ns=3 + INTERVAL + 255 * INTERVAL // 256)


def test_replay_keeps_a_fault_that_was_there_at_the_beginning() -> None:
    faulty = VirtualRouter(PARAMETERS, faulty=True)
    (step,) = replay(recorded(faulty, ((Startup(), 0),)))
    assert step.actions == (StateChanged(State.INITIALIZE, State.FAULT, TransitionReason.FAULT),)


def test_replay_says_what_the_recording_lost() -> None:
    lines = recorded(VirtualRouter(PARAMETERS), ((Startup(), 0), (DeadlineReached(), 1)))
    lines[2]["missingBefore"] = 4
    assert [step.missing_before for step in replay(lines)] == [0, 4]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({}, "line 2: KeyError: 'router'"),
        ({"router": "b", "atNs": 1, "event": {"kind": "Startup"}}, "line 2: KeyError: 'b'"),
        ({"router": "a", "atNs": 1, "event": {"kind": "Party"}}, "line 2: KeyError: 'Party'"),
        ({"router": "a", "event": {"kind": "Startup"}}, "line 2: KeyError: 'atNs'"),
        (
            {"router": "a", "atNs": 1, "event": {"kind": "PriorityChanged", "prio": 3}},
            "line 2: TypeError",
        ),
        (
            {"router": "a", "atNs": 1, "event": {"kind": "TakeOver", "priority": 3}},
            "line 2: TypeError",
        ),
        (
            {"router": "a", "atNs": 1, "event": {"kind": "Shutdown", "reason": "Whim"}},
            "line 2: ValueError: 'Whim'",
        ),
    ],
)
def test_replay_of_a_damaged_line_names_it(line: dict[str, Any], named: str) -> None:
    lines = [*recorded(VirtualRouter(PARAMETERS), ()), line]
    with pytest.raises(RecordingError) as caught:
        list(replay(lines))
    assert str(caught.value).startswith(named)
