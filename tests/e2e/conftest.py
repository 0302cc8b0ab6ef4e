"""Installations that the tests of a module share."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import pytest
from tests.conftest import cannot_run
from tests.e2e import workloads
from tests.e2e.site import PATIENCE_S, Site

from vrrp_lab.kubelets.cluster import ClusterOptions, KubeletCluster
from vrrp_lab.kubelets.product import product_images
from vrrp_lab.namespaces import LabError


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--long``: as large as it gets, where that takes minutes."""
    parser.addoption("--long", action="store_true", help="e2e: the largest node, for the figures")


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test has failed, for what follows it."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(autouse=True)
def told_when_failed(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a failure, tell what operator and speakers have logged: the cluster goes with it."""
    yield
    if request.node.stash.get(_FAILED, False) and "site" in request.fixturenames:
        request.getfixturevalue("site").tell()


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Three nodes that have the images and nothing installed.

    ``REVISIONS`` of the module are further builds that the nodes have, commits by version.
    """
    try:
        folder = tmp_path_factory.mktemp("images")
        images = product_images(folder / "current")
        for version, revision in getattr(request.module, "REVISIONS", {}).items():
            images += product_images(folder / version, revision, version)
        cluster = KubeletCluster(ClusterOptions(images=images))
    except LabError as error:
        cannot_run(error)
    with cluster:
        yield Site(cluster)


@pytest.fixture(scope="module")
def installed(site: Site) -> Site:
    """The chart with its defaults, servers, and a VirtualIP in front of each kind of server."""
    site.cluster.kubectl("apply", "-f", "-", stdin=workloads.servers())
    with site.cluster.client.probe(workloads.SERVICE4) as probe:
        begun_ns = time.monotonic_ns()
        site.helm.install()
        ready_ns = time.monotonic_ns()
        site.cluster.kubectl("apply", "-f", "-", stdin=workloads.virtual_ips())
        applied_ns = time.monotonic_ns()
        answered_ns = probe.wait_answered(PATIENCE_S)
    site.say(
        f"helm install --wait {(ready_ns - begun_ns) / 1e9:.1f} s, "
        f"apply → first answer {(answered_ns - applied_ns) / 1e9:.1f} s, "
        f"together {(answered_ns - begun_ns) / 1e9:.1f} s"
    )
    site.wait_all_ready()
    site.steady({workloads.SERVICE: "", workloads.HOST: ""})
    return site
