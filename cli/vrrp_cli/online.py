"""The commands that ask the cluster; the others do not wait for its client to be imported."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from vrrp_cli.cluster import Cluster, ClusterError, status_table
from vrrp_cli.moves import NotMovedError, end_maintenance, hand_over, maintain, undo_hand_over

NOT_MOVED = 1
CANNOT_RUN = 4
_ANY_WIDTH = 1_000_000
"""More characters than a line has; a table is as wide as what stands in it."""


def run_online(options: argparse.Namespace) -> int:
    """Run ``status``, ``handover`` or ``maintenance``; return the exit status."""
    try:
        cluster = Cluster(options.kubeconfig, options.context)
        if options.command == "status":
            _print_whole(status_table(cluster.virtual_ips()))
        else:
            print(_move(cluster, options))
    except NotMovedError as error:
        print(f"kubectl-vrrp: {error}", file=sys.stderr)
        return NOT_MOVED
    except ClusterError as error:
        print(f"kubectl-vrrp: {error}", file=sys.stderr)
        return CANNOT_RUN
    return 0


def _print_whole(table: Table) -> None:
    """Print all of a table; folded to the width of a terminal, in a file or pipe as it is."""
    # Nothing in it is markup: ":a:" may be part of an address, "[b]" of a message.
    console = Console(markup=False, emoji=False, highlight=False)
    if not sys.stdout.isatty():
        console.width = _ANY_WIDTH
    console.print(table)


def _move(cluster: Cluster, options: argparse.Namespace) -> str:
    if options.command == "maintenance":
        if options.switch == "on":
            return maintain(cluster, options.node, options.timeout)
        return end_maintenance(cluster, options.node)
    if options.undo:
        return undo_hand_over(cluster, options.virtual_ip)
    return hand_over(cluster, options.virtual_ip, options.node, options.timeout)
