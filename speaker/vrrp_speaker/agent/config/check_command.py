"""``vrrp-speaker check FILE``: tell what is wrong with a standalone configuration, and where."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.config.config_file import ConfigFileError, read_config_file
from vrrp_speaker.agent.config.config_warnings import config_warnings
from vrrp_speaker.agent.config.keys import KeyFolder
from vrrp_speaker.agent.programs.placing import Placing
from vrrp_speaker.links.reading import read_links
from vrrp_speaker.options import CANNOT_RUN, DEFAULT_KEYS_DIR, WITH_WARNINGS

_FIELDS = (
    ("Interface", ".interface"),
    ("NotInSubnet", ".interface"),
    ("Address", ".addresses"),
    ("IPv6Disabled", ".addresses"),
    ("Auth", ".authentication"),
)
"""Which field of a virtual router the faults that begin so are about."""


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
    parser.add_argument(
        "--here", action="store_true", help="this is the node: look at its interfaces and keys, too"
    )
    parser.add_argument("--keys-dir", default=DEFAULT_KEYS_DIR, help="its key folder, with --here")
    values = parser.parse_args(arguments)
    path: Path = values.file
    doubts = partial(_doubts_here, Path(values.keys_dir)) if values.here else config_warnings
    try:
        found = read_config_file(path, values.node, 0, doubts)
    except ConfigFileError as error:
        for finding in error.findings:
            print(f"error: {finding.at(path)}")
        return CANNOT_RUN
    for finding in found.warnings:
        print(f"warning: {finding.at(path)}")
    routers = len(found.config.virtual_routers)
    print(f"{path}: node {found.config.node}, {routers} virtual routers", file=sys.stderr)
    return WITH_WARNINGS if found.warnings else 0


def _doubts_here(keys_dir: Path, config: NodeConfig) -> Iterator[tuple[str, str]]:
    """Yield what is doubtful anywhere, and what keeps a virtual router from taking part here."""
    yield from config_warnings(config)
    keys = KeyFolder(keys_dir, SimpleQueue(), {})
    if keys.problem:
        yield "spec", f"{keys_dir}: {keys.problem}"
    try:
        table = read_links()
    except OSError as error:
        yield "spec", f"links not read: {error}"
        return
    placed = Placing().place(config, {}, table, keys.material())
    for index, router in enumerate(placed.routers):
        for fault in router.document["faults"]:
            field = next((field for begin, field in _FIELDS if fault.startswith(begin)), "")
            yield f"spec.virtualRouters[{index}]{field}", fault
