"""Which node takes part in which election, and with what priority (pure).

Equal snapshots give equal plans in any input order, so a restart of the operator cannot move an
address.

Ranking is a rendezvous hash: each pair (VirtualIP, node) has a score, and a VirtualIP ranks its
nodes by score. A node that comes or goes therefore changes only what it wins or held. Scores alone
spread 50 VirtualIPs over 3 nodes unevenly by chance (10 to 24 is usual), so first places are
balanced: in order of age each VirtualIP takes the best scored node that has room, and a node has
room for its fair share and one in eight more. A VirtualIP keeps the first place it has in the
current NodeConfigs for as long as there is room, so that balancing moves nothing needlessly.

An election runs over the family of the VirtualIP's first address, so its candidates are nodes with
an address of that family. How it is authenticated is decided here too, and written out for nodes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vrrp_api.election import PLAIN, Authentication, ElectionSpec
from vrrp_api.node_config import NodeConfig, Peer, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import VirtualIP
from vrrp_operator.allocator import allocate_vrids
from vrrp_operator.snapshot import ClusterSnapshot, Node, VirtualIPRecord
from vrrp_operator.validation import Problem, find_problems

FIRST_PRIORITY = 200
LARGEST_GAP = 20
_TOLERANCE = 8
"""A node may lead its fair share of VirtualIPs and one in this many more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cluster should run.

    ``configs`` has an entry for every node; ``candidates`` lists each accepted VirtualIP's nodes,
    best first; ``without_address`` the nodes it selects that have no address of its family.
    """

    configs: Mapping[str, NodeConfig]
    vrids: Mapping[str, int]
    problems: Mapping[str, Problem]
    candidates: Mapping[str, tuple[str, ...]]
    without_address: Mapping[str, tuple[str, ...]]


def plan(snapshot: ClusterSnapshot, default_key_ref: str | None = None) -> Plan:
    """Return the plan for a snapshot.

    A VirtualIP that is not accepted keeps what the current NodeConfigs run for it: bad input costs
    nothing that works.

    Args:
        snapshot: the cluster.
        default_key_ref: the key of elections that say nothing of authentication; None: plain.
    """
    problems = find_problems(snapshot)
    vrids, vrid_problems = allocate_vrids(snapshot, problems.keys())
    problems = {**vrid_problems, **problems}
    routers: dict[str, list[VirtualRouterConfig]] = {node.name: [] for node in snapshot.nodes}
    candidates: dict[str, tuple[str, ...]] = {}
    without_address: dict[str, tuple[str, ...]] = {}
    accepted = [r for r in snapshot.virtual_ips if r.name not in problems and r.spec is not None]
    for record, ranked in _rank_all(accepted, snapshot):
        assert record.spec is not None
        candidates[record.name] = tuple(node.name for node, _ in ranked)
        missing = _without_address(record.spec, snapshot)
        if missing:
            without_address[record.name] = missing
        election = resolve_authentication(record.spec.election, default_key_ref)
        for node, config in _routers(record, vrids[record.name], election, ranked, snapshot):
            routers[node].append(config)
    _carry_over(snapshot, problems, routers)
    configs = {node.name: _config(node, routers[node.name], snapshot) for node in snapshot.nodes}
    return Plan(configs, vrids, problems, candidates, without_address)


def priority_for_rank(rank: int, candidates: int) -> int:
    """Return the priority of a place, 0 being the best, among so many candidates.

    Gaps are wide, because scheduling jitter is larger than the difference of neighbouring
    priorities in time (RFC 9568 §8.3.2; reference V3-80).
    """
    gap = max(1, min(LARGEST_GAP, (FIRST_PRIORITY - 1) // max(1, candidates)))
    return FIRST_PRIORITY - rank * gap


def resolve_authentication(election: ElectionSpec, default_key_ref: str | None) -> ElectionSpec:
    """Return the election with its authentication said: as given, else by the default key.

    Routers outside the cluster do not know the default key, so elections with them are plain unless
    they say otherwise.
    """
    if election.authentication is not None:
        return election
    if default_key_ref is None or election.transport.external_peers:
        return election.authenticated(PLAIN)
    return election.authenticated(Authentication("HMAC", default_key_ref))


def score(virtual_ip: str, node: str) -> int:
    """Return the rendezvous score of a pair."""
    digest = hashlib.blake2b(f"{virtual_ip}\0{node}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _selected(spec: VirtualIP, snapshot: ClusterSnapshot) -> list[Node]:
    return [
        node
        for node in snapshot.nodes
        if node.has_speaker
        and (spec.node_selector is None or spec.node_selector.matches(node.labels))
    ]


def _without_address(spec: VirtualIP, snapshot: ClusterSnapshot) -> tuple[str, ...]:
    """Return the nodes that are selected and have no address of the election's family."""
    selected = _selected(spec, snapshot)
    return tuple(node.name for node in selected if node.address(spec.family) is None)


def _eligible(spec: VirtualIP, snapshot: ClusterSnapshot) -> list[Node]:
    """Return the nodes that may take part; those that are gone only when all are."""
    nodes = [n for n in _selected(spec, snapshot) if n.address(spec.family) is not None]
    present = [node for node in nodes if not node.gone]
    return present or nodes


Ranking = list[tuple[Node, int]]


def _rank_all(
    accepted: list[VirtualIPRecord], snapshot: ClusterSnapshot
) -> list[tuple[VirtualIPRecord, Ranking]]:
    """Return each VirtualIP with its candidates and their priorities, best first."""
    eligible = {r.name: _eligible(r.spec, snapshot) for r in accepted if r.spec is not None}
    first = _first_places(accepted, eligible, snapshot)
    return [(record, _rank(record, eligible[record.name], first)) for record in accepted]


def _rank(record: VirtualIPRecord, eligible: list[Node], first: Mapping[str, str]) -> Ranking:
    spec = record.spec
    assert spec is not None
    pinned = spec.node_priorities
    by_score = sorted(
        eligible,
        key=lambda n: (n.name == first.get(record.name), score(record.name, n.name)),
        reverse=True,
    )
    explicit = sorted(
        (n for n in by_score if n.name in pinned), key=lambda n: pinned[n.name], reverse=True
    )
    rest = [n for n in by_score if n.name not in pinned]
    chosen = (explicit + rest)[: spec.candidates]
    if not explicit:
        return [(n, priority_for_rank(i, len(chosen))) for i, n in enumerate(chosen)]
    ranking = [(n, pinned[n.name]) for n in chosen if n.name in pinned]
    lowest = min(priority for _, priority in ranking)
    return ranking + _below(lowest, [n for n in chosen if n.name not in pinned])


def _below(lowest: int, nodes: list[Node]) -> Ranking:
    """Rank nodes without a priority of their own below those that have one.

    Nodes for which no priority is left above 0 take no part: equal priorities would not rank.
    """
    fitting = nodes[: lowest - 1]
    gap = max(1, min(LARGEST_GAP, (lowest - 1) // (len(fitting) + 1)))
    return [(node, lowest - (i + 1) * gap) for i, node in enumerate(fitting)]


def _first_places(
    accepted: list[VirtualIPRecord],
    eligible: Mapping[str, list[Node]],
    snapshot: ClusterSnapshot,
) -> dict[str, str]:
    """Return the balanced first place of each VirtualIP that does not name its own."""
    free = [r for r in accepted if eligible[r.name] and r.spec and not r.spec.node_priorities]
    nodes = {node.name for record in free for node in eligible[record.name]}
    if not nodes:
        return {}
    share = -(-len(free) // len(nodes))
    room = share + share // _TOLERANCE
    load: Counter[str] = Counter()
    first: dict[str, str] = {}
    holders = _current_first(snapshot)
    by_age = sorted(free, key=lambda record: record.age_key)
    for record in by_age:
        holder = holders.get(record.name)
        names = {node.name for node in eligible[record.name]}
        if holder is not None and holder in names and load[holder] < room:
            first[record.name] = holder
            load[holder] += 1
    for record in by_age:
        if record.name in first:
            continue
        nodes_of = [node.name for node in eligible[record.name]]
        with_room = [name for name in nodes_of if load[name] < room] or nodes_of
        best = max(with_room, key=lambda name: score(record.name, name))
        first[record.name] = best
        load[best] += 1
    return first


def _current_first(snapshot: ClusterSnapshot) -> dict[str, str]:
    """Return which node has the highest base priority for each router now."""
    best: dict[str, tuple[int, str]] = {}
    for node, report in sorted(snapshot.reports.items()):
        for router in report.config.virtual_routers if report.config else ():
            best[router.name] = max(best.get(router.name, (0, "")), (router.base_priority, node))
    return {name: node for name, (_, node) in best.items()}


def _routers(
    record: VirtualIPRecord,
    vrid: int,
    election: ElectionSpec,
    ranking: Ranking,
    snapshot: ClusterSnapshot,
) -> list[tuple[str, VirtualRouterConfig]]:
    """Return one election as each of its nodes takes part in it, by node name."""
    spec, checks = record.spec, snapshot.checks()
    assert spec is not None
    references = tuple(
        RouterCheck(
            reference.name,
            checks[reference.name].weight if reference.weight is None else reference.weight,
        )
        for reference in spec.health_checks
    )
    members = _members(ranking, spec.family)
    return [
        (
            node.name,
            VirtualRouterConfig(
                name=record.name,
                virtual_ip_generation=record.generation,
                virtual_router_id=vrid,
                interface=spec.interface,
                addresses=spec.addresses,
                base_priority=priority,
                election=election,
                peers=tuple(member for member in members if member.node != node.name),
                health_checks=references,
            ),
        )
        for node, priority in ranking
    ]


def _members(ranking: Ranking, family: int) -> list[Peer]:
    """Return the nodes of an election as others see them, by name."""
    members = []
    for node, priority in sorted(ranking, key=lambda item: item[0].name):
        address = node.address(family)
        assert address is not None
        members.append(Peer(node.name, address, priority))
    return members


def _carry_over(
    snapshot: ClusterSnapshot,
    problems: Mapping[str, Problem],
    routers: dict[str, list[VirtualRouterConfig]],
) -> None:
    """Keep what runs for VirtualIPs that are not accepted, minus peers that left the cluster."""
    existing = {node.name for node in snapshot.nodes}
    for node, report in snapshot.reports.items():
        if node not in routers or report.config is None:
            continue
        for router in report.config.virtual_routers:
            if router.name in problems:
                peers = tuple(peer for peer in router.peers if peer.node in existing)
                routers[node].append(replace(router, peers=peers))


def _config(
    node: Node, routers: list[VirtualRouterConfig], snapshot: ClusterSnapshot
) -> NodeConfig:
    """Return a node's configuration with the checks its routers use."""
    used = {check.name for router in routers for check in router.health_checks}
    known = snapshot.checks()
    report = snapshot.reports.get(node.name)
    if report is not None and report.config is not None:
        # A check that was deleted under a router that is carried over stays as it was.
        known = {**{check.name: check for check in report.config.health_checks}, **known}
    checks = [
        replace(known[name], generation=0, weight=0) for name in sorted(used) if name in known
    ]
    return NodeConfig(
        node=node.name,
        generation=0,
        addresses=node.addresses,
        virtual_routers=tuple(sorted(routers, key=lambda router: router.name)),
        health_checks=tuple(checks),
    )
