"""A speaker keeps the signals that come before it can do anything about them."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace

import pytest

from vrrp_speaker.__main__ import main


def test_signals_that_end_it_wait_while_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def supervise(_options: object, _arguments: object) -> int:
        kept.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return 0

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setitem(
        sys.modules, "vrrp_speaker.supervisor.supervisor", SimpleNamespace(supervise=supervise)
    )
    monkeypatch.setattr(sys, "argv", ["vrrp-speaker", "--node", "node-1"])
    try:
        assert main() == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert {signal.SIGTERM, signal.SIGINT} <= kept[0]
