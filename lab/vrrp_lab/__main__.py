"""``python -m vrrp_lab``: demo, build, clean."""

from __future__ import annotations

import argparse
import signal
import sys

from vrrp_lab.demo import run_demo_on_kubelets
from vrrp_lab.first_demo import show_demo
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import clean_crashed_labs
from vrrp_lab.programs import CONTROL_PLANE, PROGRAMS, find_or_build


def main() -> int:
    """Run one verb; return the exit status."""
    parser = _parser()
    options = parser.parse_args()
    _end_in_order_when(signal.SIGTERM, signal.SIGHUP)
    try:
        match options.verb:
            case "clean":
                print(f"ended {clean_crashed_labs()} processes of crashed labs")
                return 0
            case "build":
                unknown = set(options.programs) - set(PROGRAMS)
                if unknown:
                    parser.error(f"no program is called {', '.join(sorted(unknown))}")
                for name in options.programs or CONTROL_PLANE:
                    print(find_or_build(name))
                return 0
            case _:
                if options.kubelets:
                    return run_demo_on_kubelets(keep=options.keep)
                return show_demo(standalone=options.standalone, keep=options.keep)
    except LabError as error:
        print(f"vrrp-lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _end_in_order_when(*numbers: signal.Signals) -> None:
    """Have these signals end this process the way Ctrl-C does: after what it started."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vrrp-lab", description="A cluster in a box.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo = verbs.add_parser("demo", help="bring up a cluster and break it")
    where = demo.add_mutually_exclusive_group()
    where.add_argument("--standalone", action="store_true", help="no control plane")
    where.add_argument("--kubelets", action="store_true", help="real kubelets, with the chart")
    demo.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    build = verbs.add_parser("build", help="build the control plane, or programs named")
    build.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    verbs.add_parser("clean", help="end what crashed labs left behind")
    return parser


if __name__ == "__main__":
    sys.exit(main())
