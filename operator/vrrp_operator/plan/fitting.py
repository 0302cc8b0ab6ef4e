"""Whether NodeConfigs fit their own schema, and one request, before they are written (pure).

All that VirtualIPs and HealthChecks allow fits by itself, but for the size of the whole; this says
whose fault it is where something does not, so that the others are written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vrrp_api.bounds import NODE_CONFIG_SPEC, Path, entry_violations, path_text, violations
from vrrp_api.conditions import Reason
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig, router_object
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot
from vrrp_operator.plan.validation import Problem

LARGEST_BYTES = 491_520
"""Of one spec. etcd takes 1.5 MiB; the status, and the record of who wrote what, come to twice the
spec again."""


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """One router's entry: its size, and what is wrong with it."""

    router: VirtualRouterConfig
    size: int
    wrong: tuple[tuple[Path, str], ...]


class Fitting:
    """Looks at NodeConfigs; an entry that was found to fit is not looked at again."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._looked_at: dict[str, Mapping[str, _LookedAt]] = {}
        """By node and election: for as long as nothing is to be written the memo forgets it."""

    def find_unfit(
        self, configs: Mapping[str, NodeConfig], snapshot: ClusterSnapshot
    ) -> dict[str, Problem]:
        """Return the VirtualIPs that cannot be written as planned, and why."""
        found: dict[str, Problem] = {}
        ages = {record.name: record.age_key for record in snapshot.virtual_ips}
        ages = self._memo.same("ages", ages)
        self._looked_at = {n: known for n, known in self._looked_at.items() if n in configs}
        for node, config in configs.items():
            report = snapshot.reports.get(node)
            before = report.config if report is not None else None
            unfit = partial(self._unfit, config, before, ages)
            for name, message in self._memo(("unfit", node), (config, before, ages), unfit):
                found.setdefault(
                    name, Problem(Reason.DOES_NOT_FIT, f"NodeConfig {node}: spec.{message}")
                )
        return found

    def _unfit(
        self, config: NodeConfig, before: NodeConfig | None, ages: Mapping[str, tuple[str, str]]
    ) -> tuple[tuple[str, str], ...]:
        """Return the VirtualIPs whose part of a configuration is wrong, and what is wrong."""
        if before is not None and replace(before, generation=0) == config:
            return ()
        known = self._looked_at.get(config.node, {})
        looked_at = {
            router.name: _look_at(router, known.get(router.name))
            for router in config.virtual_routers
        }
        self._looked_at[config.node] = looked_at
        others = replace(config, virtual_routers=()).to_object()["spec"]
        separators = 2 * max(0, len(looked_at) - 1)
        size = len(json.dumps(others)) + sum(e.size for e in looked_at.values()) + separators
        wrong = [
            (("virtualRouters", place, *path), message)
            for place, entry in enumerate(looked_at.values())
            for path, message in entry.wrong
        ]
        wrong += violations(NODE_CONFIG_SPEC, others)
        if not wrong and size <= LARGEST_BYTES:
            return ()
        spec = config.to_object()["spec"]
        return (*_whose(wrong, spec), *_too_much(spec, size, before, ages))


def _look_at(router: VirtualRouterConfig, known: _LookedAt | None) -> _LookedAt:
    """Return what one router's entry comes to; ``known`` is what it, or a former one, came to."""
    if known is not None and known.router == router:
        return known
    entry = router_object(router)
    wrong = entry_violations(NODE_CONFIG_SPEC, "virtualRouters", entry)
    return _LookedAt(router, len(json.dumps(entry)), tuple(wrong))


def without_doubles(
    routers: Iterable[VirtualRouterConfig], owners: Mapping[int, str]
) -> list[VirtualRouterConfig]:
    """Return routers of which no two have the same virtual router ID over the same family.

    An election may go on as it was, or stay on a node that cannot be told, while its number is
    another one's by now: it gives way to the one whose the number is there.
    """
    found: dict[tuple[int, int], VirtualRouterConfig] = {}
    for router in sorted(routers, key=lambda r: owners.get(r.virtual_router_id) != r.name):
        found.setdefault((router.family, router.virtual_router_id), router)
    return list(found.values())


def without_news(
    config: NodeConfig, names: Collection[str], before: NodeConfig | None
) -> NodeConfig:
    """Return a configuration that leaves some elections as they were."""
    if not names:
        return config
    old = before.virtual_routers if before is not None else ()
    routers = (
        *(router for router in config.virtual_routers if router.name not in names),
        *(router for router in old if router.name in names),
    )
    known = {check.name: check for check in (before.health_checks if before is not None else ())}
    known |= {check.name: check for check in config.health_checks}
    used = {check.name for router in routers for check in router.health_checks}
    return replace(
        config,
        virtual_routers=tuple(sorted(routers, key=lambda router: router.name)),
        health_checks=tuple(known[name] for name in sorted(used) if name in known),
    )


def _whose(wrong: Iterable[tuple[Path, str]], spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the VirtualIP whose part of a spec is wrong, and what is wrong."""
    for path, message in wrong:
        text = f"{path_text(path)} {message}"
        if len(path) < 2 or path[0] not in ("virtualRouters", "healthChecks"):
            continue  # of the node itself: no VirtualIP's fault
        name = spec[str(path[0])][path[1]]["name"]
        if path[0] == "virtualRouters":
            yield name, text
        else:
            for router in spec["virtualRouters"]:
                if any(check["name"] == name for check in router["healthChecks"]):
                    yield router["name"], text


def _too_much(
    spec: Mapping[str, Any],
    size: int,
    before: NodeConfig | None,
    ages: Mapping[str, tuple[str, str]],
) -> Iterator[tuple[str, str]]:
    """Yield the VirtualIPs for which there is no room: the newest first, those that run last."""
    if size <= LARGEST_BYTES:
        return
    running = {router.name for router in before.virtual_routers} if before is not None else set()
    routers = {router["name"]: router for router in spec["virtualRouters"]}
    checks = {check["name"]: len(json.dumps(check)) for check in spec["healthChecks"]}
    users: dict[str, set[str]] = {name: set() for name in checks}
    for name, router in routers.items():
        for check in router["healthChecks"]:
            users.setdefault(check["name"], set()).add(name)
    newest_first = sorted(routers, key=lambda name: ages.get(name, ("", name)), reverse=True)
    for name in sorted(newest_first, key=lambda name: name in running):
        if size <= LARGEST_BYTES:
            return
        size -= len(json.dumps(routers[name]))
        for check in routers[name]["healthChecks"]:
            users[check["name"]].discard(name)
            if not users[check["name"]]:
                size -= checks.get(check["name"], 0)
        yield (
            name,
            f"virtualRouters has no room for it (accepted: {LARGEST_BYTES} bytes on a node); have"
            " fewer VirtualIPs on it (nodeSelector), or shorter HealthChecks",
        )
