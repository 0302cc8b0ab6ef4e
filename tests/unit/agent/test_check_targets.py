"""Whom checks may ask: the policy, and every kind of check held to it where it asks."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.checks import probe, settings

from vrrp_api.check_kinds import CheckKind, GrpcCheck, HttpCheck, PingCheck, TcpCheck
from vrrp_speaker.agent.checks.routes import Address, Distance
from vrrp_speaker.agent.checks.targets import (
    TargetNotAllowed,
    Targets,
    TargetsError,
    parse_targets,
)
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.options import ANYWHERE, DEFAULT_TARGETS, parse_options

OWN, NEAR, FAR = "192.0.2.11", "192.0.2.1", "203.0.113.9"


def _distance(address: Address) -> Distance:
    places = {OWN: Distance.NODE, NEAR: Distance.SUBNET, "127.0.0.1": Distance.NODE}
    return places.get(str(address), Distance.BEYOND)


def targets(*entries: str) -> Targets:
    return replace(parse_targets(entries), distance=_distance)


def allowed(made: Targets, address: str) -> bool:
    try:
        made.require(address)
    except TargetNotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (("Node",), {OWN}),
        (("Subnets",), {NEAR}),
        (("Node", "Subnets"), {OWN, NEAR}),
        (("203.0.113.0/24",), {FAR}),
        (("203.0.113.9", "Node"), {OWN, FAR}),
        (("203.0.113.9/24",), {FAR}),
        (ANYWHERE, {OWN, NEAR, FAR}),
        (("::/0",), set()),
    ],
)
def test_only_what_is_listed_may_be_asked(entries: tuple[str, ...], expected: set[str]) -> None:
    made = targets(*entries)
    assert {address for address in (OWN, NEAR, FAR) if allowed(made, address)} == expected


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.20.10",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "fe80::1%lo",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.18",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_some_are_never_asked(address: str) -> None:
    everything = replace(
        parse_targets(("Node", "Subnets", *ANYWHERE, f"{address.partition('%')[0]}")),
        distance=lambda _: Distance.NODE,
    )
    assert not allowed(everything, address)


def test_an_ipv4_address_in_ipv6_is_judged_as_what_it_is() -> None:
    assert allowed(targets("Subnets"), f"::ffff:{NEAR}")
    assert not allowed(targets("Subnets", "::/0"), f"::ffff:{FAR}")


def test_the_unspecified_address_is_the_node() -> None:
    assert allowed(targets("Node"), "0.0.0.0")
    assert allowed(targets("Node"), "::")
    assert not allowed(targets("Subnets"), "::")


def test_a_refusal_names_the_address_and_what_would_be_accepted() -> None:
    with pytest.raises(TargetNotAllowed) as refused:
        targets("Node", "10.96.0.0/12").require(FAR)
    assert str(refused.value) == (
        f"TargetNotAllowed: {FAR} is not among --check-targets (accepted: Node, 10.96.0.0/12)"
    )


@pytest.mark.parametrize("entries", [("node",), ("10.0.0.0/33",), ("gateway",), ()])
def test_a_wrong_list_is_refused_by_name(entries: tuple[str, ...]) -> None:
    with pytest.raises(TargetsError, match=r"--check-targets: .*accepted: Node, Subnets"):
        parse_targets(entries)


@pytest.mark.parametrize(
    ("environment", "flags", "expected"),
    [
        (None, (), DEFAULT_TARGETS),
        (None, ("--config", "node.yaml"), ANYWHERE),
        ("Node, 10.0.0.0/8", (), ("Node", "10.0.0.0/8")),
        ("Node", ("--check-targets", "Subnets"), ("Subnets",)),
        ("Node", ("--config", "node.yaml"), ("Node",)),
        ("", (), ()),
    ],
)
def test_the_flag_goes_before_the_environment_and_that_before_the_default(
    environment: str | None,
    flags: tuple[str, ...],
    expected: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHECK_TARGETS", raising=False)
    if environment is not None:
        monkeypatch.setenv("CHECK_TARGETS", environment)
    assert parse_options(["--node", "n", *flags]).check_targets == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", ""])
def test_runs_per_second_are_at_least_one(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--node", "n", f"--check-runs-per-second={text}"])
    assert "must be an integer of at least 1" in capsys.readouterr().err


# Where questions are sent --------------------------------------------------------------

KINDS: list[CheckKind] = [
    HttpCheck("http://probed.example:80/", "GET", (), ((200, 399),), None, False),
    TcpCheck("probed.example:80"),
    GrpcCheck("probed.example:80", ""),
    PingCheck(FAR),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_no_kind_asks_whom_it_may_not(
    kind: CheckKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolve(monkeypatch, FAR)
    sockets: list[Any] = []
    monkeypatch.setattr(socket, "socket", lambda *given, **_: sockets.append(given))
    made = settings(tmp_path, targets=targets("Node", "Subnets"))
    refusal = f"TargetNotAllowed: {FAR} is not among --check-targets (accepted: Node, Subnets)"
    assert probe(made, kind) == Result(False, refusal)
    assert sockets == []


def test_of_a_name_only_the_addresses_that_may_be_asked_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings(tmp_path, targets=targets("Node"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        _resolve(monkeypatch, FAR, "127.0.0.1", port=port)
        assert probe(made, TcpCheck(f"probed.example:{port}")) == Result(True)
    _resolve(monkeypatch, FAR, "127.0.0.1", port=port)
    refused = probe(made, TcpCheck(f"probed.example:{port}"))
    assert refused == Result(False, "Connection refused")


def _resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str, port: int = 80) -> None:
    assert all(ipaddress.ip_address(address).version == 4 for address in addresses)
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
        for address in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
