"""One list and watch of objects that a selector picks, begun anew for as long as it is wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from vrrp_operator.caught import Report, log_only

_log = logging.getLogger(__name__)
_REFUSALS = (401, 403, 404)
"""Answers that mean it: others come from a server that is away or overloaded."""
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)

Object = Mapping[str, Any]


class SelectedReader(Protocol):
    """Who asks the API server for the objects at a path that a selector picks."""

    def list_selected(self, path: str, label_selector: str) -> tuple[Sequence[Object], str]:
        """Return them, and the version of the list."""

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Object]]:
        """Yield what changes after a version, as (type, object), until the server ends it."""


class Taker(Protocol):
    """Who wants them."""

    def replace(self, objects: Sequence[Object]) -> None:
        """Take in a complete list."""

    def put(self, obj: Object, *, deleted: bool) -> None:
        """Take in one object."""

    def broke(self, *, refused: bool) -> None:
        """Note that nothing can be read just now: it is refused, or nobody answers."""


class ListWatch:
    """Lists and watches in a thread of its own, until it is stopped."""

    def __init__(
        self,
        reader: SelectedReader,
        unavailable: type[Exception],
        path: str,
        label_selector: str,
        taker: Taker,
        *,
        caught: Report = log_only,
    ) -> None:
        self._reader = reader
        self._unavailable = unavailable
        self._path = path
        self._selector = label_selector
        self._taker = taker
        self._caught = caught
        self._stop = threading.Event()

    def start(self, version: str = "") -> None:
        """Begin with what changes after a version, or with a list."""
        name = self._path.rpartition("/")[2]
        threading.Thread(target=self._run, args=(version,), name=name, daemon=True).start()

    def stop(self) -> None:
        """End soon; nothing is taken in any more."""
        self._stop.set()

    def _run(self, version: str) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if not version:
                    objects, version = self._reader.list_selected(self._path, self._selector)
                    if not self._stop.is_set():
                        self._taker.replace(objects)
                version = self._watch(version)
                failures = 0
            except self._unavailable as error:
                if not failures:
                    _log.warning("watch broke", extra={"path": self._path, "error": str(error)})
                self._taker.broke(refused=getattr(error, "status", 0) in _REFUSALS)
                version = ""
                self._pause(failures)
                failures += 1
            except Exception as error:  # of one answer; the next list may fare better
                self._caught("watch", error)
                version = ""
                self._pause(failures)
                failures += 1

    def _pause(self, failures: int) -> None:
        self._stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])

    def _watch(self, version: str) -> str:
        """Take in changes until the server ends the watch; return the version to go on from.

        An empty version asks for a new list.
        """
        for kind, obj in self._reader.watch_selected(self._path, self._selector, version):
            if self._stop.is_set():
                break
            if kind == "ERROR":
                return ""  # as a rule: the version is too old
            version = obj["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                try:
                    self._taker.put(obj, deleted=kind == "DELETED")
                except Exception as error:  # of one object
                    self._caught("watch", error)
        return version
