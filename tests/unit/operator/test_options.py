"""The operator's command line."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from vrrp_operator.options import add_reserved_vrids


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


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("7", {7}), ("1-3,51", {1, 2, 3, 51}), ("1-255", set(range(1, 256))), ("5, 5-5", {5})],
)
def test_reserved_numbers_are_lists_and_ranges(text: str, numbers: set[int]) -> None:
    parser = ArgumentParser()
    add_reserved_vrids(parser)
    assert parser.parse_args(["--reserved-vrids", text]).reserved_vrids == numbers


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a number from 1 to 255"),
        ("0", "'0' is not a number"),
        ("1-256", "'1-256' is not"),
        ("1,,2", "'' is not"),
        ("1--3", "'1--3' is not"),
        ("a", "'a' is not"),
        ("9-3", "'9-3' begins after its end"),
    ],
)
def test_reserved_numbers_that_cannot_be_are_refused(text: str, why: str) -> None:
    ended = run("--reserved-vrids", text)
    assert ended.returncode == 2
    assert "--reserved-vrids" in ended.stderr
    assert why in ended.stderr
    assert "(accepted: 1-10,51)" in ended.stderr


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
