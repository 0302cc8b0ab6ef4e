"""``python -m vrrp_lab``: demo, build, clean."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys

from vrrp_lab.demo import run_demo
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import clean_crashed_labs
from vrrp_lab.programs import CONTROL_PLANE, PROGRAMS, find_or_build

_INSIDE = "KUBE_VRRP_LAB_INSIDE"


def main() -> int:
    """Run one verb; return the exit status."""
    parser = _parser()
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
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
                _enter_user_namespace()
                return run_demo(standalone=options.standalone, keep=options.keep)
    except LabError as error:
        print(f"vrrp-lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _enter_user_namespace() -> None:
    """Without root, go on as root of a user namespace of our own, where the kernel allows it."""
    if os.geteuid() == 0 or os.environ.get(_INSIDE) or not shutil.which("unshare"):
        return
    command = ["unshare", "--user", "--map-root-user", "--net", "--"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        return  # Lan names what is missing
    os.environ[_INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, "-m", "vrrp_lab", *sys.argv[1:]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vrrp-lab", description="A cluster in a box.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo = verbs.add_parser("demo", help="bring up a cluster and break it")
    demo.add_argument("--standalone", action="store_true", help="no control plane")
    demo.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    build = verbs.add_parser("build", help="build the control plane, or programs named")
    build.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    verbs.add_parser("clean", help="end what crashed labs left behind")
    return parser


if __name__ == "__main__":
    sys.exit(main())
