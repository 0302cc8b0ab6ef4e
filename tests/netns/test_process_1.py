"""A speaker that is process 1 itself: the kernel drops what such a process does not ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import lab_or_skip
from tests.eventually import eventually

from vrrp_lab.lab import LabOptions
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
MANIFEST = """\
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {name: web}
spec: {virtualRouterID: 51, addresses: [{address: 192.0.2.50/24}]}
"""
AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL")


def keeps_sigterm(pid: int) -> bool:
    """Return whether a signal to the speaker waits or is handled.

    Before it is the speaker the process is unshare, which blocks the signal for a moment of its
    own and then lets it go: the kernel drops one that comes then.
    """
    if Path(f"/proc/{pid}/comm").read_text().strip() == AS_PROCESS_1[0]:
        return False
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigBlk", "SigCgt"))]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node whose speaker does not run yet."""
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(MANIFEST)
    options = LabOptions(nodes=1, standalone=(manifest,), start_speakers=False)
    for lab in lab_or_skip(options):
        yield lab.nodes[0]


def test_sigterm_in_its_first_moments_ends_it(node: Node) -> None:
    node.start_speaker(under=AS_PROCESS_1)
    outer = node.processes()["supervisor"]  # unshare, which waits for process 1
    children = Path(f"/proc/{outer}/task/{outer}/children")
    pid = int(eventually(lambda: children.read_text().split(), within_s=20)[0])
    eventually(lambda: keeps_sigterm(pid), within_s=20, every_s=0.001)
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not node.running, within_s=20)
    assert not node.holds("192.0.2.50")
