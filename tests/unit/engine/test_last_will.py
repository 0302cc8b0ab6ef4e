"""What the supervisor does when no engine can run."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from tests.unit.engine.programs import packed, router_program
from tests.unit.engine.shared import snapshot

from vrrp_speaker.engine import last_will as last_will_module
from vrrp_speaker.engine.last_will import execute_last_will
from vrrp_speaker.engine.network.netlink import AddressNews, News, delete_address_request
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.shared_state import SharedState

OURS = AddressNews(2, packed("192.0.2.50"), 24, 112, True)
NODES = AddressNews(2, packed("192.0.2.11"), 24, 0, True)


class Requests:
    """Stands for the kernel's addresses."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def dump(self) -> list[News]:
        return [NODES, OURS]

    def request(self, message: bytes) -> int:
        self.made.append(message)
        return 0

    def close(self) -> None:
        """Nothing to do."""


def test_addresses_go_also_where_nobody_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = Requests()

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(last_will_module, "Transport", refuse)
    monkeypatch.setattr(last_will_module, "RequestSocket", lambda: requests)
    program = EngineProgram("n", 1, (router_program(),))
    monkeypatch.setattr(last_will_module, "stored_program", lambda _path: program)
    shared = SharedState.create(str(tmp_path / "state.shm"))
    with pytest.raises(OSError, match="Too many"):
        execute_last_will(shared, "")
    assert requests.made == [delete_address_request(OURS)]
    assert snapshot(shared).fencing["last_will"] == 1
