"""``vrrp-speaker check FILE``: tell what is wrong with a standalone configuration, and where."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vrrp_speaker.agent.config_file import ConfigFileError, read_config_file
from vrrp_speaker.options import CANNOT_RUN, WITH_WARNINGS


def check(arguments: Sequence[str]) -> int:
    """Read the file, print a line for each finding; return 0 good, 4 cannot run, 5 with warnings.

    A wrong command line ends with status 2.
    """
    parser = argparse.ArgumentParser(
        prog="vrrp-speaker check",
        description="Look at a NodeConfig file as a speaker with --config would.",
        epilog="exit status: 0 good, 4 a speaker cannot run with it, 5 it runs with warnings",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--node", help="whose configuration it must be; absent: anybody's")
    values = parser.parse_args(arguments)
    path: Path = values.file
    try:
        found = read_config_file(path, values.node, 0)
    except ConfigFileError as error:
        for finding in error.findings:
            print(f"error: {finding.at(path)}")
        return CANNOT_RUN
    for finding in found.warnings:
        print(f"warning: {finding.at(path)}")
    routers = len(found.config.virtual_routers)
    print(f"{path}: node {found.config.node}, {routers} virtual routers", file=sys.stderr)
    return WITH_WARNINGS if found.warnings else 0
