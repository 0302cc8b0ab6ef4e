"""kubectl-vrrp replay: the story of a recording, and what is wrong with a bad one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vrrp.events import AdvertisementReceived, DeadlineReached, Event, Startup
from vrrp.recording import event_object, router_object
from vrrp.states import Parameters
from vrrp.virtual_router import VirtualRouter

MS = 1_000_000
PARAMETERS = Parameters(3, 200, 200 * MS, 3, True, 0, b"\xc0\0\2\x0b")
PEER = b"\xc0\0\2\x0c"
DOWN_NS = 643_750_000  # three intervals and (256 − 200) · 200 ms / 256


def recording(path: Path, *history: tuple[Event, int]) -> Path:
    lines: list[dict[str, object]] = [
        {"router": "pair", "begins": router_object(VirtualRouter(PARAMETERS))}
    ]
    lines += [{"router": "pair", "atNs": at, "event": event_object(e)} for e, at in history]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def replay(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vrrp_cli", "replay", *flags, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_replay_tells_what_changed_and_when(tmp_path: Path) -> None:
    path = recording(
        tmp_path / "r.jsonl",
        (Startup(), 1_000 * MS),
        (DeadlineReached(), 1_000 * MS + DOWN_NS),
        (DeadlineReached(), 1_200 * MS + DOWN_NS),
        (AdvertisementReceived(PEER, 250, 20), 1_250 * MS + DOWN_NS),
    )
    told = replay(path)
    assert told.returncode == 0
    first, second, third = told.stdout.splitlines()
    assert "0.000000  pair  Startup(first=False): Initialize → Backup (Startup)" in first
    assert "0.643750  pair  DeadlineReached(): advertise 200, BindAddresses" in second
    assert "Backup → Active (ActiveDownTimerExpired); Active, advertises in 200.0 ms" in second
    assert "source=c000020c, priority=250" in third
    assert "Active → Backup (HigherPriorityAdvertisement)" in third


def test_replay_all_tells_every_event(tmp_path: Path) -> None:
    path = recording(
        tmp_path / "r.jsonl", (Startup(), 0), (AdvertisementReceived(PEER, 250, 20), 5 * MS)
    )
    assert len(replay(path).stdout.splitlines()) == 1
    assert "nothing; Backup, takes over in 643.8" in replay(path, "--all").stdout


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense\n", "line 1: "),
        ("{}\n", "line 1: KeyError: 'router'"),
    ],
)
def test_replay_of_a_damaged_file_names_the_line(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    told = replay(path)
    assert told.returncode == 1
    assert f"{path}: {complaint}" in told.stderr


def test_replay_of_a_missing_file_says_so(tmp_path: Path) -> None:
    told = replay(tmp_path / "absent")
    assert told.returncode == 1
    assert "absent: " in told.stderr
    assert "Traceback" not in told.stderr
