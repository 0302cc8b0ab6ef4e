"""A Virtual Router without peers is alone: it never multicasts (architecture §4.2)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.observe import Capture, metric, state
from tests.netns.test_configuration import virtual_ip

from vrrp_lab.lab import Lab, LabOptions

pytestmark = pytest.mark.netns


def test_a_node_without_peers_holds_the_address_and_sends_no_advertisement(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(virtual_ip("alone", "192.0.2.50"))
    with Lab(LabOptions(nodes=1, standalone=(manifest,))) as lab:
        (node,) = lab.nodes
        eventually(lambda: state(node, "alone") == "Active", within_s=15)
        with Capture(node.host) as capture, lab.client.probe("192.0.2.50") as probe:
            probe.wait_answered(5)
            since_ns = time.monotonic_ns()
            eventually(lambda: time.monotonic_ns() - since_ns > 2_000_000_000, within_s=5)
            frames = capture.until_now(since_ns)
        assert len(frames) > 100
        assert [f for f in frames if f.is_vrrp] == []
        assert metric(node, "kube_vrrp_advertisements_sent_total") == 0
