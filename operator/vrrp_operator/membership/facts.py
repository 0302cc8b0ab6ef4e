"""What is known of each node of one election: what it was told, what it says, whether it can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vrrp_api.conditions import Reason
from vrrp_api.features import ELECTION_KEYS
from vrrp_api.node_config import VirtualRouterConfig
from vrrp_api.node_status import RouterStatus
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport

ACTIVE, BACKUP = "Active", "Backup"


@dataclass(frozen=True, slots=True)
class Seen:
    """One node of one election.

    ``written`` is what its NodeConfig asks now, ``settled`` whether it runs just that; ``told`` is
    what it reported last. ``fresh``: it reports; ``heard``: it does not, but others hear that it
    has the addresses. ``present``: a step waits for it. ``off``: somebody said that it is off, and
    it does not report. ``address`` is what it sends from, or is to: ``moved`` where that is
    another one than it was told before. None: it has none of the family. ``knows_keys``: its
    speaker can sign with a key of the election's own.
    """

    node: str
    address: str | None
    written: VirtualRouterConfig | None
    settled: bool
    told: RouterStatus | None
    fresh: bool
    present: bool
    off: bool
    heard: bool = False
    moved: bool = False
    knows_keys: bool = False

    @property
    def state(self) -> str:
        """What it said last of the router; empty where it said nothing."""
        return self.told.state if self.told is not None else ""

    @property
    def is_active(self) -> bool:
        """Whether it reports that it is Active."""
        return self.fresh and self.state == ACTIVE

    @property
    def holds(self) -> bool:
        """Whether it is known to have the addresses: it says so, or others hear it."""
        return self.is_active or self.heard

    @property
    def priority(self) -> int:
        """The highest priority it may advertise with; 0 where it runs nothing that is known."""
        asked = self.written.base_priority if self.written is not None else 0
        said = self.told.effective_priority if self.told is not None else 0
        return max(asked, said)

    @property
    def lowest_priority(self) -> int:
        """The lowest priority it may advertise with, its health checks aside."""
        asked = self.written.base_priority if self.written is not None else 0
        said = self.told.effective_priority if self.told is not None else 0
        known = [value for value in (asked, 0 if self.settled else said) if value]
        return min(known, default=0)

    def lists(self, other: Seen) -> bool:
        """Return whether it is asked to list another one."""
        peers = self.written.peers if self.written is not None else ()
        return any(p.node == other.node and p.address == other.address for p in peers)


def members(facts: Mapping[str, Seen]) -> dict[str, Seen]:
    """Return the nodes that run an election, or may: until they report that they do not.

    A node that nobody lists was never given its router, so it cannot run one.
    """
    listed = {
        peer.node
        for seen in facts.values()
        if seen.written is not None
        for peer in seen.written.peers
    }
    return {
        name: seen
        for name, seen in facts.items()
        if seen.written is not None
        or seen.told is not None
        or (not seen.settled and name in listed)
    }


def facts_of(
    name: str, family: int, snapshot: ClusterSnapshot, heard: frozenset[str]
) -> dict[str, Seen]:
    """Return what is known of every node that an election may concern.

    Args:
        name: the election's.
        family: what it runs over, 4 or 6.
        snapshot: the cluster.
        heard: nodes that do not report and are heard by those that do.
    """
    found: dict[str, Seen] = {}
    nodes = {node.name: node for node in snapshot.nodes}
    asked, told = snapshot.index.asked(name), snapshot.index.told(name)
    for node in nodes.keys() | snapshot.reports.keys():
        known, report = nodes.get(node), snapshot.reports.get(node)
        said = asked.get(node), told.get(node)
        seen = _seen(node, family, known, report, said, heard=node in heard)
        if seen is not None:
            found[node] = seen
    return dict(sorted(found.items()))


def _seen(
    node: str,
    family: int,
    known: Node | None,
    report: NodeReport | None,
    said: tuple[VirtualRouterConfig | None, RouterStatus | None],
    *,
    heard: bool,
) -> Seen | None:
    """Return what is known of one node; None for one that left the cluster and is silent.

    ``said`` is what it is asked to run, and what it reported.
    """
    written, told = said
    fresh = report is not None and report.fresh and report.status is not None
    if known is None and not fresh:
        return None
    config = report.config if report is not None else None
    status = report.status if report is not None else None
    declared_off = known is not None and known.off
    silent = known is not None and known.gone and not heard
    told_addresses = config.addresses if config is not None else ()
    before = _first(told_addresses, family)
    address = _first(known.addresses if known is not None else told_addresses, family)
    return Seen(
        node=node,
        address=address,
        written=written,
        settled=config is not None
        and status is not None
        and status.observed_generation == config.generation
        and not _is_not_understood(told),
        told=told,
        fresh=fresh,
        present=fresh or not (declared_off or silent),
        off=declared_off and not fresh,
        heard=heard and not fresh,
        moved=address != before,
        knows_keys=ELECTION_KEYS in status.features if status is not None else _has_key(written),
    )


def _is_not_understood(told: RouterStatus | None) -> bool:
    """Return whether a node's speaker cannot read what it is asked, and goes on as it was."""
    faults = told.faults if told is not None else ()
    return any(fault.partition(":")[0] == Reason.NOT_UNDERSTOOD for fault in faults)


def _has_key(written: VirtualRouterConfig | None) -> bool:
    """Return whether a node that has not reported yet was asked for a key of the election's own.

    It was made anew, or restored without its status, as what its speaker knew before.
    """
    authentication = written.election.authentication if written is not None else None
    return authentication is not None and authentication.election_key is not None


def _first(addresses: Iterable[str], family: int) -> str | None:
    return next((a for a in addresses if (":" in a) == (family == 6)), None)
