"""``preferredNodes``: the first that can holds the addresses, the others rank below as ever."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.unit.operator.cluster import applied, nodes, snapshot, virtual_ip

from vrrp_operator.plan.planner import Plan, plan
from vrrp_operator.plan.priorities import FIRST_PRIORITY


def preferring(*names: str, **more: Any) -> dict[str, Any]:
    return virtual_ip("a", vrid=1, preferredNodes=list(names), **more)


def planned(obj: dict[str, Any], before: Plan | None = None, count: int = 6) -> Plan:
    return plan(snapshot([obj], nodes(count), reports=applied(before) if before else None))


def test_preferred_nodes_come_first_in_their_order() -> None:
    found = planned(preferring("node-5", "node-2"))
    assert found.candidates["a"][:2] == ("node-5", "node-2")
    assert len(found.candidates["a"]) == 5
    assert found.priorities["a"] == (200, 180, 160, 140, 120)


def test_nodes_that_are_not_there_are_passed_by() -> None:
    assert planned(preferring("node-9", "node-3")).candidates["a"][0] == "node-3"
    plain = planned(virtual_ip("a", vrid=1))
    assert planned(preferring("node-9")).candidates == plain.candidates


def test_a_preferred_node_is_a_candidate_before_those_who_take_part() -> None:
    before = planned(virtual_ip("a", vrid=1, candidates=2))
    outsider = next(n.name for n in nodes(6) if n.name not in before.candidates["a"])
    after = planned(preferring(outsider, candidates=2), before)
    assert after.candidates["a"][0] == outsider
    assert len(after.candidates["a"]) == 2


def test_a_hand_over_goes_above_them() -> None:
    obj = preferring("node-5", "node-2")
    obj["metadata"]["annotations"] = {"kube-vrrp.io/handover-to": "node-2"}
    found = planned(obj)
    assert found.candidates["a"][:2] == ("node-2", "node-5")
    assert found.priorities["a"][0] > FIRST_PRIORITY == found.priorities["a"][1]


def test_what_preferred_nodes_lead_counts_in_their_share() -> None:
    crowd = [virtual_ip(f"p{n}", f"10.1.{n}.1", preferredNodes=["node-1"]) for n in range(8)]
    others = [virtual_ip(f"v{n}", f"10.2.{n}.1", created="2026-01-02T00:00:00Z") for n in range(8)]
    found = plan(snapshot([*crowd, *others], nodes(3)))
    led = Counter(names[0] for name, names in found.candidates.items() if name[0] == "v")
    assert "node-1" not in led
