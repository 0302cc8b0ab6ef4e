"""What the engine tells its agent without being asked: that what it reports has changed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vrrp_speaker.engine.agent_messages import AgentMessages
from vrrp_speaker.engine.routers.inputs import Inputs
from vrrp_speaker.shared_state import ForeignRouter, SharedState
from vrrp_speaker.shared_state import layout as shm

TEN_S = shm.SIGHTING_NS


def test_agent_is_told_once_of_what_it_reports_and_never_of_what_is_as_it_was(
    tmp_path: Path,
) -> None:
    shared, sent = SharedState.create(str(tmp_path / "state.shm")), list[dict[str, Any]]()
    agent: Any = SimpleNamespace(send=sent.append, dropped=0)
    nothing: Any = None
    messages = AgentMessages(
        shared,
        agent,
        {},
        loading=nothing,
        inputs=nothing,
        recorder=nothing,
        caught_up_ns=lambda: 0,
        is_stopping=lambda: False,
    )
    faults = shm.slot_offset(3) + shm.S_FAULTS

    def told() -> int:
        messages.run(0)
        found, sent[:] = len(sent), []
        return found

    assert told() == 0
    shared.report(faults, 1)
    shared.report(faults, 2)
    assert told() == 1
    shared.report(faults, 2)
    assert told() == 0
    for seen_ns, news in ((TEN_S, 1), (2 * TEN_S - 1, 0), (2 * TEN_S, 1)):
        shared.note_foreign(3, ForeignRouter(bytes(4), 100, seen_ns))
        assert told() == news


def test_what_follows_a_load_is_heard_when_that_is_done(tmp_path: Path) -> None:
    """Inputs come right after the program whose routers they are about."""
    inputs = {"a": {"effectivePriority": 7, "basePriority": 9}}
    queue = [
        {"type": "load", "ended": ["old"]},
        {"type": "inputs", "routers": inputs},
        {"type": "odd"},
    ]
    done, loading = list[object](), SimpleNamespace(under_way=False)

    def begin(ended: frozenset[str]) -> None:
        loading.under_way = True
        done.append(ended)

    loading.begin = begin
    agent: Any = SimpleNamespace(
        filenos=lambda: (4, 5),
        listener=SimpleNamespace(fileno=lambda: 4),
        receive=lambda: queue.pop(0) if queue else None,
        send=done.append,
    )
    taker: Any = SimpleNamespace(take=lambda told, _now_ns: done.append(told))
    nothing: Any = None
    faked: Any = loading
    messages = AgentMessages(
        SharedState.create(str(tmp_path / "state.shm")),
        agent,
        {},
        loading=faked,
        inputs=taker,
        recorder=nothing,
        caught_up_ns=lambda: 0,
        is_stopping=lambda: False,
    )
    messages.receive(5, 0)
    assert done == [frozenset({"old"})]
    assert messages.filenos() == ()
    loading.under_way = False
    assert messages.filenos() == (4, 5)
    messages.receive(5, 0)
    assert done[1:] == [
        {"a": Inputs(7, 9, faulty=False)},
        {"type": "refused", "error": "type: 'odd' is unknown"},
    ]
