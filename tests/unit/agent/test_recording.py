"""The recording's file: whole lines, bounded, the one before kept."""

from __future__ import annotations

import json
from pathlib import Path

from vrrp_speaker.agent.recording import RecordingFile


def test_lines_are_appended_and_a_full_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    recording = RecordingFile(path, max_bytes=40)
    recording.begin()
    assert not recording.append({"router": "a", "n": 1})
    assert recording.append({"router": "a", "n": 2})
    recording.begin()
    recording.append({"router": "a", "n": 3})
    kept = [json.loads(line) for line in (tmp_path / "events.jsonl.1").read_text().splitlines()]
    assert [line["n"] for line in kept] == [1, 2]
    assert json.loads(path.read_text())["n"] == 3
