"""Many VirtualIPs are made at once, and some nodes are written to earlier than others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.cluster import nodes, snapshot, virtual_ip

from vrrp_api.node_config import NodeConfig
from vrrp_operator.model.snapshot import NodeReport
from vrrp_operator.plan.planner import Planner

NODES = [node.name for node in nodes(3)]
cycles = st.lists(
    st.tuples(st.integers(0, 20), st.frozensets(st.sampled_from(NODES))), min_size=1, max_size=5
)
"""How many VirtualIPs are made before each cycle, and which nodes' writes come through in it."""


@settings(max_examples=60, deadline=None)
@given(cycles)
def test_who_is_first_does_not_depend_on_whose_write_comes_through(
    made: list[tuple[int, frozenset[str]]],
) -> None:
    planner, written, objects = Planner(), dict[str, NodeConfig](), list[dict[str, Any]]()
    first: dict[str, str] = {}
    for count, through in [*made, (0, frozenset(NODES))]:
        numbers = range(len(objects), len(objects) + count)
        objects += [virtual_ip(f"vip-{n:03}", f"203.0.113.{n + 1}", vrid=n + 1) for n in numbers]
        reports = {name: NodeReport(config, None, True) for name, config in written.items()}
        planned = planner.plan(snapshot(objects, nodes(3), reports=reports))
        for name, candidates in planned.candidates.items():
            known = any(r.name == name for c in written.values() for r in c.virtual_routers)
            if known:
                assert candidates[0] == first[name]
            first[name] = candidates[0]
        for obj in objects:
            obj["status"]["nodes"] = [
                {"node": node, "state": "Backup"}
                for node, config in written.items()
                if any(router.name == obj["metadata"]["name"] for router in config.virtual_routers)
            ]
        for name in through:
            written[name] = replace(planned.configs[name], generation=len(objects) + 1)
    led = Counter(first.values())
    share = -(-len(objects) // len(NODES))
    assert max(led.values(), default=0) <= share + share // 8
