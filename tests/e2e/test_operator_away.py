"""The operator is away for five minutes, and meanwhile a node fails and comes back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.e2e.site import Site, clock, lost, reports, summary
from tests.e2e.workloads import HOST, HOST4, SERVICE, SERVICE4, many_virtual_ips
from tests.eventually import eventually

from vrrp_lab.kubelets.helm import NAMESPACE

pytestmark = pytest.mark.kubelets
BOTH = {SERVICE: SERVICE4, HOST: HOST4}
_AWAY_S = 300.0
"""As long as it takes until an operator would replace a node that is gone."""


def test_operator_that_is_away_is_missed_by_nobody(installed: Site) -> None:
    scale(installed, 0)
    eventually(lambda: not installed.pods("operator"), within_s=60, every_s=0.5)
    begun_s = time.monotonic()
    node = next(n for n in installed.cluster.nodes if n.holds(SERVICE4))
    with installed.probed(SERVICE4) as probes:
        off_ns = time.monotonic_ns()
        node.power_off()
        probes[SERVICE4].wait_answered(120)
        off = reports(probes, off_ns)
        taken_ns = time.monotonic_ns()
        eventually(lambda: time.monotonic() - begun_s >= _AWAY_S, within_s=_AWAY_S + 5, every_s=1)
        away = reports(probes, taken_ns)
        since, back_ns = clock(), time.monotonic_ns()
        node.power_on()
        installed.cluster.wait_ready(node)
        scale(installed, 1)
        installed.wait_all_ready()
        installed.steady(BOTH)
        back = reports(probes, back_ns)
    moved = {name: installed.takeovers(name, since) for name in BOTH}
    installed.say(
        f"operator away, power off: {summary(off)}; the rest of {_AWAY_S:.0f} s: {summary(away)}; "
        f"node and operator back: {summary(back)}, takeovers {moved}"
    )
    assert lost(away) == {}
    assert lost(back) == {}


def scale(site: Site, replicas: int) -> None:
    deployment = ("scale", "deployment/kube-vrrp-operator", f"--replicas={replicas}")
    site.cluster.kubectl("--namespace", NAMESPACE, *deployment)


_MANY, _MOST = 40, 250
"""VirtualIPs; the most are nearly every virtual router ID of a cluster, and take minutes."""


def test_many_virtual_ips_fit_into_the_memory_limits(
    installed: Site, pytestconfig: pytest.Config
) -> None:
    count = _MOST if pytestconfig.getoption("long", default=False) else _MANY
    installed.memory("two VirtualIPs")
    many, addresses = many_virtual_ips(count, network="10.9.0")
    begun_s = time.monotonic()
    installed.cluster.kubectl("create", "-f", "-", stdin=many, within_s=400)
    installed.steady(addresses, within_s=400)
    seconds = time.monotonic() - begun_s
    installed.say(f"{count} VirtualIPs applied and Ready in {seconds:.0f} s")
    for component, memory, limit_bytes in installed.memory(f"{count} VirtualIPs more"):
        assert memory.refused == 0, component
        assert memory.resting_bytes < limit_bytes, component
    assert all(restarts(pod) == 0 for pod in installed.pods("operator"))


def restarts(pod: dict[str, Any]) -> int:
    return sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
