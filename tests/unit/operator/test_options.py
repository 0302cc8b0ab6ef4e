"""The operator's command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vrrp_operator", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["", "Cluster", "../cluster", "cluster.1", "k" * 64])
def test_default_key_that_no_file_can_have_is_refused(name: str) -> None:
    ended = run("--default-key-name", name)
    assert ended.returncode == 2
    assert "--default-key-name" in ended.stderr
    assert f"{name!r} is not a DNS label (accepted: cluster)" in ended.stderr


@pytest.mark.parametrize("flag", ["--default-key-name", "--default-key-ref"])
def test_key_s_name_is_taken_and_the_missing_kubeconfig_is_not(flag: str, tmp_path: Path) -> None:
    """The former name too: an earlier version knows no other, and charts give it to both."""
    ended = run(flag, "cluster", "--kubeconfig", tmp_path / "absent")
    assert ended.returncode == 4
    assert ended.stderr.startswith("vrrp-operator: Invalid kube-config file")


@pytest.mark.parametrize("name", ["Kube", "kube/vrrp", "n" * 64])
def test_namespace_of_the_lease_that_cannot_be_one_is_refused(name: str) -> None:
    ended = run("--lease-namespace", name)
    assert ended.returncode == 2
    assert f"{name!r} is not a DNS label (accepted: kube-vrrp)" in ended.stderr


def test_namespace_of_the_lease_comes_by_the_environment_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEASE_NAMESPACE", "Kube")
    ended = run("--log-level", "info")
    assert ended.returncode == 2
    assert "'Kube' is not a DNS label (accepted: kube-vrrp)" in ended.stderr
