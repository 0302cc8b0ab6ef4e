"""The wall clock of one node, that a test may set.

A namespace has no wall clock of its own. So Python's is another one in the processes of such a
speaker: it is ahead by as many seconds as a file of the node says, from one moment to the next.
"""

from __future__ import annotations

import os
from pathlib import Path

from vrrp_lab.node import Node

# Python imports a module of this name before anything else.
_SITE = """
import time

real, real_ns = time.time, time.time_ns

def ahead():
    with open({path!r}) as file:
        return int(file.read())

time.time = lambda: real() + ahead()
time.time_ns = lambda: real_ns() + ahead() * 1_000_000_000
"""


class Clock:
    """The wall clock of one node."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._site = folder / node.name
        self._site.mkdir()
        self._ahead = self._site / "ahead"
        self.step_to(0)
        (self._site / "sitecustomize.py").write_text(_SITE.format(path=str(self._ahead)))

    def step_to(self, ahead_s: int) -> None:
        """Put the clock this far ahead of the others'."""
        unfinished = self._ahead.with_suffix(".new")
        unfinished.write_text(str(ahead_s))
        unfinished.replace(self._ahead)

    def start_speaker(self) -> None:
        """Start the node's speaker with this clock, as after a boot: it remembers nobody."""
        for remembered in self._node.run_dir.iterdir():
            remembered.unlink()
        path = os.pathsep.join(filter(None, (str(self._site), os.environ.get("PYTHONPATH"))))
        self._node.start_speaker(under=["env", f"PYTHONPATH={path}"])
