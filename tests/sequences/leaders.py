"""``make leaders``: of two operators the one that leads is killed, stopped and cut off, many times.

VirtualIPs are made and changed meanwhile. Every change has to be applied, no virtual router ID is
given twice, and what runs moves nowhere. How long nobody led is printed.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from tests.cluster.several_operators import (
    Edits,
    OneOperator,
    are_settled,
    holders,
    leader_of,
    two_operators,
)
from tests.eventually import eventually

from vrrp_lab.lab import Lab, LabOptions

OPTIONS = LabOptions(nodes=5, start_operator=False)
Deed = Callable[[OneOperator], None]
WAYS: dict[str, tuple[Deed, Deed]] = {
    "killed": (lambda one: one.stop(signal.SIGKILL), OneOperator.start),
    "stopped": (lambda one: one.send(signal.SIGSTOP), lambda one: one.send(signal.SIGCONT)),
    "cut off": (OneOperator.cut_off, OneOperator.reconnect),
    "ended": (OneOperator.stop, OneOperator.start),
}
_EDITS = 4
"""While a leader is away."""


def main() -> int:
    """Play it; return 1 where something was not as it has to be."""
    parser = argparse.ArgumentParser(prog="tests.sequences.leaders", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--away", type=float, default=60.0, help="seconds (default: 60)")
    options = parser.parse_args()
    wrong: list[str] = []
    with Lab(OPTIONS) as lab:
        operators, edits = two_operators(lab), Edits(lab)
        edits.make()
        for name, way in WAYS.items():
            took_s: list[float] = []
            for number in range(options.rounds):
                try:
                    took_s.append(_round(lab, operators, edits, way, options.away))
                except AssertionError as error:
                    wrong.append(f"{name}, round {number + 1}: {error}")
            print(f"{name}: {_spread(took_s)}; {edits.count} edits so far", flush=True)
    print(*wrong, f"{len(wrong)} rounds went wrong", sep="\n")
    return 1 if wrong else 0


def _round(
    lab: Lab,
    operators: Sequence[OneOperator],
    edits: Edits,
    way: tuple[Deed, Deed],
    away_s: float,
) -> float:
    """Lose the leader and find it again; return for how many seconds nobody led."""
    eventually(lambda: are_settled(operators), within_s=60, every_s=0.5)
    eventually(edits.are_applied, within_s=90, every_s=0.5)
    before = holders(lab)
    leader = leader_of(operators)
    (other,) = [one for one in operators if one is not leader]
    lose, find = way
    edits.make()
    begun_s = time.monotonic()
    lose(leader)
    eventually(other.leads, within_s=60, every_s=0.05)
    took_s = time.monotonic() - begun_s
    for _ in range(_EDITS):
        edits.make()
    time.sleep(max(0.0, begun_s + away_s - time.monotonic()))
    find(leader)
    edits.make()
    eventually(lambda: are_settled(operators), within_s=60, every_s=0.5)
    eventually(edits.are_applied, within_s=90, every_s=0.5)
    after = holders(lab)
    moved = [name for name, was in before.items() if after[name] != was]
    assert not moved, f"moved: {moved}"
    return took_s


def _spread(took_s: Sequence[float]) -> str:
    if not took_s:
        return "never in order"
    median, longest = statistics.median(took_s), max(took_s)
    return f"nobody led for {median:.1f} s (median), {longest:.1f} s at most, {len(took_s)} rounds"


if __name__ == "__main__":
    sys.exit(main())
