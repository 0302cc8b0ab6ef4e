"""What was seen of each object in the cycle before, to find what happened since (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from vrrp_operator.model.snapshot import ClusterSnapshot, HealthCheckRecord, VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.events import (
    HealthCheckFacts,
    Occurrence,
    VirtualIPFacts,
    health_check_events,
    health_check_facts,
    virtual_ip_events,
    virtual_ip_facts,
)

CATCH_UP = timedelta(minutes=10)
"""What an operator that starts anew tells. Events are kept for an hour by default, so what was told
before is still there and not told twice; clocks may be wrong by what is between."""


class Chronicle:
    """Remembers facts by the object's uid."""

    def __init__(self) -> None:
        self._virtual_ips: dict[str, VirtualIPFacts] = {}
        self._health_checks: dict[str, HealthCheckFacts] = {}

    def of_virtual_ip(
        self,
        record: VirtualIPRecord,
        snapshot: ClusterSnapshot,
        plan: Plan,
        status: Mapping[str, Any],
        wall: datetime,
    ) -> list[Occurrence]:
        """Return what happened to a VirtualIP since the last call; ``status`` is on record now."""
        new = virtual_ip_facts(record, snapshot, plan, status)
        old, self._virtual_ips[record.uid] = self._virtual_ips.get(record.uid), new
        return virtual_ip_events(
            old, new, _since(wall), first_vrid=record.virtual_router_id is None
        )

    def of_health_check(
        self, record: HealthCheckRecord, snapshot: ClusterSnapshot, wall: datetime
    ) -> list[Occurrence]:
        """Return what happened to a HealthCheck since the last call."""
        new = health_check_facts(record, snapshot)
        old, self._health_checks[record.uid] = self._health_checks.get(record.uid), new
        return health_check_events(old, new, _since(wall))

    def forget_others(self, snapshot: ClusterSnapshot) -> None:
        """Forget objects that are gone."""
        of_virtual_ips = {record.uid for record in snapshot.virtual_ips}
        of_checks = {record.uid for record in snapshot.health_checks}
        self._virtual_ips = {u: f for u, f in self._virtual_ips.items() if u in of_virtual_ips}
        self._health_checks = {u: f for u, f in self._health_checks.items() if u in of_checks}


def _since(wall: datetime) -> str:
    return (wall - CATCH_UP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
