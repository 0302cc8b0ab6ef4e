"""What a schema cannot check: one object against the others (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from vrrp_api.check_kinds import ServiceCheck
from vrrp_api.conditions import Reason
from vrrp_api.virtual_ip import VirtualIP
from vrrp_operator.model.snapshot import ClusterSnapshot, VirtualIPRecord


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a VirtualIP is not accepted; the message names the field and what would be accepted."""

    reason: Reason
    message: str

    @staticmethod
    def internal(error: Exception) -> Problem:
        """Return that the operator failed; what runs goes on."""
        text = f"the operator cannot plan it: {error!r}; its log has more, please report it"
        return Problem(Reason.INTERNAL_ERROR, text)


def find_problems(snapshot: ClusterSnapshot) -> dict[str, Problem]:
    """Return the first problem of each VirtualIP that has one, by name.

    Of two VirtualIPs with one address the one accepted first keeps it, else the older one.
    """
    problems: dict[str, Problem] = {}
    owners: dict[str, str] = {}
    node_addresses = {address: node.name for node in snapshot.nodes for address in node.addresses}
    for record in sorted(snapshot.virtual_ips, key=_seniority):
        try:
            problem = _problem(record, snapshot, owners, node_addresses)
        except Exception as error:
            problem = Problem.internal(error)
        if problem is not None:
            problems[record.name] = problem
    return problems


def _seniority(record: VirtualIPRecord) -> tuple[bool, tuple[str, str]]:
    return record.virtual_router_id is None, record.age_key


def _problem(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    owners: dict[str, str],
    node_addresses: dict[str, str],
) -> Problem | None:
    if record.spec is None:
        return Problem(Reason.INVALID_SPEC, str(record.error))
    problem = (
        _address_problem(record.spec, owners, node_addresses)
        or _external_peer_problem(record.spec, node_addresses)
        or _check_problem(record.spec, snapshot)
    )
    # An address stays taken by whoever asked first, also while that one has another problem:
    # what it runs goes on running.
    for address in record.spec.addresses:
        owners.setdefault(address.address, record.name)
    return problem


def _address_problem(
    spec: VirtualIP, owners: dict[str, str], node_addresses: dict[str, str]
) -> Problem | None:
    for index, address in enumerate(spec.addresses):
        path = f"spec.addresses[{index}].address: {address.address}"
        owner = owners.get(address.address)
        if owner is not None:
            message = f"{path} belongs to VirtualIP {owner}; choose an address of its own"
            return Problem(Reason.ADDRESS_CONFLICT, message)
        node = node_addresses.get(address.address)
        if node is not None:
            message = f"{path} is the address of node {node}; choose one that no host has"
            return Problem(Reason.ADDRESS_IS_NODE_ADDRESS, message)
    return None


def _external_peer_problem(spec: VirtualIP, node_addresses: dict[str, str]) -> Problem | None:
    """Return what makes an external peer one of ours: such a router would hear itself."""
    own = {address.address for address in spec.addresses}
    for index, peer in enumerate(spec.election.transport.external_peers):
        whose = "is one of the addresses themselves" if peer in own else ""
        if peer in node_addresses:
            whose = f"is the address of node {node_addresses[peer]}"
        if whose:
            message = (
                f"spec.transport.externalPeers[{index}]: {peer} {whose};"
                " name addresses of routers outside the cluster, nodes take part without it"
            )
            return Problem(Reason.EXTERNAL_PEER_CONFLICT, message)
    return None


def _check_problem(spec: VirtualIP, snapshot: ClusterSnapshot) -> Problem | None:
    known = snapshot.checks
    for index, reference in enumerate(spec.health_checks):
        if reference.name not in known:
            exists = any(check.name == reference.name for check in snapshot.health_checks)
            what = "is not valid" if exists else "does not exist"
            message = f"spec.healthChecks[{index}].name: HealthCheck {reference.name} {what}"
            return Problem(Reason.HEALTH_CHECK_NOT_FOUND, message)
        kind = known[reference.name].kind
        unknown = snapshot.services is not None and kind.target not in snapshot.services
        if isinstance(kind, ServiceCheck) and unknown:
            message = (
                f"spec.healthChecks[{index}].name: of the Service of HealthCheck {reference.name},"
                f" {kind.target}, the endpoints are not known yet"
            )
            return Problem(Reason.ENDPOINTS_UNKNOWN, message)
    return None
