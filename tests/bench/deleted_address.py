"""Somebody else deletes the virtual address, every 100 ms for ten seconds."""

from __future__ import annotations

import time

from tests.bench.homes import Homes, homes, seen, told
from tests.bench.report import Report
from tests.bench.samples import spread

_EVERY_S = 0.1
_FOR_S = 10.0


def measure_deleted_address(report: Report) -> None:
    """Delete it with ip(8), over and over; print how long the host was without it."""
    with homes() as place, place.probed() as probes:
        before = place.transitions()
        begun_ns = time.monotonic_ns()
        deletions = _delete(place)
        place.settle()
        windows = seen(probes, begun_ns)
        transitions, moves = told(before, place.transitions()), place.moves(begun_ns)
        restored_ns = _restored_ns(place, begun_ns)
    report.section(
        "Address deleted by others",
        f"`ip addr del` on the Active node every {_EVERY_S * 1000:.0f} ms for {_FOR_S:.0f} s; from"
        " the kernel's news that the address is gone to its news that it is there.",
    )
    rows = [
        ("deleted, restored", f"{deletions}, {len(restored_ns)}"),
        ("restored after, ms, p50 / p95 / max", spread(restored_ns, digits=2)),
        ("addresses that went to another node", moves),
        ("transitions counted", transitions),
        ("probes lost, of this address", f"{windows[0].lost} of {windows[0].sent}"),
    ]
    report.table(("", ""), rows)


def _delete(place: Homes) -> int:
    """Return how many deletions the kernel accepted."""
    node = place.nodes[0]
    deletions = 0
    begun_s = time.monotonic()
    for turn in range(round(_FOR_S / _EVERY_S)):
        time.sleep(max(0.0, begun_s + turn * _EVERY_S - time.monotonic()))
        listed = node.host.exec("ip", "addr", "del", _with_length(place), "dev", "eth0")
        deletions += listed.returncode == 0
    return deletions


def _with_length(place: Homes) -> str:
    return f"{place.address(place.nodes[0])}/32"


def _restored_ns(place: Homes, since_ns: int) -> list[int]:
    node = place.nodes[0]
    gone_ns: int | None = None
    found = []
    for change in place.holders.timeline(place.address(node)).changes:
        if change.host != node.name or change.at_ns < since_ns:
            continue
        if change.held and gone_ns is not None:
            found.append(change.at_ns - gone_ns)
        gone_ns = None if change.held else change.at_ns
    return found
