"""kopf's handlers: something changed, so reconcile; nothing else here knows more.

Only event handlers are used: they need no finalizer and leave no annotation on users' objects.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import kopf

from vrrp_api import GROUP, VERSION
from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.api.heartbeats import LeaseWatch
from vrrp_operator.caught import Report, log_only
from vrrp_operator.lead.elector import Elector
from vrrp_operator.reconcile import Reconciler

_log = logging.getLogger(__name__)
_SPACING_S = 0.05
"""Between the end of a cycle and the next one: a failover changes several objects at once."""
_GATHERING_S = 0.003
"""What one command applies comes together, over the watches of several kinds."""
_RESYNC_S = 60.0
_TICK_S = 10.0
"""Heartbeats grow stale without any event."""
_RECONNECTED_S = 5.0
"""Watches of different kinds come back at different times; all have by then."""
_RETRIES_S = (0.1, 0.5, 2.0)


class Trigger:
    """One debounced reconcile for any number of changes."""

    def __init__(self, reconciler: Reconciler, begin_anew: Callable[[str], None]) -> None:
        self._reconciler = reconciler
        self._begin_anew = begin_anew
        self._changed = asyncio.Event()
        self._reconnected = False
        self._ended_s = -_SPACING_S
        """When the last cycle ended, by the clock of the event loop."""

    def set(self) -> None:
        """Ask for a reconcile soon."""
        self._changed.set()

    def reconnected(self) -> None:
        """Note that a watch began anew: it will not tell what was deleted while it was away."""
        self._reconnected = True
        self._changed.set()

    async def run(self) -> None:
        """Reconcile when asked and every few seconds, every minute from complete lists."""
        loop = asyncio.get_running_loop()
        self._changed.set()
        relist_due_s = loop.time() + _RESYNC_S
        failures = 0
        while True:
            due_in_s = self._reconciler.due_in_s
            patience_s = _TICK_S if due_in_s is None else min(_TICK_S, due_in_s)
            await self._wait(min(patience_s, relist_due_s - loop.time()))
            if self._reconnected or loop.time() >= relist_due_s:
                relist_due_s = loop.time() + (_RECONNECTED_S if self._reconnected else _RESYNC_S)
                self._reconnected = False
                await asyncio.to_thread(self._relist)
            went_well = await asyncio.to_thread(self._reconciler.run_cycle)
            self._ended_s = loop.time()
            if self._reconciler.came_later:
                self._begin_anew("what was missing is there now, and is to be watched")
            if went_well:
                failures = 0
                continue
            await asyncio.sleep(_RETRIES_S[min(failures, len(_RETRIES_S) - 1)])
            failures += 1
            self._changed.set()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), max(0.0, seconds))
        except TimeoutError:
            return
        _log.debug("change noticed")
        await asyncio.sleep(pause_s(asyncio.get_running_loop().time() - self._ended_s))
        self._changed.clear()

    def _relist(self) -> None:
        try:
            self._reconciler.relist()
        except ApiUnavailableError as error:
            _log.warning("relist failed", extra={"error": str(error)})
        except Exception as error:  # the next list may fare better
            self._reconciler.caught("reconcile", error)


def pause_s(quiet_s: float) -> float:
    """Return how long to wait for more after a change, when no cycle ran for so long."""
    return max(_GATHERING_S, _SPACING_S - quiet_s)


class Feed:
    """Takes watch events into the cache and asks for a reconcile when they are news."""

    def __init__(self, cache: ObjectCache, trigger: Trigger, caught: Report = log_only) -> None:
        self._caught = caught
        self._cache = cache
        self._trigger = trigger

    def take_in(self, kind: str, event: Any) -> None:
        """Take in one of kopf's events; those without a type come from a watch's first list."""
        if event.get("type") is None:
            self._trigger.reconnected()
        deleted = event.get("type") == "DELETED"
        try:
            news = self._cache.put(kind, event["object"], deleted=deleted, now_s=time.monotonic())
        except Exception as error:  # of one object; the next complete list has it again
            self._caught("watch", error)
            news = True
        if news:
            self._trigger.set()


def register_handlers(
    registry: kopf.OperatorRegistry,
    cache: ObjectCache,
    reconciler: Reconciler,
    endpoints: EndpointWatch,
    *,
    leases: LeaseWatch,
    elector: Elector | None,
    begin_anew: Callable[[str], None],
    end: Callable[[str], None],
) -> None:
    """Attach everything to ``registry``; importing this module does nothing.

    ``begin_anew`` and ``end`` are told why, and do so; a loop that ends has the process end.
    """
    trigger = Trigger(reconciler, begin_anew)
    feed = Feed(cache, trigger, reconciler.caught)
    tasks: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=registry)
    async def on_startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        loop = asyncio.get_running_loop()
        endpoints.on_change(lambda: loop.call_soon_threadsafe(trigger.set))
        leases.start(lambda: loop.call_soon_threadsafe(trigger.set))
        if elector is not None:
            elector.start(lambda: loop.call_soon_threadsafe(trigger.set))
        task = asyncio.create_task(trigger.run(), name="reconcile")
        task.add_done_callback(partial(end_with, end=end))
        tasks.append(task)

    @kopf.on.cleanup(registry=registry)
    async def on_cleanup(**_: Any) -> None:
        endpoints.stop()
        leases.stop()
        for task in tasks:
            task.cancel()
        if elector is not None:
            await asyncio.to_thread(elector.stop)

    @kopf.on.login(registry=registry)
    def on_login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_kubeconfig(**arguments) or login_of_pod(arguments)

    for kind in ("virtualips", "healthchecks", "nodeconfigs"):

        @kopf.on.event(GROUP, VERSION, kind, registry=registry, id=f"{kind}-changed", param=kind)
        async def on_ours_changed(*, event: Any, param: Any = None, **_: Any) -> None:
            feed.take_in(param, event)

    @kopf.on.event("", "v1", "nodes", registry=registry, id="node-changed")
    async def on_node_changed(*, event: Any, **_: Any) -> None:
        feed.take_in("nodes", event)


def end_with(task: asyncio.Task[None], *, end: Callable[[str], None]) -> None:
    """Have the process end with a task that nobody cancelled: nothing would do its work."""
    if not task.cancelled():
        end(f"the task {task.get_name()} ended: {task.exception()!r}")


def login_of_pod(arguments: Mapping[str, Any]) -> kopf.ConnectionInfo | None:
    """Log in with the pod's service account, at the address that the kubelet gave the pod.

    kopf would ask the cluster's DNS for it, which may be down, or need an address of ours.
    """
    login = kopf.login_with_service_account(**arguments)
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if login is None or not host:
        return login
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return replace(login, server=f"https://{f'[{host}]' if ':' in host else host}:{port}")


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what keeps kopf quiet, bounded and away from users' objects."""
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.watching.server_timeout = 60
    settings.watching.client_timeout = 75
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 15
    settings.networking.error_backoffs = _Backoffs()
    # One worker serves one object and lingers for the idle timeout; a limit would let no more
    # objects than that in at a time. Handlers only touch the cache, so workers are cheap.
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0


class _Backoffs:
    """Pauses between attempts, without end: an API server that is away for long comes back."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0)
        while True:
            yield 2.0
