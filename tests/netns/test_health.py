"""Health checks that move an address, and those that had better not."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from tests.eventually import eventually
from tests.netns.inside import holders, manifest, states

from vrrp_lab.lab import Lab
from vrrp_lab.web import WebServer

pytestmark = pytest.mark.netns
NODES = 3
COMMON, STUBBORN = "common", "stubborn"
MANIFEST = (
    """
apiVersion: kube-vrrp.io/v1alpha1
kind: HealthCheck
metadata: {name: web}
spec: {http: {url: "http://127.0.0.1:8080/"}, interval: 100ms, rise: 1, fall: 1}
"""
    + manifest(COMMON, 50, "192.0.2.50/24", ranks=[1, 2, 3], spec="healthChecks: [{name: web}]")
    + manifest(
        STUBBORN, 51, "192.0.2.51/24", ranks=[1, 2, 3],
        spec="preemption: {mode: Never}, healthChecks: [{name: web, weight: -120}]",
    )
)  # fmt: skip
ADDRESSES = {COMMON: "192.0.2.50", STUBBORN: "192.0.2.51"}


class Site:
    """A web server that may be told to start when it runs."""

    def __init__(self, server: WebServer) -> None:
        self._server = server
        self._up = False

    def start(self) -> None:
        if not self._up:
            self._server.start()
            self._up = True

    def stop(self) -> None:
        self._server.stop()
        self._up = False


@pytest.fixture(scope="module")
def servers(sized: Lab) -> dict[str, Site]:
    return {node.name: Site(WebServer(node, sized.lan.processes)) for node in sized.nodes}


@pytest.fixture(autouse=True)
def everything_works(sized: Lab, servers: dict[str, Site]) -> None:
    """Start from node-1 with everything, whatever the test before did."""
    for server in servers.values():
        server.start()
    eventually(lambda: holders(sized)[COMMON] == "node-1", within_s=20)


def lost_during(lab: Lab, name: str, change: Callable[[], object], done: Callable[[], bool]) -> int:
    """Return how many probes of a VirtualIP were lost from a change until its effect."""
    with ExitStack() as stack:
        probe = stack.enter_context(lab.client.probe(ADDRESSES[name]))
        probe.wait_answered(30)
        since_ns = time.monotonic_ns()
        change()
        eventually(done, within_s=20, every_s=0.05)
        probe.wait_answered(30)
        return probe.report(since_ns).lost


def active(lab: Lab, name: str) -> list[str]:
    """Return the nodes that are Active."""
    return [node.name for node in lab.nodes if states(node).get(name) == "Active"]


def test_check_that_fails_everywhere_moves_nothing_until_one_recovers(
    sized: Lab, servers: dict[str, Site]
) -> None:
    def stop_all() -> None:
        for node in ("node-2", "node-3", "node-1"):
            servers[node].stop()

    def others_are_in_fault() -> bool:
        return [states(node)[COMMON] for node in sized.nodes[1:]] == ["Fault", "Fault"]

    assert lost_during(sized, COMMON, stop_all, others_are_in_fault) == 0
    # Longer than any wait for a successor.
    quiet_s = time.monotonic() + 1.5
    assert lost_during(sized, COMMON, lambda: None, lambda: time.monotonic() > quiet_s) == 0
    assert active(sized, COMMON) == ["node-1"]
    moved = lost_during(
        sized, COMMON, servers["node-3"].start, lambda: active(sized, COMMON) == ["node-3"]
    )
    assert moved == 0
    eventually(lambda: states(sized.node("node-1"))[COMMON] == "Fault", within_s=5)


def test_unhealthy_active_node_yields_although_nobody_may_preempt(
    sized: Lab, servers: dict[str, Site]
) -> None:
    [first] = active(sized, STUBBORN)
    best_other = next(node.name for node in sized.nodes if node.name != first)
    lost = lost_during(
        sized, STUBBORN, servers[first].stop, lambda: active(sized, STUBBORN) == [best_other]
    )
    assert lost == 0
    servers[first].start()
    eventually(lambda: active(sized, COMMON) == ["node-1"], within_s=20)
    assert active(sized, STUBBORN) == [best_other], "it preempted"
