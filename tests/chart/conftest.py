"""API servers for tests of the chart: one with the chart's rights, one with nothing on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.chart.cluster import Cluster
from tests.chart.helm import MAJORS, NEWEST
from tests.conftest import cannot_run, lab_or_skip

from vrrp_lab.control_plane import ControlPlane
from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.lan import Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.programs import control_plane_programs, find_or_build


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Helm of both majors and kube-score: from the cache, or built now."""
    try:
        for name in (*(f"helm{major}" for major in MAJORS), "kube-score"):
            find_or_build(name)
    except LabError as error:
        cannot_run(error)


@pytest.fixture(scope="module")
def api() -> Iterator[Lab]:
    """An API server with our kinds and the chart's rights, as the lab applies them; three nodes."""
    yield from lab_or_skip(LabOptions(start_operator=False, start_speakers=False))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server on which nothing is installed."""
    folder = tmp_path_factory.mktemp("control-plane")
    try:
        lan = Lan(1)
    except LabError as error:
        cannot_run(error)
    with lan:
        yield ControlPlane(lan, control_plane_programs(), folder)


@pytest.fixture
def newest(plane: ControlPlane) -> Iterator[Cluster]:
    """The API server and the newest Helm, for what does not differ between majors."""
    made = Cluster(plane, NEWEST)
    yield made
    made.clear()


@pytest.fixture(params=MAJORS, ids="helm{}".format)
def cluster(request: pytest.FixtureRequest, plane: ControlPlane) -> Iterator[Cluster]:
    """The API server and one major of Helm; every release is gone afterwards."""
    made = Cluster(plane, request.param)
    yield made
    made.clear()
