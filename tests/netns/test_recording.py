"""A recording of a real speaker tells the same story when it is replayed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.observe import state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
VIP = "pair"
MANIFEST = """
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {name: pair}
spec:
  addresses: [{address: 192.0.2.50/24}]
  nodePriorities: [{node: node-1, priority: 200}, {node: node-2, priority: 150}]
"""


@pytest.fixture
def recorded(standalone: Lab, tmp_path: Path) -> tuple[Node, Path]:
    """The best node, restarted with a recording, and the recording's file."""
    path, node = tmp_path / "events.jsonl", standalone.node("node-1")
    if node.running:
        node.stop_speaker()
    node.start_speaker("--record", str(path))
    eventually(lambda: state(node, VIP) == "Active", within_s=20)
    # An engine that finds a program is Active before it has an agent to tell.
    eventually(lambda: path.stat().st_size, within_s=20)
    return node, path


def test_replay_tells_what_the_speaker_reported(
    standalone: Lab, recorded: tuple[Node, Path]
) -> None:
    node, path = recorded
    node.host.cut_link()
    eventually(lambda: state(node, VIP) == "Fault", within_s=5)
    node.host.restore_link()
    eventually(lambda: state(node, VIP) == "Active", within_s=10)
    node.stop_speaker()
    told = subprocess.run(
        [sys.executable, "-m", "vrrp_cli", "replay", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    moves = [
        line.partition(" → ")[0].rpartition(" ")[2] for line in told.splitlines() if " → " in line
    ]
    logged = [
        line.partition("from=")[2].partition(" ")[0]
        for line in node.log.read_text().splitlines()
        if " transition " in line
    ]
    assert moves
    assert moves == logged[-len(moves) :]
    assert {"Active", "Fault", "Backup"} <= set(moves)
    assert not any("lost" in line for line in told.splitlines())


def test_recording_is_whole_lines_of_json(standalone: Lab, recorded: tuple[Node, Path]) -> None:
    node, path = recorded
    node.stop_speaker()  # until then the last line may be one that is just being written
    text = path.read_text()
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"router", "begins"} <= lines[0].keys()
