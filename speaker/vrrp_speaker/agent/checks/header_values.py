"""Values of HTTP headers that checks name and their authors never see: files of a mounted Secret.

Whoever may write HealthChecks chooses whom a check asks, so a value says itself whom it may be
sent to: ``NAME.targets`` beside ``NAME``, a list as of ``--check-targets``. Without it the node
itself is all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from vrrp_speaker.agent.checks.connection import reason
from vrrp_speaker.agent.checks.targets import NODE, Targets, TargetsError, parse_targets

_MOST_BYTES = 4096
_PRINTABLE = range(0x20, 0x7F)
_TAB = 0x09


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """A value, and whom it may be sent to; the text is shown to nobody."""

    text: str
    targets: Targets


class HeaderValues:
    """The folder; every run reads what it needs anew, as a Secret's files are replaced."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, name: str) -> HeaderValue:
        """Return the value of a name.

        Raises:
            OSError: it cannot be used; the message names the file and never holds what is in it.
        """
        content = self._content(name)
        value = content.removesuffix(b"\n").removesuffix(b"\r")
        if not value or any(byte not in _PRINTABLE and byte != _TAB for byte in value):
            raise OSError(f"{_described(name)}: must be one line of printable ASCII")
        return HeaderValue(value.decode("ascii"), self._targets(f"{name}.targets"))

    def _targets(self, name: str) -> Targets:
        said_by = _described(name)
        if not os.path.lexists(os.path.join(self._folder, name)):
            return parse_targets([NODE], said_by)
        entries = self._content(name).decode("ascii", "replace").replace(",", " ").split()
        try:
            return parse_targets(entries, said_by)
        except TargetsError as error:
            raise OSError(str(error)) from error

    def _content(self, name: str) -> bytes:
        try:
            with open(os.path.join(self._folder, name), "rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise OSError(f"{_described(name)}: {reason(error)}") from error
        if len(content) > _MOST_BYTES:
            raise OSError(f"{_described(name)}: must have at most {_MOST_BYTES} bytes")
        return content


def _described(name: str) -> str:
    return f"header value {name} of --header-values-dir"
