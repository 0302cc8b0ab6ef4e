"""Metrics of the operator, and the HTTP server that shows them with its health."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vrrp_operator import __version__

Verdict = Callable[[], tuple[bool, str]]


class MetricsAddressError(Exception):
    """The metrics address cannot be used; the message is one line for the user."""


Truth = Mapping[str, bool]
"""Conditions of one VirtualIP whose status is known, by type."""


class ClusterCollector(Collector):
    """What the last reconcile found of each VirtualIP and node; a series goes with its object."""

    def __init__(self) -> None:
        self._found: tuple[Mapping[str, Truth], Mapping[str, bool]] = ({}, {})

    def found(self, conditions: Mapping[str, Truth], reporting: Mapping[str, bool]) -> None:
        """Show these from now on, all at once.

        Args:
            conditions: by VirtualIP.
            reporting: whether a node's speaker reports, by node that ever had one.
        """
        self._found = conditions, reporting

    def collect(self) -> Iterator[Metric]:
        """Yield the series of this moment."""
        conditions, reporting = self._found
        condition = GaugeMetricFamily(
            "kube_vrrp_virtual_ip_condition",
            "1 for a condition that is True, 0 for False; absent while it is Unknown.",
            labels=("virtual_ip", "condition"),
        )
        for virtual_ip, truths in conditions.items():
            for kind, true in truths.items():
                condition.add_metric((virtual_ip, kind), float(true))
        yield condition
        speakers = GaugeMetricFamily(
            "kube_vrrp_speaker_reporting",
            "1 while a node's speaker reports to the API server, 0 once it was silent for 30 s.",
            labels=("node",),
        )
        for node, reports in reporting.items():
            speakers.add_metric((node,), float(reports))
        yield speakers


class Metrics:
    """The operator's series (prefix ``kube_vrrp_``)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "kube_vrrp_reconcile_seconds",
            "How long a reconcile took.",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.reconcile_errors = Counter(
            "kube_vrrp_reconcile_errors", "Reconciles that failed.", registry=self.registry
        )
        self.writes = Counter(
            "kube_vrrp_writes",
            "Objects written, by resource.",
            labelnames=("resource",),
            registry=self.registry,
        )
        self.events = Counter(
            "kube_vrrp_events",
            "Kubernetes Events, by what became of them.",
            labelnames=("outcome",),
            registry=self.registry,
        )
        for outcome in ("created", "known", "folded", "dropped", "refused"):
            self.events.labels(outcome)
        self.vrids_allocated = Gauge(
            "kube_vrrp_vrids_allocated", "VRIDs in use, of 255.", registry=self.registry
        )
        self.virtual_ips = Gauge(
            "kube_vrrp_virtual_ips",
            "VirtualIPs whose condition is True.",
            labelnames=("condition",),
            registry=self.registry,
        )
        self.last_reconcile = Gauge(
            "kube_vrrp_last_reconcile_timestamp_seconds",
            "When the last reconcile ended well; 0 while none did.",
            registry=self.registry,
        )
        self.cluster = ClusterCollector()
        self.registry.register(self.cluster)
        build = Info("kube_vrrp_build", "Version.", registry=self.registry)
        build.info({"version": __version__})


def serve(bind_address: str, metrics: Metrics, healthy: Verdict, ready: Verdict) -> None:
    """Serve /metrics, /healthz and /readyz in threads of their own.

    Raises:
        MetricsAddressError: not an address, or in use; nothing was started.
    """
    host, port = _split(bind_address)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match urlsplit(self.path).path:
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
                case "/healthz":
                    self._verdict(healthy)
                case "/readyz":
                    self._verdict(ready)
                case _:
                    self._answer(404, "text/plain", b"not found\n")

        def _verdict(self, verdict: Verdict) -> None:
            good, message = verdict()
            self._answer(200 if good else 503, "text/plain", f"{message}\n".encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise MetricsAddressError(
            f"metrics address {bind_address} cannot be used: {error.strerror}"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()


def _split(bind_address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{bind_address}")
        if parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise MetricsAddressError(
        f"metrics address {bind_address!r} is not an address (accepted: 0.0.0.0:9106)"
    )
