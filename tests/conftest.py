"""Fixtures of the layers that need more than Python: network namespaces, a control plane.

A layer that cannot run says what is missing; under ``CI=true`` that is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from vrrp_lab.kubelets.cluster import ClusterOptions, KubeletCluster
from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.lan import Lan
from vrrp_lab.namespaces import LabError


def lab_or_skip(options: LabOptions) -> Iterator[Lab]:
    """Yield a running lab, or end the test as this machine deserves."""
    try:
        made = Lab(options)
    except LabError as error:
        cannot_run(error)
    with made:
        yield made


def kubelets_or_skip(options: ClusterOptions) -> Iterator[KubeletCluster]:
    """Yield a running cluster of real kubelets, or end the test as this machine deserves."""
    try:
        made = KubeletCluster(options)
    except LabError as error:
        cannot_run(error)
    with made:
        yield made


def cannot_run(error: Exception | str) -> NoReturn:
    """End a test whose layer lacks something on this machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"this layer cannot run: {error}")
    pytest.skip(str(error))  # a developer's machine may lack what CI has; CI fails above


@pytest.fixture
def lan() -> Iterator[Lan]:
    """A LAN of three hosts and a client, nothing running on them."""
    try:
        made = Lan(3)
    except LabError as error:
        cannot_run(error)
    with made:
        yield made


@pytest.fixture(scope="module")
def standalone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """Nodes with speakers and no control plane; they run the module's ``MANIFEST``."""
    manifest = tmp_path_factory.mktemp("manifest") / "manifest.yaml"
    manifest.write_text(request.module.MANIFEST)
    yield from lab_or_skip(LabOptions(standalone=(manifest,)))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A whole cluster for the tests of one module; each test leaves it as it found it."""
    yield from lab_or_skip(LabOptions())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured on the way: timings are told, never asserted."""
    measured = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "measured"
    ]
    if measured:
        terminalreporter.section("measured")
        for line in measured:
            terminalreporter.write_line(str(line))
