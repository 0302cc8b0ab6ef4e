"""What of a NodeConfig the agent does not know: its operator may be of another version.

A virtual router that cannot be read stays what it was if it ran, and else takes no part; nor does
one whose virtual router ID another one has. All others are not concerned. Fields that are not known
are ignored, counted, and told once.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from vrrp_api.conditions import Reason
from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.messages import ConfigArrived

_log = logging.getLogger(__name__)
_MOST_FIELDS = 32
_OTHERS = "other"
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why a virtual router cannot be read; CLOCK_MONOTONIC when that was found."""

    why: str
    since_ns: int

    @property
    def fault(self) -> str:
        """It as a fault of the status."""
        return f"{Reason.NOT_UNDERSTOOD}: {self.why}"


class Known:
    """What is known of the newest configuration, and what is not; remembers what it has told."""

    def __init__(self) -> None:
        self.ignored: Mapping[str, int] = {}
        """How often each field that is ignored is there, by path without indices."""
        self.not_understood: Mapping[str, NotUnderstood] = {}
        """The virtual routers that cannot be read, by name."""
        self._told: set[str] = set()

    def part_of(
        self, arrived: ConfigArrived, running: NodeConfig | None, now_ns: int
    ) -> NodeConfig:
        """Return what is to run of a configuration; ``running`` is the one before it."""
        self.ignored = _counts(arrived.ignored)
        for path in self.ignored.keys() - self._told:
            _log.warning("field is not known and ignored", extra={"field": path})
        self._told |= self.ignored.keys()
        kept = _with_kept(arrived.config, arrived.not_understood.keys(), running)
        config, doubles = _without_doubles(kept, running)
        found = {**doubles, **arrived.not_understood}
        self.not_understood = {name: self._noted(name, why, now_ns) for name, why in found.items()}
        return config

    def _noted(self, name: str, why: str, now_ns: int) -> NotUnderstood:
        before = self.not_understood.get(name)
        if before is None or before.why != why:
            said = {"virtual_ip": name, "error": why}
            _log.error("not understood; what ran before runs on", extra=said)
        return NotUnderstood(why, now_ns) if before is None else replace(before, why=why)


def _with_kept(config: NodeConfig, names: Collection[str], before: NodeConfig | None) -> NodeConfig:
    """Return a configuration with virtual routers of the one before, and the checks they use.

    One whose virtual router ID belongs to another by now is gone.
    """
    if before is None or not names:
        return config
    taken = {(router.family, router.virtual_router_id) for router in config.virtual_routers}
    kept = tuple(
        router
        for router in before.virtual_routers
        if router.name in names and (router.family, router.virtual_router_id) not in taken
    )
    used = {check.name for router in kept for check in router.health_checks}
    lacking = used - {check.name for check in config.health_checks}
    return replace(
        config,
        virtual_routers=(*config.virtual_routers, *kept),
        health_checks=(
            *config.health_checks,
            *(check for check in before.health_checks if check.name in lacking),
        ),
    )


def _without_doubles(
    config: NodeConfig, before: NodeConfig | None
) -> tuple[NodeConfig, dict[str, str]]:
    """Return a configuration in which no two virtual routers have one number, and who is out.

    The engine would refuse the whole. Who ran already stays.
    """
    ran = {router.name for router in before.virtual_routers} if before is not None else set()
    owners: dict[tuple[int, int], str] = {}
    out: dict[str, str] = {}
    for router in sorted(config.virtual_routers, key=lambda router: router.name not in ran):
        number = router.virtual_router_id
        owner = owners.setdefault((router.family, number), router.name)
        if owner != router.name:
            out[router.name] = f"virtualRouterID: {number} is {owner}'s on this node"
    routers = tuple(router for router in config.virtual_routers if router.name not in out)
    return (replace(config, virtual_routers=routers) if out else config), out


def _counts(paths: Iterable[str]) -> dict[str, int]:
    """Return how often each ignored field is there, by path without indices; of many the first."""
    counts: Counter[str] = Counter()
    for path in paths:
        name = _INDEX.sub("", path)
        counts[name if name in counts or len(counts) < _MOST_FIELDS else _OTHERS] += 1
    return dict(counts)
