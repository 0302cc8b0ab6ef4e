"""What an operator of a newer version asks: kept as it was, told, counted, and told once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.agent.node import engine, view

from vrrp.constants import State
from vrrp_api.check_kinds import TcpCheck
from vrrp_api.election import ElectionSpec
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import NodeConfig, RouterCheck, VirtualRouterConfig
from vrrp_api.node_status import parse_node_config_status
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.config.not_understood import Known, NotUnderstood
from vrrp_speaker.agent.messages import ConfigArrived, ConfigSource
from vrrp_speaker.agent.serving.metrics import NodeCollector
from vrrp_speaker.agent.status.builder import StatusBuilder

WHY = "spec.virtualRouters[0].version: 4 must be an integer from 2 to 3"


def router(name: str, vrid: int, *checks: str) -> VirtualRouterConfig:
    used = tuple(RouterCheck(check, 0) for check in checks)
    addresses = (VipAddress(f"192.0.2.{50 + vrid}", 32),)
    return VirtualRouterConfig(name, 1, vrid, None, addresses, 200, ElectionSpec(), (), used)


def check(name: str, port: int = 80) -> HealthCheck:
    return HealthCheck(name, 0, TcpCheck(f"127.0.0.1:{port}"), 10**9, 10**9, 2, 3, 0)


BEFORE = NodeConfig(
    "node-1",
    1,
    ("192.0.2.11",),
    (router("a", 1, "web", "db"), router("b", 2)),
    (check("web"), check("db")),
)


def known_part(
    config: NodeConfig, why: Mapping[str, str], running: NodeConfig | None = BEFORE
) -> NodeConfig:
    arrived = ConfigArrived(config, ConfigSource.API, (), why)
    return Known().part_of(arrived, running, 0)


def test_router_that_ran_stays_as_it_was_with_its_checks() -> None:
    newer = replace(
        BEFORE,
        generation=2,
        virtual_routers=(router("b", 3),),
        health_checks=(check("web", 8080),),
    )
    found = known_part(newer, {"a": WHY})
    assert found.generation == 2
    assert found.virtual_routers == (router("b", 3), router("a", 1, "web", "db"))
    assert found.health_checks == (check("web", 8080), check("db"))


def test_router_that_did_not_run_does_not_begin() -> None:
    newer = replace(BEFORE, generation=2)
    assert known_part(newer, {"c": WHY}) == newer
    assert known_part(newer, {"c": WHY}, None) == newer


def test_id_that_another_one_has_by_now_is_not_used_twice() -> None:
    """The engine would refuse the program whole."""
    newer = replace(BEFORE, virtual_routers=(router("c", 1),), health_checks=())
    assert known_part(newer, {"a": WHY}) == newer


@pytest.mark.parametrize(("running", "stays", "out"), [(BEFORE, "b", "a2"), (None, "a2", "b")])
def test_of_two_with_one_id_who_ran_stays_and_the_other_says_so(
    running: NodeConfig | None, stays: str, out: str
) -> None:
    """An operator should not ask for that; all others are not to pay for it."""
    known = Known()
    both = replace(BEFORE, virtual_routers=(router("a2", 2), router("b", 2), router("d", 4)))
    found = known.part_of(ConfigArrived(both, ConfigSource.API), running, 5)
    assert {r.name for r in found.virtual_routers} == {stays, "d"}
    why = f"virtualRouterID: 2 is {stays}'s on this node"
    assert known.not_understood == {out: NotUnderstood(why, 5)}


def test_what_is_not_known_is_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    known = Known()
    novel = ("spec.virtualRouters[0].novel", "spec.virtualRouters[12].novel", "spec.other")
    with caplog.at_level(logging.WARNING):
        for generation in (2, 3):
            config = replace(BEFORE, generation=generation)
            why = {"a": WHY}
            known.part_of(ConfigArrived(config, ConfigSource.API, novel, why), BEFORE, generation)
    assert known.ignored == {"spec.virtualRouters.novel": 2, "spec.other": 1}
    assert known.not_understood == {"a": NotUnderstood(WHY, 2)}
    assert sorted(record.message for record in caplog.records) == [
        "field is not known and ignored",
        "field is not known and ignored",
        "not understood; what ran before runs on",
    ]
    known.part_of(ConfigArrived(BEFORE, ConfigSource.API), BEFORE, 4)
    assert (known.ignored, known.not_understood) == ({}, {})


def test_count_has_a_bound() -> None:
    known = Known()
    novel = tuple(f"spec.novel{number}" for number in range(1000))
    known.part_of(ConfigArrived(BEFORE, ConfigSource.API, novel), None, 0)
    assert len(known.ignored) == 33
    assert known.ignored["other"] == 1000 - 32


def test_status_says_what_is_not_understood(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE)
    found = {name: NotUnderstood(WHY, 6_000_000_000) for name in ("a", "c")}
    seen = replace(view(shared, ("a",)), not_understood=found)
    builder = StatusBuilder()
    status = builder.build(seen, 1010.0, 7_000_000_000)
    ran, did_not = status.virtual_routers
    assert (ran.name, ran.state, ran.faults) == ("a", "Active", (f"NotUnderstood: {WHY}",))
    assert (did_not.name, did_not.state, did_not.faults) == (
        "c",
        "Fault",
        (f"NotUnderstood: {WHY}",),
    )
    assert did_not.since == "1970-01-01T00:16:49.000000Z"  # a second before second 1010
    assert parse_node_config_status({"status": status.to_object()}) == status
    assert builder.build(seen, 1010.4, 7_000_000_000).virtual_routers == status.virtual_routers


def test_fields_that_are_ignored_are_a_metric(tmp_path: Path) -> None:
    seen = replace(view(engine(tmp_path), ()), ignored_fields={"spec.novel": 2})
    families = {metric.name: metric for metric in NodeCollector(lambda: seen).collect()}
    (sample,) = families["kube_vrrp_config_ignored_fields"].samples
    assert (sample.labels, sample.value) == ({"node": "node-1", "field": "spec.novel"}, 2)
