"""``make sequences``: random changes of membership on a real API server, with nodes told late.

The same seed gives the same plan. Who has each address is told by the kernel of every node. Ends
with 1, and says what came before, where an address was where it may not be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.sequences.plan import draw
from tests.sequences.run import run


def main() -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.sequences", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--elections", type=int, default=20, help="at a time, 1 to 60")
    parser.add_argument("--rounds", type=int, default=10, help="of each election")
    parser.add_argument("--plan", action="store_true", help="print what would happen, and end")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy all logs to a new folder")
    options = parser.parse_args()
    plan = draw(options.seed, options.elections, options.rounds)
    if options.plan:
        print(*plan.elections, *plan.deeds, sep="\n")
        return 0
    outcome = run(plan, print, options.keep)
    print(f"seed {options.seed}: {outcome.figures()}")
    print(*outcome.wrong, sep="\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
