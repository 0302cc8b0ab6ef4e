"""What is known of the Services that HealthChecks name, kept up to date by a watch of its own.

One watch asks for the EndpointSlices of these Services only, so that a big cluster costs no more
than what its checks need; it begins anew when a check names another Service. What was seen last
stays while the API server is away.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from vrrp_operator.services import ReadyByNode, count_ready, ready_by_node, selector, service_of

_log = logging.getLogger(__name__)
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)

Object = Mapping[str, Any]


class SliceReader(Protocol):
    """Who asks the API server for EndpointSlices."""

    def list_slices(self, label_selector: str) -> tuple[Sequence[Object], str]:
        """Return those that a selector picks, and the version of the list."""

    def watch_slices(self, label_selector: str, version: str) -> Iterator[tuple[str, Object]]:
        """Yield what changes after a version, as (type, object), until the server ends it."""


class ServiceEndpoints:
    """Ready endpoints by Service and node; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slices: dict[str, dict[str, ReadyByNode]] = {}
        """Service to slice to its ready endpoints; a Service with no slice was asked for."""

    def known(self) -> dict[str, Mapping[str, int] | None]:
        """Return each Service that was asked for: ready endpoints by node, None if it has no slice.

        A controller makes a slice for every Service with a selector, also for one without Pods.
        """
        with self._lock:
            return {
                service: count_ready(slices.values()) if slices else None
                for service, slices in self._slices.items()
            }

    def replace(self, services: Iterable[str], slices: Iterable[Object]) -> bool:
        """Take in a complete list; return whether it says anything new."""
        found: dict[str, dict[str, ReadyByNode]] = {service: {} for service in services}
        for slice_ in slices:
            if service_of(slice_) in found:
                found[service_of(slice_)][slice_["metadata"]["name"]] = ready_by_node(slice_)
        with self._lock:
            changed = found != self._slices
            self._slices = found
        return changed

    def put(self, slice_: Object, *, deleted: bool) -> bool:
        """Take in one slice; return whether it says anything new."""
        service, name = service_of(slice_), slice_["metadata"]["name"]
        with self._lock:
            slices = self._slices.get(service)
            if slices is None:
                return False  # a namesake in another namespace
            before = slices.get(name)
            if deleted:
                slices.pop(name, None)
                return before is not None
            slices[name] = ready_by_node(slice_)
            return slices[name] != before


class EndpointWatch:
    """Follows the Services that checks name."""

    def __init__(self, reader: SliceReader, unavailable: type[Exception]) -> None:
        self._reader = reader
        self._unavailable = unavailable
        self._endpoints = ServiceEndpoints()
        self._services: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._changed: Callable[[], object] = lambda: None

    def on_change(self, changed: Callable[[], object]) -> None:
        """Set what is called, in a thread of the watch, when something changed."""
        self._changed = changed

    def known(self) -> dict[str, Mapping[str, int] | None]:
        """Return what is known of the Services that are followed."""
        return self._endpoints.known()

    def follow(self, services: frozenset[str]) -> None:
        """Follow these Services from now on; when it returns, they are known or cannot be read.

        Those that were followed before stay known where reading fails.
        """
        if services == self._services:
            return
        version = ""
        if services:
            try:
                slices, version = self._reader.list_slices(selector(services))
            except self._unavailable as error:
                _log.warning("EndpointSlices not read", extra={"error": str(error)})
                return  # asked again by the next cycle
            self._endpoints.replace(services, slices)
        else:
            self._endpoints.replace((), ())
        self._services = services
        self.stop()
        if services:
            self._stop = threading.Event()
            arguments = (services, version, self._stop)
            threading.Thread(target=self._run, args=arguments, name="slices", daemon=True).start()

    def stop(self) -> None:
        """End the watch; what is known stays."""
        self._stop.set()

    def _run(self, services: frozenset[str], version: str, stop: threading.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                if not version:
                    slices, version = self._reader.list_slices(selector(services))
                    if not stop.is_set() and self._endpoints.replace(services, slices):
                        self._changed()
                version = self._watch(selector(services), version, stop)
                failures = 0
            except self._unavailable as error:
                _log.warning("watch of EndpointSlices broke", extra={"error": str(error)})
                version = ""
                stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    def _watch(self, label_selector: str, version: str, stop: threading.Event) -> str:
        """Take in changes until the server ends the watch; return the version to go on from.

        An empty version asks for a new list.
        """
        for kind, obj in self._reader.watch_slices(label_selector, version):
            if stop.is_set():
                break
            if kind == "ERROR":
                return ""  # as a rule: the version is too old
            version = obj["metadata"]["resourceVersion"]
            if kind != "BOOKMARK" and self._endpoints.put(obj, deleted=kind == "DELETED"):
                self._changed()
        return version
