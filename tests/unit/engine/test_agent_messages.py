"""What the engine tells its agent without being asked: that what it reports has changed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vrrp_speaker.engine.agent_messages import AgentMessages
from vrrp_speaker.shared_state import ForeignRouter, SharedState
from vrrp_speaker.shared_state import layout as shm

TEN_S = shm.SIGHTING_NS


def test_agent_is_told_once_of_what_it_reports_and_never_of_what_is_as_it_was(
    tmp_path: Path,
) -> None:
    shared, sent = SharedState.create(str(tmp_path / "state.shm")), list[dict[str, Any]]()
    agent: Any = SimpleNamespace(send=sent.append, dropped=0)
    messages = AgentMessages(shared, agent, lambda: 0, lambda *_: None)
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
