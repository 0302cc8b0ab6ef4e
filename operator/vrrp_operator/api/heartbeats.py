"""Speakers' Leases: nodes say by them that they are there (``vrrp_api.lease``).

Speakers are asked for Leases only while these can be read. Where they cannot, speakers are asked
for their status as before, and until that has come nobody is taken for silent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vrrp_api.lease import SELECTOR
from vrrp_operator.api.cache import LEASES, ObjectCache
from vrrp_operator.api.list_watch import ListWatch, SelectedReader
from vrrp_operator.caught import Report, log_only

DEFAULT_NAMESPACE = "kube-vrrp"
_OF_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_REFUSED_S = 30.0
"""What is refused for so long is no passing fault: Leases are asked for no more."""
_STATUS_S = 60.0
"""How long it takes at most until statuses are heartbeats again."""

Object = Mapping[str, Any]


def namespace_of_pod() -> str:
    """Return the namespace that this process's pod is in; the chart's default outside of a pod."""
    try:
        return _OF_POD.read_text(encoding="utf-8").strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


class LeaseWatch:
    """Follows the Leases of one namespace; takes what they tell into the cache."""

    def __init__(
        self,
        reader: SelectedReader,
        unavailable: type[Exception],
        cache: ObjectCache,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        caught: Report = log_only,
    ) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._watch = ListWatch(reader, unavailable, path, SELECTOR, self, caught=caught)
        self._cache = cache
        self._namespace = namespace
        self._clock = clock
        self._lock = threading.Lock()
        self._read = False
        self._refused_since_s: float | None = None
        self._changed: Callable[[], object] = lambda: None

    def start(self, changed: Callable[[], object]) -> None:
        """Follow in a thread of its own, which calls ``changed`` when there is news."""
        self._changed = changed
        self._watch.start()

    def stop(self) -> None:
        """End the watch."""
        self._watch.stop()

    def asked_in(self) -> str | None:
        """Return where speakers are to renew Leases; None: nowhere, for they cannot be read.

        Empty: that is not known, and what was asked before stays.
        """
        now_s = self._clock()
        with self._lock:
            refused_s = now_s - self._refused_since_s if self._refused_since_s is not None else 0.0
            read = self._read
        if refused_s >= _REFUSED_S + _STATUS_S:
            self._cache.regained_sight(now_s, LEASES)
        if refused_s >= _REFUSED_S:
            return None
        return self._namespace if read else ""

    def replace(self, objects: Sequence[Object]) -> None:
        """Take in a complete list."""
        now_s = self._clock()
        with self._lock:
            begins = not self._read or self._refused_since_s is not None
            self._read, self._refused_since_s = True, None
        self._cache.regained_sight(now_s, LEASES)
        news = [self._cache.put_lease(obj, now_s) for obj in objects]
        if begins or any(news):
            self._changed()

    def put(self, obj: Object, *, deleted: bool) -> None:
        """Take in one Lease; one that is deleted says nothing."""
        if not deleted and self._cache.put_lease(obj, self._clock()):
            self._changed()

    def broke(self, *, refused: bool) -> None:
        """Note that Leases cannot be read: that none moves says nothing of nodes."""
        now_s = self._clock()
        with self._lock:
            since_s = self._refused_since_s if self._refused_since_s is not None else now_s
            self._refused_since_s = since_s if refused else None
            lasts = refused and now_s - since_s >= _REFUSED_S
        if not lasts:
            self._cache.lost_sight(now_s, LEASES)
