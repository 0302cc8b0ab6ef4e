"""What tests read from a node's own files and its kernel; cheaper than metrics, and says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.eventually import eventually

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node
from vrrp_speaker.program_file import decode
from vrrp_speaker.shared_state.reader import SharedStateReader
from vrrp_speaker.shared_state.values import EngineState, RouterState


def manifest(name: str, vrid: int, *addresses: str, ranks: Iterable[int], spec: str = "") -> str:
    """Return a VirtualIP; ``ranks`` are the numbers of the nodes, best first."""
    listed = ", ".join(f'{{address: "{address}"}}' for address in addresses)
    priorities = ", ".join(
        f"{{node: node-{number}, priority: {200 - 25 * place}}}"
        for place, number in enumerate(ranks)
    )
    more = f", {spec}" if spec else ""
    return f"""---
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {name}}}
spec:
  {{virtualRouterID: {vrid}, addresses: [{listed}], nodePriorities: [{priorities}]{more}}}
"""


def engine(node: Node) -> EngineState:
    """Return a copy of the shared state; an AssertionError while there is none."""
    try:
        return SharedStateReader(node.run_dir / "state.shm").snapshot()
    except ValueError as error:
        raise AssertionError(f"{node.name}: {error}") from error


def program(node: Node) -> dict[str, Mapping[str, Any]]:
    """Return the routers of the engine program on disk, by name; an error while it is damaged."""
    try:
        with (node.run_dir / "program.json").open("rb") as file:
            routers = decode(file)["routers"]
    except ValueError as error:
        raise AssertionError(f"{node.name}: program.json: {error}") from error
    return {router["name"]: router for router in routers}


def routers(node: Node) -> dict[str, RouterState]:
    """Return what the engine last wrote of each router of the program, by name."""
    state = engine(node)
    return {name: state.routers[router["slot"]] for name, router in program(node).items()}


def states(node: Node) -> dict[str, str]:
    """Return the state of each router, by name."""
    return {name: router.state for name, router in routers(node).items()}


def faults(node: Node, virtual_ip: str) -> set[str]:
    """Return why a router is in Fault: the engine's reasons, and the compiler's first words."""
    compiled = program(node)[virtual_ip]["faults"]
    return {fault.partition(":")[0] for fault in compiled} | set(routers(node)[virtual_ip].faults)


def transitions(nodes: Iterable[Node], virtual_ip: str | None = None) -> int:
    """Return how often routers changed their state, all or one."""
    return sum(
        router.transitions
        for node in nodes
        for name, router in routers(node).items()
        if virtual_ip in (None, name)
    )


def addresses(host: Host) -> dict[str, str]:
    """Return every address of a host and the interface that has it."""
    lines = (line.split() for line in host.exec("ip", "-o", "addr", "show").stdout.splitlines())
    return {words[3].partition("/")[0]: words[1] for words in lines}


def virtual_addresses(lab: Lab) -> dict[str, list[str]]:
    """Return the addresses of each VirtualIP, by name, as any node's program has them."""
    found: dict[str, list[str]] = {}
    for node in lab.nodes:
        for name, router in program(node).items():
            listed = [address["address"] for address in router["addresses"]]
            found[name] = listed or found.get(name, [])
    return found


def holders(lab: Lab) -> dict[str, str]:
    """Return the node of each VirtualIP once one node is Active, alone, and has its addresses."""
    wanted = virtual_addresses(lab)
    seen = {node.name: states(node) for node in lab.nodes}
    held = {node.name: set(addresses(node.host)) for node in lab.nodes}
    found = {}
    for name, listed in wanted.items():
        assert listed, f"{name}: no addresses yet"
        all_states = {node: of.get(name, "") for node, of in seen.items()}
        active = [node for node, state in all_states.items() if state == "Active"]
        others = {state for state in all_states.values() if state not in ("Active", "")}
        assert len(active) == 1, f"{name}: {all_states}"
        assert others <= {"Backup"}, f"{name}: {all_states}"
        where = {address: [n for n in held if address in held[n]] for address in listed}
        assert all(nodes == active for nodes in where.values()), f"{name}: {active}, {where}"
        found[name] = active[0]
    return found


def all_at(lab: Lab, node: Node, *, within_s: float = 30) -> None:
    """Wait until a node is Active for every VirtualIP and the others are Backup."""
    eventually(lambda: set(holders(lab).values()) == {node.name}, within_s=within_s, every_s=0.1)


def kept_at(lab: Lab, node: Node) -> Iterator[Node]:
    """Yield a node that is Active for all, before and after; every speaker runs again then."""
    all_at(lab, node)
    yield node
    for other in lab.nodes:
        if not other.running:
            other.start_speaker()
    all_at(lab, node, within_s=60)


def lateness_p99_s(before: EngineState, after: EngineState) -> str:
    """Return the bound below which 99 of 100 deadlines were handled between two copies."""
    counts = [b - a for a, b in zip(before.lateness_counts, after.lateness_counts, strict=True)]
    bounds = [f"≤ {bound / 1e6:g} ms" for bound in after.lateness_bounds_ns] + ["beyond"]
    total = 0
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        if total * 100 >= sum(counts) * 99:
            return f"{bound} of {sum(counts)}"
    return "none"
