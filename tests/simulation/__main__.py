"""``python -m tests.simulation``: run many seeds, or replay one.

With ``--chaos-seed`` the faults are those of ``tests/netns/test_chaos.py`` under the same seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.chaos.plan import VIRTUAL_IPS, plan
from tests.simulation.chaos import run_chaos_seed
from tests.simulation.membership import run_membership_seed
from tests.simulation.messages import run_messages_seed
from tests.simulation.messages_scenarios import MESSAGES_SCENARIOS, run_messages_scenario
from tests.simulation.scenarios import SCENARIOS, run_scenario
from tests.simulation.simulation import SECONDS, Failure, run_seed

import vrrp
import vrrp_operator
import vrrp_speaker


def main() -> int:
    """Run what was asked for; return 1 and print the timeline if a rule was broken."""
    options = _parser().parse_args()
    print(f"simulating {vrrp.__file__}")
    print(f"with the operator of {vrrp_operator.__file__}")
    print(f"and the speaker of {vrrp_speaker.__file__}")
    begun_s = time.perf_counter()
    failures: list[Failure] = []
    done = 0
    for run in _runs(options):
        if failures and not options.keep_going:
            break
        failure = run()
        done += 1
        if failure is not None:
            failures.append(failure)
            print(failure, end="\n\n", flush=True)
    took_s = time.perf_counter() - begun_s
    print(f"{done} runs, {len(failures)} failed, {took_s:.1f} s")
    return 1 if failures else 0


def _runs(options: argparse.Namespace) -> Iterator[Callable[[], Failure | None]]:
    """Yield what was asked for, each to be called; seeds come last, or alone are chaos seeds."""
    if options.chaos_seed is not None:
        for seed in options.chaos_seed:
            if len(options.chaos_seed) == 1:
                print(*plan(seed, options.seconds), sep="\n")
            yield partial(run_chaos_seed, seed, options.seconds, options.virtual_ip)
        return
    if options.story is not None:
        yield partial(run_messages_scenario, options.story)
        return
    if options.messages is not None:
        yield from (partial(run_messages_scenario, name) for name in MESSAGES_SCENARIOS)
        yield from (partial(run_messages_seed, seed) for seed in options.messages)
        return
    if options.membership is not None:
        for seed in options.membership:
            yield partial(run_membership_seed, seed, options.seconds)
        return
    names = [options.scenario] if options.scenario else SCENARIOS if options.scenarios else ()
    for name in names:
        yield partial(run_scenario, name)
    for seed in () if options.scenario else options.seeds:
        yield partial(run_seed, seed, options.seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument(
        "--seeds", type=_seeds, default=range(500), metavar="A..B", help="a range, or one seed"
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="virtual, of each seed")
    parser.add_argument("--scenarios", action="store_true", help="run the scenarios first")
    parser.add_argument("--scenario", choices=[*SCENARIOS], help="run this alone")
    parser.add_argument(
        "--chaos-seed", type=_seeds, metavar="A..B", help="chaos alone: a range, or one seed"
    )
    parser.add_argument(
        "--membership", type=_seeds, metavar="A..B", help="lists in any order alone, these seeds"
    )
    parser.add_argument(
        "--virtual-ip",
        type=lambda text: (int(text),),
        default=tuple(range(VIRTUAL_IPS)),
        metavar="N",
        help=f"of the chaos, one alone (0 to {VIRTUAL_IPS - 1})",
    )
    parser.add_argument(
        "--messages",
        type=_seeds,
        metavar="A..B",
        help="configuration as messages alone, with the operator's own steps",
    )
    parser.add_argument("--story", choices=[*MESSAGES_SCENARIOS], help="one of its stories alone")
    parser.add_argument("--keep-going", action="store_true", help="do not end at a failure")
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("..")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: accepted are 7 or 7..20")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())
