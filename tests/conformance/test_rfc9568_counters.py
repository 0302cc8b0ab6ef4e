"""What RFC 9568 wants logged is counted: each reason and each oddity has a series of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.agent.node import engine, view

from vrrp.constants import RejectReason, State
from vrrp.observations import Observation
from vrrp_speaker.agent.serving.metrics import NodeCollector
from vrrp_speaker.shared_state import FencingReason, SharedState
from vrrp_speaker.shared_state import layout as shm


@pytest.fixture
def shared(tmp_path: Path) -> SharedState:
    return engine(tmp_path, State.BACKUP)


def series(shared: SharedState, name: str, label: str) -> dict[str, float]:
    """Return what a scrape shows of one metric, by the value of a label."""
    registry = CollectorRegistry()
    seen = view(shared, ("a",))
    registry.register(NodeCollector(lambda: seen))
    return {
        sample.labels.get(label, ""): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def count(shared: SharedState, fields: Iterable[int]) -> None:
    """Count each field of the shared state as often as its place in the list says."""
    for times, field in enumerate(fields, start=1):
        shared.add(field, times)


def test_every_reason_to_reject_is_a_series(shared: SharedState) -> None:
    count(shared, (shm.H_REJECTED + 8 * shm.REJECTIONS.index(reason) for reason in RejectReason))
    found = series(shared, "kube_vrrp_advertisements_rejected_total", "reason")
    assert found == {str(reason): n for n, reason in enumerate(RejectReason, start=1)}


def test_every_observation_is_a_series(shared: SharedState) -> None:
    count(
        shared,
        (shm.H_OBSERVED + 8 * shm.OBSERVATIONS.index(observation) for observation in Observation),
    )
    found = series(shared, "kube_vrrp_advertisements_observed_total", "observation")
    assert found == {str(observation): n for n, observation in enumerate(Observation, start=1)}


def test_lateness_and_late_wakes_are_series(shared: SharedState) -> None:
    shared.add(shm.H_LATENESS + 8 * len(shm.LATENESS_BOUNDS_NS), 2)
    shared.add(shm.H_FENCED + 8 * shm.FENCINGS.index(FencingReason.LATE_WAKE), 3)
    assert series(shared, "kube_vrrp_loop_lateness_seconds_bucket", "le")["+Inf"] == 2
    assert series(shared, "kube_vrrp_fencing_total", "reason")["late_wake"] == 3
