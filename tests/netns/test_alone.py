"""A Virtual Router without peers is alone: it never multicasts (architecture §4.2)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, manifest
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
            probe.wait_answered(30)
            since_ns = time.monotonic_ns()
            eventually(lambda: time.monotonic_ns() - since_ns > 2_000_000_000, within_s=5)
            frames = capture.until_now(since_ns)
        assert len(frames) > 100
        assert [f for f in frames if f.is_vrrp] == []
        assert metric(node, "kube_vrrp_advertisements_sent_total") == 0


def test_a_peer_that_the_kernel_sends_nothing_to_costs_the_node_nothing(tmp_path: Path) -> None:
    """To a broadcast address, as to whatever a route prohibits, the kernel answers EACCES."""
    manifest_file = tmp_path / "manifest.yaml"
    peers = "transport: {externalPeers: [192.0.2.255]}"
    manifest_file.write_text(manifest("wrong", 51, "192.0.2.51", ranks=[1], spec=peers))
    with Lab(LabOptions(nodes=1, standalone=(manifest_file,))) as lab:
        (node,) = lab.nodes
        eventually(lambda: state(node, "wrong") == "Active", within_s=15)
        first = metric(node, "kube_vrrp_send_errors_total")
        eventually(lambda: metric(node, "kube_vrrp_send_errors_total") > first + 5, within_s=10)
        assert engine(node).engine_starts == 1
