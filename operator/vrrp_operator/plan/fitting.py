"""Whether NodeConfigs fit their own schema, and one request, before they are written (pure).

All that VirtualIPs and HealthChecks allow fits by itself, but for the size of the whole; this says
whose fault it is where something does not, so that the others are written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from vrrp_api.bounds import NODE_CONFIG_SPEC, Path, entry_violations, path_text, violations
from vrrp_api.conditions import Reason
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot
from vrrp_operator.plan.validation import Problem

LARGEST_BYTES = 491_520
"""Of one spec. etcd takes 1.5 MiB; the status, and the record of who wrote what, come to twice the
spec again."""


def find_unfit(
    configs: Mapping[str, NodeConfig], snapshot: ClusterSnapshot, memo: Memo
) -> dict[str, Problem]:
    """Return the VirtualIPs that cannot be written as planned, and why.

    What ``memo`` knows of is not looked at again.
    """
    found: dict[str, Problem] = {}
    ages = {record.name: record.age_key for record in snapshot.virtual_ips}
    for node, config in configs.items():
        report = snapshot.reports.get(node)
        before = report.config if report is not None else None
        unfit = partial(_unfit, config, before, ages, memo)
        for name, message in memo(("unfit", node), (config, before, ages), unfit):
            found.setdefault(
                name, Problem(Reason.DOES_NOT_FIT, f"NodeConfig {node}: spec.{message}")
            )
    return found


def _unfit(
    config: NodeConfig,
    before: NodeConfig | None,
    ages: Mapping[str, tuple[str, str]],
    memo: Memo,
) -> tuple[tuple[str, str], ...]:
    """Return the VirtualIPs whose part of a configuration is wrong, and what is wrong."""
    if before is not None and replace(before, generation=0) == config:
        return ()
    spec = config.to_object()["spec"]
    looked_at = [
        memo(("fits", config.node, router["name"]), router, partial(_look_at, router))
        for router in spec["virtualRouters"]
    ]
    others = {**spec, "virtualRouters": []}
    separators = 2 * max(0, len(looked_at) - 1)
    size = len(json.dumps(others)) + sum(size for size, _ in looked_at) + separators
    wrong = [
        (("virtualRouters", place, *path), message)
        for place, (_, found) in enumerate(looked_at)
        for path, message in found
    ]
    wrong += violations(NODE_CONFIG_SPEC, others)
    return (*_whose(wrong, spec), *_too_much(spec, size, before, ages))


def _look_at(router: Mapping[str, Any]) -> tuple[int, tuple[tuple[Path, str], ...]]:
    """Return the size of one router's entry, and what is wrong with it."""
    wrong = entry_violations(NODE_CONFIG_SPEC, "virtualRouters", router)
    return len(json.dumps(router)), tuple(wrong)


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
