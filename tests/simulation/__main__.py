"""``python -m tests.simulation``: run many seeds, or replay one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.scenarios import SCENARIOS, run_scenario
from tests.simulation.simulation import SECONDS, Failure, run_seed

import vrrp


def main() -> int:
    """Run the seeds; return 1 and print the timeline if a rule was broken."""
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0..499", metavar="A..B", help="a range, or one seed")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="virtual, of each seed")
    parser.add_argument("--scenarios", action="store_true", help="run the scenarios first")
    parser.add_argument("--scenario", choices=[*SCENARIOS], help="run this alone")
    parser.add_argument("--keep-going", action="store_true", help="do not end at a failure")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("..")
    print(f"simulating {vrrp.__file__}")
    begun_s = time.perf_counter()
    names = [options.scenario] if options.scenario else SCENARIOS if options.scenarios else ()
    failures: list[Failure] = []
    for name in names:
        failure = run_scenario(name)
        if failure is not None:
            failures.append(failure)
            print(failure, end="\n\n")
            if not options.keep_going:
                break
    done = 0
    seeds = range(int(first), int(last or first) + 1)
    for seed in () if options.scenario else seeds:
        if failures and not options.keep_going:
            break
        failure = run_seed(seed, options.seconds)
        done += 1
        if failure is not None:
            failures.append(failure)
            print(failure, end="\n\n", flush=True)
    took_s = time.perf_counter() - begun_s
    print(f"{done} seeds of {options.seconds} s, {len(failures)} failed, {took_s:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
