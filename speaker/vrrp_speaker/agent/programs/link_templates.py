"""Templates of what is sent over links, from a child that imports what must not stay resident.

It is started for links that are new or have changed, and for no change of configuration.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping
from typing import Any

from vrrp_speaker.agent.messages import Inbox, TemplatesMade
from vrrp_speaker.links.table import Link, bare_object

_DEADLINE_S = 30.0
_MOST_KNOWN = 256


class LinkTemplates:
    """Knows the templates of links; makes what lacks, one child at a time."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._busy = False
        self.known: dict[Link, Mapping[str, Any]] = {}
        """By ``Link.bare``, as they stand in a program's document."""

    def ensure(self, links: Collection[Link]) -> bool:
        """Return whether those of all these are known.

        If not, they are being made: a ``TemplatesMade`` message tells the end, and what it was.
        """
        lacking = [link for link in links if link not in self.known]
        if not lacking:
            return True
        if not self._busy:
            self._begin(lacking)
        return False

    def take(self, made: TemplatesMade) -> None:
        """Take what a child has made, or note that it ended."""
        self._busy = False
        if len(self.known) + len(made.templates) > _MOST_KNOWN:
            self.known.clear()  # links that came and went
        self.known.update(made.templates)

    def _begin(self, links: list[Link]) -> None:
        self._busy = True
        thread = threading.Thread(target=self._run, args=(links,), name="compiler", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # a thread more than the machine allows
            self._inbox.put(TemplatesMade({}, str(error)))

    def _run(self, links: list[Link]) -> None:
        try:
            self._inbox.put(TemplatesMade(run_compiler(links), ""))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._inbox.put(TemplatesMade({}, str(error)))


def run_compiler(links: Collection[Link]) -> dict[Link, Mapping[str, Any]]:
    """Return the templates of links without addresses.

    Raises:
        OSError, ValueError, subprocess.SubprocessError: the compiler cannot run, or failed.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "vrrp_speaker.compiler"],
        input=json.dumps({"links": [bare_object(link) for link in links]}),
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    if ended.returncode not in (0, 1) or not ended.stdout:
        raise ValueError(f"compiler ended with {ended.returncode}: {ended.stderr[-300:]}")
    answer: Mapping[str, Any] = json.loads(ended.stdout)
    if "error" in answer:
        raise ValueError(answer["error"])
    return dict(zip(links, answer["templates"], strict=True))
