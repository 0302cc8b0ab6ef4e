"""``make objects``: a chaos of objects beside ten ordinary VirtualIPs under probes.

The same seed gives the same steps. Ends with 1 where a probe of the ten was lost, a change of
theirs was never applied, operator or speakers were started again, or an odd object does not say
what is wrong with it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.objects.plan import draw_steps
from tests.objects.run import run


def main() -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.objects", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pace", type=float, default=1.0, metavar="SECONDS", help="of a step")
    parser.add_argument("--plan", action="store_true", help="print what would be done, and end")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy all logs to a new folder")
    options = parser.parse_args()
    steps = draw_steps(options.seed, options.steps)
    if options.plan:
        print(*steps, sep="\n")
        return 0
    outcome = run(steps, options.pace, lambda line: print(line, flush=True), options.keep)
    print(f"seed {options.seed}: {outcome.figures}")
    print(*outcome.wrong, sep="\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
