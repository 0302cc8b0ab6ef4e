"""VRIDs: one for each VirtualIP, unique in the cluster, kept for life (pure)."""

from __future__ import annotations

from collections.abc import Collection

from vrrp_api.conditions import Reason
from vrrp_operator.snapshot import ClusterSnapshot, VirtualIPRecord
from vrrp_operator.validation import Problem

_ALL = range(1, 256)


def allocate_vrids(
    snapshot: ClusterSnapshot, refused: Collection[str]
) -> tuple[dict[str, int], dict[str, Problem]]:
    """Return (VRID by VirtualIP name, problems by VirtualIP name).

    What status says is kept, unless the spec asks for another number: such a status was written of
    an object that was deleted and made anew, and the spec wins. Then come the numbers that specs
    ask for, oldest first; the rest gets the lowest free number. Remembered in status, so a restart
    or another order changes nothing.

    Args:
        snapshot: the cluster.
        refused: names that are not accepted for other reasons; they keep a number they have and
            get no new one.
    """
    taken: dict[int, str] = {}
    vrids: dict[str, int] = {}
    problems: dict[str, Problem] = {}
    records = sorted(snapshot.virtual_ips, key=lambda record: record.age_key)
    for record in records:
        known = record.virtual_router_id
        if known is not None and known not in taken and _wanted(record) in (None, known):
            taken[known] = record.name
            vrids[record.name] = known
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
    for record in waiting:
        if _wanted(record) is not None:
            continue
        free = next((number for number in _ALL if number not in taken), None)
        if free is None:
            problems[record.name] = Problem(
                Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED,
                "all 255 VRIDs are in use; put several addresses into one VirtualIP, or delete one",
            )
            continue
        taken[free] = record.name
        vrids[record.name] = free
    return vrids, problems


def _wanted(record: VirtualIPRecord) -> int | None:
    return record.spec.virtual_router_id if record.spec is not None else None
