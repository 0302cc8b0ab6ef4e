"""What a run saw, in figures and faults (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.holders import Timeline
from tests.objects.plan import Kind, Step

MS = 1_000_000
_GOOD = ("Accepted", "Programmed", "Ready", "Passing")


def silent(obj: Mapping[str, Any]) -> str:
    """Return in which way an object does not say what is wrong with it; empty where it does.

    It says so in a condition of its newest generation, or that all is well.
    """
    name = f"{obj['kind']} {obj['metadata']['name'][:40]}"
    status = obj.get("status") or {}
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return f"{name} says nothing of its newest generation: {status.get('observedGeneration')}"
    conditions = {c["type"]: c for c in status.get("conditions", ()) if c["type"] in _GOOD}
    if not conditions:
        return f"{name} has no condition"
    odd = [c for c in conditions.values() if c["reason"] == "InternalError"]
    if odd:
        return f"{name} met a fault of the operator: {odd[0]['message']}"
    wrong = [c for c in conditions.values() if c["status"] != "True"]
    if wrong and not any(c.get("message") for c in wrong):
        return f"{name} does not say why it is not {wrong[0]['type']}"
    return ""


def kernel_latencies(
    sent: Sequence[tuple[int, Step]], timelines: Mapping[str, Timeline], until_ns: int
) -> tuple[list[int], list[str]]:
    """Return how long addresses of the ten took to come and go, and which never did.

    From when kubectl was started until the kernels of all nodes have it so. One that the next one
    came before is neither.
    """
    taken: list[int] = []
    never: list[str] = []
    asked = [(at, s) for at, s in sent if s.kind is Kind.CHANGE and "addresses" in s.value]
    for number, (at_ns, step) in enumerate(asked):
        later = [at for at, other in asked[number + 1 :] if other.name == step.name]
        end_ns = min(later, default=until_ns)
        wanted = len(step.value["addresses"]) - 1
        spans = [(0, frozenset[str]()), *timelines[step.name].spans()]
        came = next((at for at, who in spans if at_ns < at < end_ns and len(who) == wanted), None)
        if came is not None:
            taken.append(came - at_ns)
        elif not later and len(spans[-1][1]) != wanted:
            never.append(f"step {step.number}: {step.name} never had {wanted} more addresses")
    return taken, never


def percentiles(lengths_ns: Sequence[int]) -> str:
    """Return the median, the 99th percentile and the longest, in words."""
    ordered = sorted(lengths_ns)
    if not ordered:
        return "nothing"
    p50, p99 = (ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 99))
    return (
        f"{len(ordered)} changes, median {p50 / 1e9:.1f} s, p99 {p99 / 1e9:.1f} s,"
        f" longest {ordered[-1] / 1e9:.1f} s"
    )
