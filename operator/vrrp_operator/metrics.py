"""Metrics of the operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vrrp_operator import __version__

Truth = Mapping[str, bool]
"""Conditions of one VirtualIP whose status is known, by type."""

TASKS = ("reconcile", "read", "plan", "fold", "write", "watch", "events", "lease")
"""What exceptions are counted by."""


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
        self.refusals = Counter(
            "kube_vrrp_write_refusals",
            "Writes of an object that were refused, by resource.",
            labelnames=("resource",),
            registry=self.registry,
        )
        self.exceptions = Counter(
            "kube_vrrp_exceptions",
            "Exceptions that nobody expected and that were survived, by what was done.",
            labelnames=("task",),
            registry=self.registry,
        )
        for task in TASKS:
            self.exceptions.labels(task)
        self.events = Counter(
            "kube_vrrp_events",
            "Kubernetes Events, by what became of them.",
            labelnames=("outcome",),
            registry=self.registry,
        )
        for outcome in ("created", "known", "folded", "dropped", "refused"):
            self.events.labels(outcome)
        self.vrids_allocated = Gauge(
            "kube_vrrp_vrids_allocated",
            "VRIDs in use on the node that has most, of 255.",
            registry=self.registry,
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

    def show_leader(self, leads: Callable[[], bool]) -> None:
        """Show whether this operator leads, as it is asked."""
        leader = Gauge(
            "kube_vrrp_operator_leader",
            "1 while this operator writes, 0 while it stands by.",
            registry=self.registry,
        )
        leader.set_function(lambda: float(leads()))

    def stands_by(self) -> None:
        """Say nothing of the cluster any more: the operator that leads does."""
        self.vrids_allocated.set(0)
        self.virtual_ips.clear()
        self.cluster.found({}, {})
