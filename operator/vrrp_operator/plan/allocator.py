"""VRIDs: one for each VirtualIP, unique in the cluster, kept for life (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from vrrp_api.conditions import Reason
from vrrp_operator.model.snapshot import ClusterSnapshot, VirtualIPRecord
from vrrp_operator.plan.validation import Problem

_ALL = frozenset(range(1, 256))


def allocate_vrids(
    snapshot: ClusterSnapshot, refused: Collection[str]
) -> tuple[dict[str, int], dict[str, Problem]]:
    """Return (VRID by VirtualIP name, problems by VirtualIP name).

    What status says is kept, unless the spec asks for another number: such a status was written of
    an object that was deleted and made anew, and the spec wins. Where two statuses have one number,
    as after a restore or a write that came late, it is the one's whose nodes run it; where a status
    was lost, what nodes run is kept. Then come the numbers that specs ask for, oldest first; the
    rest gets the lowest free number, and last those that nodes run yet for what was deleted.
    Remembered in status, so a restart or another order changes nothing.

    Args:
        snapshot: the cluster.
        refused: names that are not accepted for other reasons; they keep a number they have and
            get no new one.
    """
    records = sorted(snapshot.virtual_ips, key=lambda record: record.age_key)
    running = _running(snapshot)
    taken = _kept(records, running)
    vrids = {name: number for number, name in taken.items()}
    problems: dict[str, Problem] = {}
    waiting = [r for r in records if r.name not in vrids and r.name not in refused]
    for record in waiting:
        wanted = _wanted(record)
        if wanted is None:
            continue
        owner = taken.setdefault(wanted, record.name)
        if owner == record.name:
            vrids[record.name] = wanted
        else:
            problems[record.name] = Problem(
                Reason.VIRTUAL_ROUTER_ID_CONFLICT,
                f"spec.virtualRouterID: {wanted} belongs to VirtualIP {owner};"
                " choose a free one, or leave the field out to be given one",
            )
    used = frozenset(running.values())
    for record in waiting:
        if _wanted(record) is not None:
            continue
        free = min(_ALL - taken.keys(), key=lambda number: (number in used, number), default=None)
        if free is None:
            problems[record.name] = Problem(
                Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED,
                "all 255 VRIDs are in use; put several addresses into one VirtualIP, or delete one",
            )
            continue
        taken[free] = record.name
        vrids[record.name] = free
    return vrids, problems


def _kept(records: Iterable[VirtualIPRecord], running: Mapping[str, int]) -> dict[int, str]:
    """Return which numbers belong to whom already: by statuses, then by what nodes run."""
    taken: dict[int, str] = {}
    by_status = sorted(
        ((record, record.virtual_router_id) for record in records),
        key=lambda said: running.get(said[0].name) != said[1],
    )
    by_nodes = [(record, running.get(record.name)) for record in records]
    named: set[str] = set()
    for record, number in (*by_status, *by_nodes):
        free = number not in taken and record.name not in named
        if number is not None and free and _wanted(record) in (None, number):
            taken[number] = record.name
            named.add(record.name)
    return taken


def _running(snapshot: ClusterSnapshot) -> dict[str, int]:
    """Return with which number nodes are asked to run each election now; of several the lowest."""
    found: dict[str, int] = {}
    for report in snapshot.reports.values():
        for router in report.config.virtual_routers if report.config is not None else ():
            known = found.get(router.name, router.virtual_router_id)
            found[router.name] = min(known, router.virtual_router_id)
    return found


def _wanted(record: VirtualIPRecord) -> int | None:
    return record.spec.virtual_router_id if record.spec is not None else None
