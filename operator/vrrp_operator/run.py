"""The operator, put together and run."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn
from uuid import uuid4

import kopf
from kubernetes.client.api_client import ApiClient
from kubernetes.config import ConfigException

from vrrp_http import MetricsAddressError, serve
from vrrp_operator import __version__, address_trial
from vrrp_operator.api.api_server import ApiUnavailableError, load_client
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.api.handlers import configure, register_handlers
from vrrp_operator.api.heartbeats import LeaseWatch, namespace_of_pod
from vrrp_operator.caught import Caught
from vrrp_operator.lead.elector import Alone, Elector
from vrrp_operator.lead.leadership import Leadership
from vrrp_operator.lead.lease_store import LeaseStore
from vrrp_operator.log import configure_logging
from vrrp_operator.metrics import Metrics
from vrrp_operator.options import (
    add_default_key_ref,
    add_lease_namespace,
    add_reserved_vrids,
)
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.write.apply import Writer
from vrrp_operator.write.event_poster import EventPoster

CANNOT_RUN = 4
ENDED = 1
"""The exit status where something ended that never should."""
_PAUSE_S = 2.0
_log = logging.getLogger(__name__)


def run() -> int:
    """Run the operator; return its exit status (0 stopped, 1 a part ended, 4 cannot run)."""
    if sys.argv[1:2] == [address_trial.COMMAND]:
        return address_trial.main(sys.argv[2:])
    options = _parser().parse_args()
    configure_logging(options.log_level, options.log_format)
    if options.kubeconfig:
        os.environ["KUBECONFIG"] = options.kubeconfig  # where kopf's own login looks
    try:
        client = load_client(options.kubeconfig)
        metrics, cache = Metrics(), ObjectCache()
        caught = Caught(lambda task: metrics.exceptions.labels(task).inc())
        elector = _elector(client, options.lease_namespace, caught)
        leader = elector or Alone()
        metrics.show_leader(leader.leads)
        writer = Writer(client, cache, leader)
        endpoints = EndpointWatch(writer, ApiUnavailableError, caught)
        poster = EventPoster(
            writer,
            socket.gethostname(),
            ApiUnavailableError,
            lambda outcome: metrics.events.labels(outcome).inc(),
            caught,
            may_post=leader.leads,
        )
        leases = LeaseWatch(writer, ApiUnavailableError, cache, namespace_of_pod(), caught=caught)
        reconciler = Reconciler(
            cache,
            writer,
            metrics,
            endpoints,
            options.default_key_ref,
            post=poster.post,
            leases_in=leases.asked_in,
            caught=caught,
            leader=leader,
            reserved_vrids=options.reserved_vrids,
        )
        serve(options.metrics_bind_address, metrics.registry, reconciler.healthy, reconciler.ready)
    except (ConfigException, MetricsAddressError, OSError) as error:
        print(f"vrrp-operator: {error}", file=sys.stderr)
        return CANNOT_RUN
    threading.excepthook = lambda ended: _end(f"a thread ended: {ended.exc_value!r}")
    poster.start()
    registry = kopf.OperatorRegistry()
    release = elector.stop if elector is not None else _nothing
    register_handlers(
        registry,
        cache,
        reconciler,
        endpoints,
        leases=leases,
        elector=elector,
        begin_anew=partial(_begin_anew, release),
        end=_end,
    )
    _run(registry, release)
    release()
    return 0


def _run(registry: kopf.OperatorRegistry, release: Callable[[], None]) -> None:
    """Run until a signal ends it; begin anew where kopf gives up."""
    told = threading.Event()
    try:
        asyncio.run(_operate(registry, told))
    except Exception as error:
        if not told.is_set():
            _begin_anew(release, repr(error))


def _nothing() -> None:
    """Do nothing: there is no Lease."""


def _elector(client: ApiClient, namespace: str | None, caught: Caught) -> Elector | None:
    """Return this process's part in the election of a namespace; None: it is the only one."""
    if not namespace:
        return None
    identity = f"{socket.gethostname()}_{uuid4().hex}"
    return Elector(LeaseStore(client, namespace, identity), Leadership(identity), caught=caught)


async def _operate(registry: kopf.OperatorRegistry, told: threading.Event) -> None:
    """Run until SIGTERM or SIGINT, which set ``told``, or until kopf gives up.

    kopf takes both signals over, and says nothing of one that comes as it gives up.
    """
    settings = kopf.OperatorSettings()
    configure(settings)
    others = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry, settings=settings, clusterwide=True, standalone=True
    )
    # asyncio, and so kopf, hears of them through a descriptor (set_wakeup_fd), as before.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: told.set())
    await kopf.run_tasks(tasks, ignored=others)


def _end(because: str) -> NoReturn:
    """End at once: what runs on would do half of the work, and nobody would see it."""
    _log.error("ending", extra={"because": because})
    os._exit(ENDED)


def _begin_anew(release: Callable[[], None], because: str) -> NoReturn:
    """Begin from the first line after a pause: kopf gives up when a kind that it watches goes.

    So it does when it loses the right to watch it; and a kind that comes later it never watches. To
    end would be a crash loop, and the kubelet would wait ever longer; what is missing may be there
    again in a second.
    """
    _log.warning("beginning anew", extra={"because": because})
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    release()
    time.sleep(_PAUSE_S)
    os.execv(sys.executable, [sys.executable, "-m", "vrrp_operator", *sys.argv[1:]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vrrp-operator",
        description="Plan every VirtualIP of the cluster.",
        epilog="commands: vrrp-operator try-address ADDRESS (make a VirtualIP, have it answered,"
        " remove it; what `helm test` runs)",
    )
    parser.add_argument("--kubeconfig", help="absent: the pod's service account")
    add_default_key_ref(parser)
    add_lease_namespace(parser)
    add_reserved_vrids(parser)
    parser.add_argument("--metrics-bind-address", default="[::]:9106")
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"]
    )
    parser.add_argument("--log-format", default="json", choices=["json", "text"])
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
