"""The operator's planning without a cluster: validate manifests, render NodeConfigs."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from vrrp_api.check_kinds import NodeConditionCheck, ServiceCheck, kind_name
from vrrp_api.election import may_have_own_key
from vrrp_api.former import REFUSED
from vrrp_api.node_config import NodeConfig
from vrrp_cli.manifests import ManifestError, Object, read_manifests
from vrrp_operator.model.nodes import node_value
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, take_snapshot
from vrrp_operator.model.vrid_limits import Limits
from vrrp_operator.plan.planner import Plan, plan
from vrrp_operator.plan.ranking import expected_priorities
from vrrp_operator.report.check_conditions import weight_warnings


def validate(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return what is wrong with the VirtualIPs and HealthChecks of the files, and what is doubtful.

    A line each. Doubtful is a weight that can never move its VirtualIP, in an election with as many
    candidates as it may have: how many nodes there are is not known here; and a field in a former
    form.

    Raises:
        ManifestError: a file cannot be read.
    """
    snapshot = _snapshot(paths, [])
    wrong = [str(check.error) for check in snapshot.health_checks if check.error is not None]
    problems = plan(snapshot).problems
    wrong += [
        problem.message
        if problem.message.startswith("VirtualIP")
        else f"VirtualIP {name}: {problem.message} ({problem.reason})"
        for name, problem in sorted(problems.items())
    ]
    doubtful = [*_shared_numbers(snapshot)]
    doubtful += [
        f"VirtualIP {record.name}: {warning}"
        for record in snapshot.virtual_ips
        if record.spec is not None
        for warning in weight_warnings(record, snapshot, expected_priorities(record.spec))
    ]
    return wrong, [*doubtful, *_former(snapshot)]


def _former(snapshot: ClusterSnapshot) -> Iterator[str]:
    """Yield what is written in a form that will be refused."""
    for kind, records in (
        ("VirtualIP", snapshot.virtual_ips),
        ("HealthCheck", snapshot.health_checks),
    ):
        for record in records:
            yield from (f"{kind} {record.name}: {form}; {REFUSED}" for form in record.former)


def _shared_numbers(snapshot: ClusterSnapshot) -> Iterator[str]:
    """Yield what asks for a number that another one asks for, too."""
    owners: dict[int, str] = {}
    for record in snapshot.virtual_ips:
        number = record.spec.virtual_router_id if record.spec is not None else None
        if number is not None and owners.setdefault(number, record.name) != record.name:
            yield (
                f"VirtualIP {record.name}: spec.virtualRouterID: {number} is asked for by"
                f" VirtualIP {owners[number]}, too; no node can run both"
            )


def render(
    nodes: Path,
    paths: Sequence[Path],
    output: Path,
    default_key_ref: str | None = None,
    election_key: str = "Require",
    *,
    reserved_vrids: frozenset[int] = frozenset(),
) -> list[Path]:
    """Write one NodeConfig file for each node and return their paths.

    Every node counts as having a speaker: nobody can ask them. ``default_key_ref`` and
    ``reserved_vrids`` are what the operator would be started with; elections that it signs have a
    key of their own, as far as ``election_key`` says: Accept, Sign or Require.

    Raises:
        ManifestError: a file cannot be read, or a manifest is not accepted; nothing was written.
    """
    values = [_node(obj, path) for path, obj in read_manifests([nodes]) if obj["kind"] == "Node"]
    snapshot = _snapshot(paths, values)
    snapshot = replace(snapshot, vrid_limits=Limits(reserved_vrids))
    planned = plan(snapshot, default_key_ref)
    _refuse(snapshot, planned)
    output.mkdir(parents=True, exist_ok=True)
    written = []
    own_keys = {
        record.name
        for record in snapshot.virtual_ips
        if record.spec is not None and may_have_own_key(record.spec.election)
    }
    for name, planned_config in planned.configs.items():
        config = planned_config
        if default_key_ref is not None:
            config = _with_own_keys(config, own_keys, election_key)
        path = output / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config.to_object(), sort_keys=False), encoding="utf-8")
        written.append(path)
    return written


def _with_own_keys(config: NodeConfig, names: Container[str], stage: str) -> NodeConfig:
    """Return the configuration with a key of its own for each of these elections."""
    routers = tuple(
        replace(router, election=router.election.with_own_key(stage))
        if router.name in names
        else router
        for router in config.virtual_routers
    )
    return replace(config, virtual_routers=routers)


def _refuse(snapshot: ClusterSnapshot, planned: Plan) -> None:
    for check in snapshot.health_checks:
        if check.error is not None:
            raise ManifestError(str(check.error))
        if check.spec is not None and isinstance(
            check.spec.kind, NodeConditionCheck | ServiceCheck
        ):
            raise ManifestError(
                f"HealthCheck {check.name}: spec.{kind_name(check.spec.kind)}: only the operator"
                " of a cluster can tell; a standalone node runs the other kinds"
            )
    for name, problem in planned.problems.items():
        raise ManifestError(f"VirtualIP {name}: {problem.message}")


def _node(obj: Object, path: Path) -> Node:
    try:
        return node_value(obj)
    except (KeyError, ValueError) as error:
        raise ManifestError(f"{path}: not a usable Node: {error}") from error


def _snapshot(paths: Sequence[Path], nodes: Sequence[Node]) -> ClusterSnapshot:
    kinds: dict[str, dict[str, Object]] = {"VirtualIP": {}, "HealthCheck": {}}
    for path, obj in read_manifests(paths):
        name = (obj.get("metadata") or {}).get("name")
        if obj["kind"] not in kinds:
            continue  # a manifest may hold what it fronts as well
        if not isinstance(name, str):
            raise ManifestError(f"{path}: {obj['kind']} without metadata.name")
        kinds[obj["kind"]][name] = obj
    return take_snapshot(kinds["VirtualIP"].values(), kinds["HealthCheck"].values(), nodes, {})
