"""``kubectl vrrp``: the commands.

Exit status: 0 good, 1 manifests with errors, 2 wrong usage, 4 cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vrrp_cli import __version__
from vrrp_cli.manifests import ManifestError
from vrrp_cli.offline import render, validate
from vrrp_cli.replay import replay_file
from vrrp_operator.options import add_default_key_ref

CANNOT_RUN = 4


def main() -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args()
    try:
        match options.command:
            case "status":
                return _status(options)
            case "validate":
                return _validate(options)
            case "replay":
                return _replay(options)
            case _:
                return _render(options)
    except ManifestError as error:
        print(f"kubectl-vrrp: {error}", file=sys.stderr)
        return 1


def _status(options: argparse.Namespace) -> int:
    # The client takes half a second to import; the offline commands do not need it.
    from rich.console import Console  # noqa: PLC0415 - see above

    from vrrp_cli.cluster import ClusterError, read_virtual_ips, status_table  # noqa: PLC0415

    try:
        virtual_ips = read_virtual_ips(options.kubeconfig, options.context)
    except ClusterError as error:
        print(f"kubectl-vrrp: {error}", file=sys.stderr)
        return CANNOT_RUN
    Console(soft_wrap=True).print(status_table(virtual_ips))
    return 0


def _validate(options: argparse.Namespace) -> int:
    errors = validate(options.files)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def _replay(options: argparse.Namespace) -> int:
    for line in replay_file(options.file, everything=options.all):
        print(line)
    return 0


def _render(options: argparse.Namespace) -> int:
    written = render(options.nodes, options.files, options.output, options.default_key_ref)
    for path in written:
        print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubectl-vrrp", description="VirtualIPs of a cluster.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    status = commands.add_parser("status", help="show each VirtualIP and what its nodes do")
    status.add_argument("--kubeconfig")
    status.add_argument("--context")
    check = commands.add_parser("validate", help="check manifests without a cluster")
    check.add_argument("files", nargs="+", type=Path)
    draw = commands.add_parser("render", help="write the NodeConfigs of standalone nodes")
    draw.add_argument("--nodes", required=True, type=Path, help="file with v1 Node objects")
    draw.add_argument("--output", required=True, type=Path, help="folder to write to")
    add_default_key_ref(draw)
    draw.add_argument("files", nargs="+", type=Path)
    again = commands.add_parser("replay", help="run a speaker's recording through the protocol")
    again.add_argument("--all", action="store_true", help="also events without a consequence")
    again.add_argument("file", type=Path, help="from vrrp-speaker --record")
    return parser


if __name__ == "__main__":
    sys.exit(main())
