"""A node's view as the agent has it, from shared state written as the engine writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.engine.shared import snapshot

from vrrp.constants import State, TransitionReason
from vrrp_speaker.agent.view import CheckView, NodeView
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm


def program(*names: str) -> dict[str, Any]:
    """Return a program of these routers, slots and VRIDs counted from 0 and 1."""
    return {
        "routers": [
            {
                "name": name,
                "slot": slot,
                "vrid": slot + 1,
                "family": 4,
                "interface": "eth0",
                "virtualIPGeneration": 4,
                "advertisementIntervalNs": 1_000_000_000,
                "downAdvertisements": 3,
                "multicast": False,
                "authentication": {"type": "None"},
                "peers": [
                    {"node": "node-2", "address": "192.0.2.12"},
                    {"node": "node-3", "address": "192.0.2.13"},
                ],
                "faults": [],
            }
            for slot, name in enumerate(names)
        ]
    }


def engine(tmp_path: Path, *states: State) -> SharedState:
    """Return shared state with a router in each of these states, since second 5."""
    shared = SharedState.create(str(tmp_path / "state.shm"))
    shared.set(shm.H_GENERATION, 9)
    shared.set(shm.H_HEARTBEAT, 7_000_000_000)
    shared.set(shm.H_ENGINE_STARTS, 3)
    for slot, state in enumerate(states):
        start = shm.slot_offset(slot)
        shared.set(start + shm.S_NAME_HASH, 1)
        shared.set(start + shm.S_VRID, slot + 1)
        shared.set(start + shm.S_STATE, shm.STATES.index(state))
        shared.set(start + shm.S_SINCE, 5_000_000_000)
        shared.set(start + shm.S_EFFECTIVE_PRIORITY, 180)
        shared.set(start + shm.S_TRANSITIONS, 2)
        reason = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
        shared.add32(start + shm.transition_offset(State.BACKUP, State.ACTIVE, reason))
        shared.set(start + shm.S_PEERS, 77)
        shared.set(start + shm.S_PEERS + 8, 3_900_000_000)
    return shared


def view(
    shared: SharedState | None,
    names: tuple[str, ...],
    *checks: CheckView,
    now_ns: int = 7_000_000_000,
) -> NodeView:
    """Return the view of a node that runs these routers, a moment after the engine's last turn."""
    return NodeView(
        node="node-1",
        program=program(*names),
        engine=snapshot(shared) if shared is not None else None,
        input_faults={"b": ("CheckFailed: web",)},
        checks=checks,
        desired_generation=10,
        config_source="API",
        now_ns=now_ns,
    )
