"""The commands of ``kubectl vrrp``.

Exit status: 0 good, with warnings or without, 1 manifests with errors or not moved in time, 2 wrong
usage, 4 cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from vrrp_api.duration import parse_duration
from vrrp_api.election import ELECTION_KEY_STAGES
from vrrp_cli import __version__
from vrrp_cli.manifests import ManifestError
from vrrp_cli.offline import render, validate
from vrrp_cli.replay import replay_file
from vrrp_operator.options import add_default_key_ref, add_reserved_vrids


def run() -> int:
    """Run one command; return the exit status."""
    options = _parse()
    try:
        match options.command:
            case "validate":
                return _validate(options)
            case "render":
                return _render(options)
            case "replay":
                return _replay(options)
            case _:
                # The client takes half a second to import; the others do not need it.
                from vrrp_cli.online import run_online  # noqa: PLC0415 - half a second, online only

                return run_online(options)
    except ManifestError as error:
        print(f"kubectl-vrrp: {error}", file=sys.stderr)
        return 1


def _parse() -> argparse.Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args()
    if options.command == "handover":
        if options.node is None and rest and not rest[0].startswith("-"):
            options.node = rest.pop(0)  # argparse misses an optional word that follows a flag
        if (options.node is None) is not options.undo:
            parser.error("handover: give either the node or --undo")
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _validate(options: argparse.Namespace) -> int:
    errors, warnings = validate(options.files)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def _replay(options: argparse.Namespace) -> int:
    for line in replay_file(options.file, everything=options.all):
        print(line)
    return 0


def _render(options: argparse.Namespace) -> int:
    written = render(
        options.nodes,
        options.files,
        options.output,
        options.default_key_ref,
        options.election_key,
        reserved_vrids=options.reserved_vrids,
    )
    for path in written:
        print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubectl-vrrp", description="VirtualIPs of a cluster.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_online(commands)
    check = commands.add_parser("validate", help="check manifests without a cluster")
    check.add_argument("files", nargs="+", type=Path)
    draw = commands.add_parser("render", help="write the NodeConfigs of standalone nodes")
    draw.add_argument("--nodes", required=True, type=Path, help="file with v1 Node objects")
    draw.add_argument("--output", required=True, type=Path, help="folder to write to")
    add_default_key_ref(draw)
    add_reserved_vrids(draw)
    draw.add_argument(
        "--election-key",
        choices=ELECTION_KEY_STAGES,
        default=ELECTION_KEY_STAGES[-1],
        help="how elections with the default key use a key of their own (default: %(default)s)",
    )
    draw.add_argument("files", nargs="+", type=Path)
    again = commands.add_parser("replay", help="run a speaker's recording through the protocol")
    again.add_argument("--all", action="store_true", help="also events without a consequence")
    again.add_argument("file", type=Path, help="from vrrp-speaker --record")
    return parser


def _add_online(commands: Any) -> None:
    """Add the commands that ask the cluster."""
    access = argparse.ArgumentParser(add_help=False)
    access.add_argument("--kubeconfig")
    access.add_argument("--context")
    patience = argparse.ArgumentParser(add_help=False)
    patience.add_argument(
        "--timeout", type=_seconds, default="10s", help="how long to wait for it (10s)"
    )
    commands.add_parser(
        "status", parents=[access], help="show each VirtualIP and what its nodes do"
    )
    move = commands.add_parser(
        "handover", parents=[access, patience], help="let a node hold a VirtualIP until --undo"
    )
    move.add_argument("virtual_ip", metavar="VIP")
    move.add_argument("node", metavar="NODE", nargs="?")
    move.add_argument("--undo", action="store_true", help="back to the normal ranking")
    leave = commands.add_parser(
        "maintenance", parents=[access, patience], help="take a node out of elections, and back"
    )
    leave.add_argument("node", metavar="NODE")
    leave.add_argument("switch", choices=["on", "off"])


def _seconds(text: str) -> float:
    try:
        return parse_duration(text) / 1e9
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
