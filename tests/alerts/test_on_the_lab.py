"""A real Prometheus scrapes the lab; for every alert a fault is made, it fires, and is resolved."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.alerts.lab_faults import (
    ADDRESSES,
    HOLDER,
    Track,
    of_addresses,
    of_nodes,
    of_the_data_plane,
    prepare,
)
from tests.alerts.play import PREFIX, Row, play
from tests.alerts.prometheus import Prometheus
from tests.alerts.rules import alerts, groups
from tests.alerts.scaled import FACTOR, scaled
from tests.conftest import cannot_run, lab_or_skip
from tests.eventually import eventually
from tests.netns.clock import Clock
from tests.netns.inside import states

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.namespaces import LabError

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Prometheus]]:
    """A cluster with all its VirtualIPs at home, scraped, and nothing to complain of."""
    for lab in lab_or_skip(LabOptions()):
        try:
            prometheus = Prometheus(lab, tmp_path_factory.mktemp("prometheus"))
        except LabError as error:
            cannot_run(error)
        prepare(lab)
        eventually(partial(at_home, lab), within_s=240, every_s=0.2)
        with prometheus:
            yield lab, prometheus


def at_home(lab: Lab) -> bool:
    """Return whether every node takes part in every election, and one holds all addresses."""
    for node in lab.nodes:
        wanted = "Active" if node.name == HOLDER else "Backup"
        assert states(node) == dict.fromkeys(ADDRESSES, wanted), node.name
    return True


def text_of(row: Row) -> str:
    alert = f"{row.alert} ({row.labels})" if row.labels else row.alert
    return f"{alert:54} {row.fault:54} fires {row.fires_s:5.1f} s, resolved {row.resolved_s:5.1f} s"


def played(
    watched: tuple[Lab, Prometheus], tracks: tuple[Track, ...], request: pytest.FixtureRequest
) -> None:
    lab, prometheus = watched
    rows = play(lab, prometheus, tracks)
    request.node.user_properties += [("measured", text_of(row)) for row in rows]
    assert {row.alert for row in rows} == {
        PREFIX + name for track in tracks for fault in track for name, _ in fault.raises
    }


def test_faults_of_addresses(
    watched: tuple[Lab, Prometheus], request: pytest.FixtureRequest
) -> None:
    played(watched, of_addresses(), request)


def test_faults_of_the_data_plane_with_api_server_and_operator_away(
    watched: tuple[Lab, Prometheus], request: pytest.FixtureRequest
) -> None:
    played(watched, of_the_data_plane(), request)


def test_faults_of_nodes(
    watched: tuple[Lab, Prometheus], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    played(watched, of_nodes(lambda node: Clock(node, tmp_path)), request)


def test_nothing_is_left_to_complain_of(watched: tuple[Lab, Prometheus]) -> None:
    _, prometheus = watched
    eventually(lambda: not prometheus.firing(), within_s=240)


def test_every_alert_has_a_fault() -> None:
    tracks = (*of_addresses(), *of_the_data_plane(), *of_nodes(lambda node: Clock(node, Path())))
    raised = {PREFIX + name for track in tracks for fault in track for name, _ in fault.raises}
    assert raised == {alert.name for alert in alerts()}


def test_times_are_divided_and_nothing_else_is_changed() -> None:
    found = {rule["alert"]: rule for group in scaled(groups())["groups"] for rule in group["rules"]}
    assert FACTOR == 24
    assert found["KubeVRRPNoStandby"]["for"] == "12500ms"
    assert "[2500ms]" in found["KubeVRRPTwoHolders"]["expr"]
    assert "[12500ms] offset 12500ms" in found["KubeVRRPFailover"]["expr"]
    assert found["KubeVRRPOperatorStalled"]["expr"].strip().endswith("> 20")
    for alert in alerts():
        assert found[alert.name]["labels"] == alert.labels
        assert found[alert.name]["annotations"] == alert.annotations
