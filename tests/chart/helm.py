"""Helm of both majors, offline."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.chart.crds import CHART

from vrrp_lab.programs import find_or_build

MAJORS = (3, 4)
NEWEST = 4
KUBERNETES = "1.34.0"
"""What Helm is told that the cluster is: without one, a Helm built from its module assumes 1.20."""

Manifest = Mapping[str, Any]


def run_helm(
    major: int, *arguments: str, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Helm; without a kubeconfig it finds no cluster, whatever this machine has.

    Raises:
        LabError: it is not cached and cannot be built.
    """
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or os.devnull)}
    return subprocess.run(
        [str(find_or_build(f"helm{major}")), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def template(
    major: int,
    *arguments: str,
    release: str = "kube-vrrp",
    namespace: str = "kube-vrrp",
    kubernetes: str = KUBERNETES,
) -> subprocess.CompletedProcess[str]:
    """Render the chart as a release that Helm cannot see the cluster of."""
    return run_helm(
        major, "template", release, str(CHART), "--namespace", namespace,
        "--kube-version", kubernetes, *arguments,
    )  # fmt: skip


def rendered(major: int, *arguments: str, **release: str) -> list[Manifest]:
    """Return the objects that the chart renders, in Helm's order.

    Raises:
        AssertionError: it does not render; the message is Helm's.
    """
    ended = template(major, *arguments, **release)
    assert ended.returncode == 0, ended.stderr
    return objects(ended.stdout)


def objects(text: str) -> list[Manifest]:
    """Return the objects of a stream of documents; comments alone are none."""
    return [document for document in yaml.safe_load_all(text) if document]


def only(manifests: Sequence[Manifest], kind: str, ending: str = "") -> Manifest:
    """Return the one object of a kind whose name ends so."""
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(ending)]
    assert len(found) == 1, [m["metadata"]["name"] for m in found]
    return found[0]
