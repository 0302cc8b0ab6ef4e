"""``helm test``: the program that it runs, with the chart's rights for it, on a whole lab."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.chart.helm import NEWEST, only, rendered
from tests.eventually import eventually

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster
NAME = "kube-vrrp-test"
ADDRESS = "192.0.2.77"
_CHART_TEST = ("--set", f"test.address={ADDRESS}/24,test.timeoutSeconds=60")


@pytest.fixture(scope="module")
def kubeconfig(lab: Lab) -> Path:
    """Credentials of the service account that the chart's test has."""
    manifests = rendered(NEWEST, *_CHART_TEST, "--show-only", "templates/tests/address.yaml")
    rights = [m for m in manifests if m["kind"] != "Pod"]
    lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(rights), check=True)
    return lab.control_plane.service_account_kubeconfig("test", None)


def command(lab: Lab, kubeconfig: Path, address: str, timeout_s: int) -> list[str]:
    """Return the command of the chart's pod, with another address and time."""
    pod = only(rendered(NEWEST, *_CHART_TEST), "Pod")
    arguments = [
        argument.replace(f"{ADDRESS}/24", address).replace("=60", f"={timeout_s}")
        for argument in pod["spec"]["containers"][0]["args"]
    ]
    return [sys.executable, "-m", "vrrp_operator", *arguments, "--kubeconfig", str(kubeconfig)]


def run(
    lab: Lab, kubeconfig: Path, address: str, timeout_s: int = 60
) -> subprocess.CompletedProcess[str]:
    return lab.control_plane.host.exec(*command(lab, kubeconfig, address, timeout_s))


def left(lab: Lab) -> str:
    return lab.kubectl("get", "vip", "-o", "name").stdout


def test_an_address_is_tried_and_leaves_nothing(lab: Lab, kubeconfig: Path) -> None:
    ended = run(lab, kubeconfig, f"{ADDRESS}/24")
    assert ended.returncode == 0, ended.stderr
    assert f"{ADDRESS} answers after" in ended.stdout or f"{ADDRESS}/24 answers" in ended.stdout
    assert left(lab) == ""
    eventually(lambda: not lab.holders(ADDRESS), within_s=20)


def test_an_address_that_is_refused_says_why(lab: Lab, kubeconfig: Path) -> None:
    ended = run(lab, kubeconfig, f"{lab.nodes[0].host.address}/24", timeout_s=5)
    assert ended.returncode == 1
    assert "Accepted=False AddressIsNodeAddress" in ended.stderr
    assert left(lab) == ""


def test_what_an_earlier_trial_left_behind_is_replaced(lab: Lab, kubeconfig: Path) -> None:
    manifest = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": NAME},
        "spec": {"addresses": [{"address": "192.0.2.78/24"}]},
    }
    lab.kubectl("create", "-f", "-", stdin=yaml.safe_dump(manifest), check=True)
    ended = run(lab, kubeconfig, f"{ADDRESS}/24")
    assert ended.returncode == 0, ended.stderr
    assert "was left behind by an earlier trial; deleted" in ended.stdout
    assert left(lab) == ""


def test_a_trial_that_is_stopped_removes_its_address(
    lab: Lab, kubeconfig: Path, tmp_path: Path
) -> None:
    # The operator is away, so that the trial waits.
    lab.operator.stop()
    waiting = command(lab, kubeconfig, f"{ADDRESS}/24", 60)
    process = lab.control_plane.host.namespace.start(waiting, log=tmp_path / "trial.log")
    eventually(lambda: NAME in left(lab), within_s=30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1
    assert left(lab) == ""
    lab.operator.start()
