"""The chart, installed into a cluster of real kubelets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from vrrp_lab.kubelets.cluster import KubeletCluster
from vrrp_lab.kubelets.product import ROOT
from vrrp_lab.namespaces import LabError
from vrrp_lab.programs import find_or_build

CHART = ROOT / "charts" / "kube-vrrp"
RELEASE = NAMESPACE = "kube-vrrp"
_WAIT_S = 400


class Helm:
    """Helm as the administrator runs it; releases go into one namespace."""

    def __init__(self, cluster: KubeletCluster, major: int = 4) -> None:
        self._cluster = cluster
        self._program = find_or_build(f"helm{major}")
        self._home = cluster.work_dir / "helm"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run helm.

        Raises:
            LabError: it failed and ``check`` is set.
        """
        environment = {
            "KUBECONFIG": str(self._cluster.control_plane.kubeconfig),
            "PATH": "/usr/bin:/bin",
            "HOME": str(self._home),
        }
        command = [str(self._program), *arguments, "--namespace", NAMESPACE]
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=600, check=False
        )
        if check and ended.returncode:
            raise LabError(f"helm {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended

    def install(
        self,
        values: Mapping[str, Any] | None = None,
        *flags: str,
        release: str = RELEASE,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Install the chart and wait until all of it is ready."""
        arguments = ("install", release, str(CHART), "--create-namespace", *_values(values))
        return self.run(*arguments, *_patience(), *flags, check=check)

    def upgrade(self, values: Mapping[str, Any] | None = None, *flags: str) -> None:
        """Upgrade the release to these values alone and wait until all of it is ready."""
        arguments = ("upgrade", RELEASE, str(CHART), "--reset-values", *_values(values))
        self.run(*arguments, *_patience(), *flags)
        self.wait_rolled_out()

    def wait_rolled_out(self) -> None:
        """Wait until every node runs what the release says: ``--wait`` may leave one out."""
        for workload in ("daemonset/kube-vrrp-speaker", "deployment/kube-vrrp-operator"):
            status = ("rollout", "status", workload, f"--timeout={_WAIT_S}s")
            self._cluster.kubectl("--namespace", NAMESPACE, *status, within_s=_WAIT_S + 5)


def _values(values: Mapping[str, Any] | None) -> tuple[str, ...]:
    if not values:
        return ()
    return tuple(f"--set-json={key}={json.dumps(value)}" for key, value in values.items())


def _patience() -> tuple[str, str]:
    return "--wait", f"--timeout={_WAIT_S}s"
