"""What is known of the Services that HealthChecks name, kept up to date by a watch of its own.

One watch asks for the EndpointSlices of these Services only, so that a big cluster costs no more
than what its checks need; it begins anew when a check names another Service. What was seen last
stays while the API server is away.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vrrp_operator.api.list_watch import ListWatch, SelectedReader
from vrrp_operator.caught import Report, log_only
from vrrp_operator.model.services import (
    ReadyByNode,
    count_ready,
    ready_by_node,
    selector,
    service_of,
)

_log = logging.getLogger(__name__)
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"

Object = Mapping[str, Any]


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

    def __init__(
        self,
        reader: SelectedReader,
        unavailable: type[Exception],
        caught: Report = log_only,
    ) -> None:
        self._caught = caught
        self._reader = reader
        self._unavailable = unavailable
        self._endpoints = ServiceEndpoints()
        self._services: frozenset[str] = frozenset()
        self._watch: ListWatch | None = None
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
                slices, version = self._reader.list_selected(SLICES, selector(services))
            except self._unavailable as error:
                _log.warning("EndpointSlices not read", extra={"error": str(error)})
                return  # asked again by the next cycle
            self._endpoints.replace(services, slices)
        else:
            self._endpoints.replace((), ())
        self._services = services
        self.stop()
        if services:
            taker = _SliceTaker(self._endpoints, services, self._changed)
            self._watch = ListWatch(
                self._reader,
                self._unavailable,
                SLICES,
                selector(services),
                taker,
                caught=self._caught,
            )
            self._watch.start(version)

    def stop(self) -> None:
        """End the watch; what is known stays."""
        if self._watch is not None:
            self._watch.stop()


class _SliceTaker:
    """Takes what a watch of some Services brings; what was seen last stays while it is broken."""

    def __init__(
        self,
        endpoints: ServiceEndpoints,
        services: frozenset[str],
        changed: Callable[[], object],
    ) -> None:
        self._endpoints = endpoints
        self._services = services
        self._changed = changed

    def replace(self, objects: Sequence[Object]) -> None:
        if self._endpoints.replace(self._services, objects):
            self._changed()

    def put(self, obj: Object, *, deleted: bool) -> None:
        if self._endpoints.put(obj, deleted=deleted):
            self._changed()

    def broke(self, *, refused: bool) -> None:
        """Nothing is lost by it."""
