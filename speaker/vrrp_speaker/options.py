"""The command line of ``vrrp-speaker``, shared by the supervisor and the agent it starts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from vrrp_speaker import __version__

CANNOT_RUN = 4
"""Exit status: the speaker cannot run as it was started; one line on stderr says why."""
WITH_WARNINGS = 5
"""Exit status of ``check``: a speaker runs with this file, and something in it is doubtful."""

DEFAULT_RUN_DIR = "/run/kube-vrrp"
DEFAULT_KEYS_DIR = "/etc/kube-vrrp/keys"
CONTROL_SOCKET = "agent.sock"
DEFAULT_TARGETS = ("Node", "Subnets")
ANYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Options:
    """Where the speaker finds its node's configuration and keeps its files."""

    node: str
    kubeconfig: str | None
    config: str | None
    state_dir: str
    run_dir: str
    keys_dir: str
    ca_dir: str
    header_values_dir: str
    scripts_dir: str
    script_user: str
    file_folders: tuple[str, ...]
    said_targets: tuple[str, ...] | None
    check_runs_per_second: int
    record: str | None
    metrics_bind_address: str
    log_level: str
    log_format: str

    @property
    def program_path(self) -> str:
        """The engine program: written by the agent, read by the engine."""
        return os.path.join(self.run_dir, "program.json")

    @property
    def shared_state_path(self) -> str:
        """The shared state: written by the engine, read by the agent."""
        return os.path.join(self.run_dir, "state.shm")

    @property
    def socket_path(self) -> str:
        """The channel between agent and engine."""
        return os.path.join(self.run_dir, "engine.sock")

    @property
    def control_path(self) -> str:
        """Where the agent answers ``vrrp-speaker dump``."""
        return os.path.join(self.run_dir, CONTROL_SOCKET)

    @property
    def check_targets(self) -> tuple[str, ...]:
        """Whom checks may ask; whoever writes a standalone file is the node's administrator."""
        if self.said_targets is not None:
            return self.said_targets
        return DEFAULT_TARGETS if self.config is None else ANYWHERE

    @property
    def dump_path(self) -> str:
        """The state as it was at the last SIGUSR2."""
        return os.path.join(self.run_dir, "dump.json")


def parse_options(arguments: Sequence[str]) -> Options:
    """Parse the command line; exits with status 2 and a usage line when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="vrrp-speaker",
        description="Run this node's share of every VirtualIP.",
        epilog="commands: vrrp-speaker check FILE (look at a NodeConfig file), vrrp-speaker dump"
        " (print the state of the speaker here). signals: SIGUSR1 switches the log to debug and"
        " back, SIGUSR2 writes the state to dump.json in the run directory",
    )
    parser.add_argument("--node", default=os.environ.get("NODE_NAME"), help="name of this node")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--kubeconfig", help="absent: the pod's service account")
    source.add_argument("--config", help="standalone: a NodeConfig file, no API server")
    parser.add_argument("--state-dir", default="/var/lib/kube-vrrp", help="survives a reboot")
    parser.add_argument("--run-dir", default=DEFAULT_RUN_DIR, help="lost at a reboot")
    parser.add_argument(
        "--keys-dir", default=DEFAULT_KEYS_DIR, help="keys that sign, from a mounted Secret"
    )
    _add_check_options(parser)
    parser.add_argument(
        "--record", help="file for every election's events, see kubectl-vrrp replay"
    )
    parser.add_argument("--metrics-bind-address", default="[::]:9105")
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"]
    )
    parser.add_argument("--log-format", default="json", choices=["json", "text"])
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    values = parser.parse_args(arguments)
    if not values.node:
        parser.error("--node is required (or the environment variable NODE_NAME)")
    return Options(**vars(values))


def _add_check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ca-dir", default="/etc/kube-vrrp/ca", help="authorities that HTTPS checks may name"
    )
    parser.add_argument(
        "--header-values-dir",
        default="/etc/kube-vrrp/header-values",
        help="values that headers of HTTP checks may name, from a mounted Secret",
    )
    parser.add_argument(
        "--scripts-dir", default="/etc/kube-vrrp/scripts", help="scripts that exec checks may name"
    )
    parser.add_argument("--script-user", default="nobody", help="whom scripts run as; never root")
    parser.add_argument(
        "--file-folders",
        type=_folders,
        default=("/var/lib/kube-vrrp/files",),
        help="folders that file checks may read in, separated by colons; empty: none",
    )
    parser.add_argument(
        "--check-targets",
        dest="said_targets",
        type=_entries,
        default=_entries_or_none(os.environ.get("CHECK_TARGETS")),
        help="whom checks may ask, separated by commas: Node, Subnets, networks (absent: the"
        " environment's CHECK_TARGETS, else Node,Subnets; with --config anybody)",
    )
    parser.add_argument(
        "--check-runs-per-second",
        type=_at_least_one,
        default=500,
        help="how many runs all checks together may have, a script counting as ten; with more"
        " those that run most often are slowed",
    )


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be an integer of at least 1")
    return int(text)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _entries_or_none(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else _entries(text)


def _folders(text: str) -> tuple[str, ...]:
    folders = tuple(folder for folder in text.split(":") if folder)
    for folder in folders:
        if not folder.startswith("/"):
            raise argparse.ArgumentTypeError(f"{folder}: must be an absolute path")
    return folders
