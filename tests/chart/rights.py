"""What the lab applies: the chart's service accounts, roles and policies, as Helm renders them."""

from __future__ import annotations

from tests.chart.crds import CHART, ROOT
from tests.chart.helm import NEWEST, template

LAB_MANIFEST = ROOT / "lab" / "manifests" / "rights.yaml"
_HEAD = """\
# Service accounts, roles and policies of the chart, rendered by `make chart`: the lab has no Helm.
apiVersion: v1
kind: Namespace
metadata:
  name: kube-vrrp
  labels:
    pod-security.kubernetes.io/enforce: privileged # speakers use the host's network
"""


def lab_manifest() -> str:
    """Return the text of ``lab/manifests/rights.yaml``."""
    names = sorted(
        path.relative_to(CHART).as_posix()
        for pattern in ("serviceaccounts.yaml", "rbac-*.yaml", "policy-*.yaml")
        for path in (CHART / "templates").glob(pattern)
    )
    shown = [flag for name in names for flag in ("--show-only", name)]
    ended = template(NEWEST, *shown)
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line]
    return _HEAD + "\n".join(lines) + "\n"
