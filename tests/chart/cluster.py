"""A release of the chart on a real API server; nothing runs the pods."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.chart.crds import CHART, VERSION
from tests.chart.helm import run_helm
from tests.eventually import eventually

from vrrp_lab.control_plane import ControlPlane

_AS_MADE = {
    "meta.helm.sh/release-name": "kube-vrrp",
    "meta.helm.sh/release-namespace": "kube-vrrp",
    "kube-vrrp.io/version": VERSION,
}
"""Annotations of kinds that the next test may find; tidying them away costs seconds."""
Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server, asked by one major of Helm."""

    plane: ControlPlane
    major: int

    def helm(self, *arguments: str) -> Ended:
        """Run Helm on the cluster."""
        return run_helm(self.major, *arguments, kubeconfig=self.plane.kubeconfig)

    def install(self, *flags: str, name: str = "kube-vrrp", namespace: str = "kube-vrrp") -> Ended:
        """Install the chart; nothing runs pods here, so nobody waits for them."""
        where = ("--namespace", namespace, "--create-namespace")
        return self.helm("install", name, str(CHART), *where, *flags)

    def upgrade(self, *flags: str, name: str = "kube-vrrp", namespace: str = "kube-vrrp") -> Ended:
        """Upgrade a release to the chart with these values."""
        return self.helm("upgrade", name, str(CHART), "--namespace", namespace, *flags)

    def uninstall(self, name: str = "kube-vrrp", namespace: str = "kube-vrrp") -> Ended:
        """Uninstall a release."""
        return self.helm("uninstall", name, "--namespace", namespace)

    def kubectl(self, *arguments: str, obj: Any = None) -> str:
        """Run kubectl as the administrator; return what it printed.

        Raises:
            LabError: it failed.
        """
        stdin = json.dumps(obj) if obj is not None else None
        return self.plane.kubectl(*arguments, stdin=stdin, check=True).stdout

    def names(self, kind: str, *flags: str) -> set[str]:
        """Return the names of all objects of a kind."""
        listed = self.kubectl("get", kind, *flags, "-o", "name").split()
        return {name.rpartition("/")[2] for name in listed}

    def keys(self, name: str = "kube-vrrp-keys", namespace: str = "kube-vrrp") -> dict[str, str]:
        """Return what the key Secret holds; empty where there is none."""
        flags = ("-n", namespace, "--ignore-not-found", "-o", "json")
        found = self.kubectl("get", "secret", name, *flags)
        data = json.loads(found).get("data", {}) if found else {}
        return {file: base64.b64decode(value).decode() for file, value in data.items()}

    def delete_all(self, kind: str) -> None:
        """Delete all objects of a kind and wait until they are gone.

        Not with kubectl's own waiting: it stayed for two minutes after it had told of each.
        """
        self.kubectl("delete", kind, "--all", "--wait=false")
        eventually(lambda: not self.names(kind), within_s=60, every_s=0.2)

    def clear(self) -> None:
        """Remove every release, keys, and the kinds where the next test would mind them."""
        listed = json.loads(self.helm("list", "--all-namespaces", "-o", "json").stdout)
        for release in listed:
            self.uninstall(release["name"], release["namespace"])
        self.kubectl("delete", "secret", "--all", "-n", "kube-vrrp", "--ignore-not-found")
        kinds = json.loads(self.kubectl("get", "crd", "-o", "json"))["items"]
        notes = [kind["metadata"].get("annotations", {}) for kind in kinds]
        if len(kinds) != 3 or not all(note.items() >= _AS_MADE.items() for note in notes):
            self.delete_all("crd")
        else:
            self.delete_all("vip")
