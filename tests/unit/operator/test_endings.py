"""VirtualIPs that are deleted: their nodes are told that nobody is to have the addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, report, router_status, snapshot, virtual_ip
from tests.unit.operator.test_made_anew import NODES, running, say, specs

from vrrp.constants import FIRST_HOLDER
from vrrp_api.features import ENDINGS
from vrrp_api.node_config import NodeConfig
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport
from vrrp_operator.plan.planner import plan
from vrrp_operator.write.order import in_turns


def asked() -> NodeConfig:
    """Return what a node is asked that runs VirtualIP a."""
    (config,) = plan(snapshot([virtual_ip("a", vrid=1)], nodes(1))).configs.values()
    return replace(config, generation=4)


def says(config: NodeConfig, generation: int = 4, *features: str, runs: bool = True) -> NodeReport:
    """Return a node's report of a configuration."""
    said = report(config, *([router_status("a", "Active")] if runs else []))
    assert said.status is not None
    status = replace(said.status, observed_generation=generation, features=features)
    return replace(said, status=status)


def told(seen: NodeReport, *virtual_ips: dict[str, Any], undeclared: str = "") -> tuple[str, ...]:
    """Return which elections the node is told the end of."""
    assert seen.config is not None
    found: ClusterSnapshot = snapshot(virtual_ips, nodes(1), reports={seen.config.node: seen})
    found = replace(found, undeclared=frozenset({undeclared}))
    (config,) = plan(found).configs.values()
    return config.ended


def test_a_node_is_told_that_an_election_ended_with_its_virtual_ip() -> None:
    assert told(says(asked(), 4, ENDINGS)) == ("a",)
    assert told(says(asked(), 4, ENDINGS), virtual_ip("a", vrid=1)) == ()
    assert told(says(asked(), 4)) == ()  # a speaker of the version before
    assert told(says(asked(), 4, ENDINGS), undeclared="spec.ended") == ()


@pytest.mark.parametrize(
    ("generation", "others_change", "ended"),
    [
        (4, False, ("a",)),  # worth no write
        (4, True, ()),
        (3, True, ("a",)),  # it has not taken that in yet
    ],
)
def test_what_was_told_is_taken_back_with_the_next_change(
    generation: int, others_change: bool, ended: tuple[str, ...]
) -> None:
    after = replace(asked(), virtual_routers=(), ended=("a",))
    if others_change:
        after = replace(after, addresses=("192.0.2.99",))
    assert told(says(after, generation, ENDINGS, runs=generation == 3)) == ended


def test_a_virtual_ip_that_is_made_anew_has_not_ended() -> None:
    after = replace(asked(), virtual_routers=(), ended=("a",))
    assert told(says(after, 4, ENDINGS, runs=False), virtual_ip("a", vrid=1)) == ()


def test_who_holds_the_addresses_is_told_the_end_last(monkeypatch: pytest.MonkeyPatch) -> None:
    knowing = {"features": ["ElectionKeys", ENDINGS]}
    monkeypatch.setattr("tests.unit.operator.test_made_anew.FEATURES", knowing)
    server, cache, reconciler = running()
    holder = next(
        n for n, s in specs(cache).items() if s["virtualRouters"][0]["basePriority"] == 200
    )
    vip = cache.get("virtualips", "a")
    assert vip is not None
    cache.put("virtualips", vip, deleted=True, now_s=0.0)
    server.requests.clear()
    assert reconciler.run_cycle()
    written = [r.partition("nodeconfigs/")[2] for r in server.requests if "nodeconfigs/" in r]
    assert (sorted(written), written[-1]) == (sorted(NODES), holder)
    assert {tuple(spec["ended"]) for spec in specs(cache).values()} == {("a",)}
    say(cache)
    server.requests.clear()
    assert reconciler.run_cycle()
    assert server.requests == []


def test_who_holds_addresses_is_told_of_changes_first() -> None:
    routers = {n: asked() for n in NODES}
    active = report(asked(), router_status("a", "Active"))
    backup = report(asked(), router_status("a", "Backup"))
    reports = {NODES[0]: backup, NODES[1]: active}
    assert in_turns(routers, reports)[0][0][0] == NODES[1]
    (router,) = asked().virtual_routers
    named = replace(asked(), virtual_routers=(replace(router, take_over=FIRST_HOLDER),))
    assert in_turns({**routers, NODES[2]: named}, {})[0][0][0] == NODES[2]
