"""What one scrape of a speaker costs the agent, by the number of routers on the node."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from tests.bench.report import Report

from vrrp.actions import StateChanged
from vrrp.constants import State, TransitionReason
from vrrp_speaker.agent.serving.metrics import NodeCollector
from vrrp_speaker.agent.view import NodeView
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.shared_state.reader import SharedStateReader

_PEERS = 4
"""An election of five, the default."""
_REASONS = (
    (State.INITIALIZE, State.BACKUP, TransitionReason.STARTUP),
    (State.BACKUP, State.ACTIVE, TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED),
    (State.ACTIVE, State.BACKUP, TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT),
)


def measure_scrapes(report: Report, runs: int) -> None:
    """Measure scrapes of nodes with few and with as many routers as can be."""
    rows = [(str(count), *_cost(count, runs)) for count in (10, 255)]
    report.section(
        "Scrapes",
        f"CPU time of the agent for one scrape; elections of {_PEERS + 1} candidates.",
    )
    report.table(("routers", "ms, median of " + str(runs), "kB"), rows)


def _cost(count: int, runs: int) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.shm"
        _write(path, count)
        reader, program = SharedStateReader(path), _program(count)

        def view() -> NodeView:
            return NodeView(
                node="node-1",
                program=program,
                engine=reader.snapshot(),
                input_faults={},
                checks=(),
                desired_generation=1,
                config_source="API",
                now_ns=1,
            )

        registry = CollectorRegistry()
        registry.register(NodeCollector(view))
        spent_ns = []
        for _ in range(runs):
            begun_ns = time.process_time_ns()
            text = generate_latest(registry)
            spent_ns.append(time.process_time_ns() - begun_ns)
    return f"{statistics.median(spent_ns) / 1e6:.1f}", f"{len(text) / 1000:.0f}"


def _program(count: int) -> dict[str, Any]:
    return {
        "routers": [
            {
                "name": f"virtual-ip-{slot}",
                "slot": slot,
                "vrid": slot + 1,
                "interface": "eth0",
                "advertisementIntervalNs": 1_000_000_000,
                "downAdvertisements": 3,
                "multicast": False,
                "authentication": {"type": "None"},
                "peers": [{"node": f"node-{n + 2}"} for n in range(_PEERS)],
                "faults": [],
            }
            for slot in range(count)
        ]
    }


def _write(path: Path, count: int) -> None:
    shared = SharedState.create(str(path))
    for slot in range(count):
        start = shm.slot_offset(slot)
        shared.set(start + shm.S_NAME_HASH, slot + 1)
        shared.set(start + shm.S_VRID, slot + 1)
        for change in _REASONS:
            shared.note_transition(slot, StateChanged(*change), 1, 1)
        for peer in range(_PEERS):
            shared.set(shm.peer_offset(slot, peer) + shm.PEER_RECEIVED, 1000)
            shared.set(shm.peer_offset(slot, peer) + shm.PEER_LAST, 1)
