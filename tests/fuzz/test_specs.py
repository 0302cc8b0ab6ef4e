"""Some hundred VirtualIPs from the bounds of the schema; ``make fuzz`` takes thousands."""

from __future__ import annotations

import os

import pytest
from tests.fuzz.specs import Run
from tests.unit.engine.rig import Rig, rig
from tests.unit.engine.test_frame_sender import Wire

from vrrp_speaker.engine.neighbours import presence

__all__ = ["rig"]  # pytest finds fixtures by name
SEEDS = range(int(os.environ.get("SPECS", "200")))


def test_what_the_schema_allows_ends_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_echo_socket", lambda _family: Wire())
    run = Run(rig)
    for seed in SEEDS:
        try:
            run.seed(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    print(run.outcome)
    # Neither all refused nor all without a place, or little would be tried.
    assert run.outcome.ran > len(SEEDS) // 20
    assert run.outcome.refused > len(SEEDS) // 20
