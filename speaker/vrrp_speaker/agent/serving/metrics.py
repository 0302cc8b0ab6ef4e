"""Prometheus metrics of one node, read from one view at each scrape, so that they agree.

A series exists only while its VirtualIP does. ``master`` is the word operators of keepalived
search for; everywhere else the state is called Active. Every series but the version's names its
node, so that alerts can, however they are scraped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from vrrp.constants import State
from vrrp_speaker import __version__
from vrrp_speaker.agent.view import NodeView, address_text, peers_heard
from vrrp_speaker.shared_state.values import Durations, EngineState, RouterState

_PREFIX = "kube_vrrp_"
_ROUTER = ("virtual_ip", "node", "interface")
_STATE_NAMES = tuple(map(str, State))
Rows = Sequence[tuple[tuple[str, str, str], Mapping[str, Any], RouterState]]
"""(labels, router of the program, its state), for each router."""
UNLISTED = "unlisted"
"""The peer label of multicast routers that no configuration names."""


class NodeCollector(Collector):
    """Collects every metric of the speaker."""

    def __init__(self, view: Callable[[], NodeView]) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        view = self._view()
        yield InfoMetricFamily(_PREFIX + "build", "Version.", {"version": __version__})
        yield from _configuration(view)
        rows = [(_labels(view, router), router, state) for router, state in view.reported()]
        yield from _routers(rows)
        yield _faults(view, rows)
        yield from _peers(rows)
        yield from _checks(view)
        if view.engine is not None:
            yield from _engine(view.node, view.engine)


class LogCollector(Collector):
    """Counts the lines of the log that nobody read and that were dropped."""

    def __init__(self, node: str, dropped: Callable[[], int]) -> None:
        self._node = node
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Yield the count of this moment."""
        lost = CounterMetricFamily(
            _PREFIX + "log_lines_dropped",
            "Lines of the agent's log that nobody took.",
            labels=["node"],
        )
        lost.add_metric([self._node], self._dropped())
        yield lost


def _configuration(view: NodeView) -> Iterator[Metric]:
    generation = GaugeMetricFamily(
        _PREFIX + "config_generation",
        "Generation of the NodeConfig: desired, and applied by the engine.",
        labels=("node", "kind"),
    )
    generation.add_metric((view.node, "desired"), view.desired_generation)
    generation.add_metric((view.node, "applied"), view.engine.generation if view.engine else 0)
    yield generation
    source = GaugeMetricFamily(
        _PREFIX + "config_source", "Where the configuration came from.", labels=("node", "source")
    )
    for name in ("api", "cache", "file"):
        source.add_metric((view.node, name), float(view.config_source.lower() == name))
    yield source
    for name, text, refused in (
        (
            "config_refused",
            "1 while the newest one, or a part of it, is not used.",
            view.config_refused,
        ),
        ("keys_refused", "1 while the newest key files cannot be used.", view.keys_refused),
    ):
        family = GaugeMetricFamily(_PREFIX + name, text, labels=("node",))
        family.add_metric((view.node,), float(refused))
        yield family
    ignored = GaugeMetricFamily(
        _PREFIX + "config_ignored_fields",
        "How often the newest configuration has a field that this version does not know.",
        labels=("node", "field"),
    )
    for path, count in view.ignored_fields.items():
        ignored.add_metric((view.node, path), count)
    yield ignored


def _routers(rows: Rows) -> Iterator[Metric]:
    def gauge(name: str, text: str, value: Callable[[RouterState], float]) -> Metric:
        family = GaugeMetricFamily(_PREFIX + name, text, labels=_ROUTER)
        for labels, _, state in rows:
            family.add_metric(labels, value(state))
        return family

    def counter(name: str, text: str, value: Callable[[RouterState], float]) -> Metric:
        family = CounterMetricFamily(_PREFIX + name, text, labels=_ROUTER)
        for labels, _, state in rows:
            family.add_metric(labels, value(state))
        return family

    yield gauge(
        "master",
        "1 on the node that holds the VirtualIP.",
        lambda s: float(s.state == State.ACTIVE),
    )
    yield gauge(
        "address_present", "1 when the addresses are bound.", lambda s: float(s.address_present)
    )
    yield gauge(
        "effective_priority", "Priority after health checks.", lambda s: s.effective_priority
    )
    yield gauge("base_priority", "Priority before health checks.", lambda s: s.base_priority)
    yield counter(
        "advertisements_sent", "Advertisements sent, one per peer.", lambda s: s.advertisements_sent
    )
    yield counter(
        "address_restored", "Addresses put back after others removed them.",
        lambda s: s.addresses_restored,
    )  # fmt: skip
    yield counter(
        "address_conflicts",
        "Sightings of a host outside the election with one of the addresses.",
        lambda s: s.conflicts,
    )
    yield counter(
        "foreign_advertisements",
        "Advertisements with the VRID, by routers outside the election.",
        lambda s: s.foreign_advertisements,
    )
    yield counter(
        "dual_active_seconds",
        "Time this node was Active while hearing another Active node.",
        lambda s: s.dual_active_ns / 1e9,
    )
    yield counter(
        "takeovers",
        "Times this node became Active, from 0 on: transitions have no series before their first.",
        lambda s: sum(count for _, to, _, count in s.transition_counts if to == State.ACTIVE),
    )
    yield _key_ids(rows)
    yield _states(rows)
    yield _transitions(rows)


def _key_ids(rows: Rows) -> Metric:
    family = GaugeMetricFamily(
        _PREFIX + "authentication_key_id",
        "Id of the HMAC key that signs; 0 when advertisements are not signed.",
        labels=_ROUTER,
    )
    for labels, router, _ in rows:
        authentication = router["authentication"]
        signs = authentication.get("mode") in ("Enforce", "Permissive")
        family.add_metric(labels, authentication["active"] if signs else 0)
    return family


def _states(rows: Rows) -> Metric:
    family = GaugeMetricFamily(
        _PREFIX + "state", "1 for the current state.", labels=(*_ROUTER, "state")
    )
    for labels, _, state in rows:
        for name in _STATE_NAMES:
            family.add_metric((*labels, name), float(state.state == name))
    return family


def _faults(view: NodeView, rows: Rows) -> Metric:
    family = GaugeMetricFamily(
        _PREFIX + "fault",
        "1 while the reason keeps the node from holding the VirtualIP; absent otherwise.",
        labels=(*_ROUTER, "reason"),
    )
    for labels, router, state in rows:
        for reason in sorted({f.partition(":")[0] for f in view.faults(router, state)}):
            family.add_metric((*labels, reason), 1)
    return family


def _transitions(rows: Rows) -> Metric:
    family = CounterMetricFamily(
        _PREFIX + "transitions", "State changes.", labels=(*_ROUTER, "from", "to", "reason")
    )
    for labels, _, state in rows:
        for before, after, reason, count in state.transition_counts:
            family.add_metric((*labels, before, after, reason), count)
    return family


def _peers(rows: Rows) -> Iterator[Metric]:
    labels = (*_ROUTER, "peer")
    received = CounterMetricFamily(
        _PREFIX + "advertisements_received", "Advertisements accepted.", labels=labels
    )
    last = GaugeMetricFamily(
        _PREFIX + "last_advertisement_timestamp_seconds",
        "When the last advertisement of a peer came; absent until one did.",
        labels=labels,
    )
    learned = GaugeMetricFamily(
        _PREFIX + "learned_members",
        "Members of the election that were heard and that this node's list does not have.",
        labels=_ROUTER,
    )
    offset_s = time.time() - time.monotonic()
    for own, router, state in rows:
        heard_from = [(peer["node"], heard) for peer, heard in peers_heard(router, state)]
        unlisted = [member for member in state.learned if member.heard.last_ns]
        heard_from += [(address_text(member.address), member.heard) for member in unlisted]
        learned.add_metric(own, len(unlisted))
        if router["multicast"]:
            heard_from.append((UNLISTED, state.unlisted))
        for peer, heard in heard_from:
            values = (*own, peer)
            received.add_metric(values, heard.received)
            if heard.last_ns:
                last.add_metric(values, offset_s + heard.last_ns / 1e9)
    yield received
    yield last
    yield learned


def _checks(view: NodeView) -> Iterator[Metric]:
    labels = ("check", "node")
    passing = GaugeMetricFamily(
        _PREFIX + "check_passing", "1 while the check passes; absent until decided.", labels=labels
    )
    duration = SummaryMetricFamily(
        _PREFIX + "check_duration_seconds", "How long runs of the check took.", labels=labels
    )
    for check in view.checks:
        values = (check.name, view.node)
        if check.decided:
            passing.add_metric(values, float(check.passing))
        duration.add_metric(values, check.duration_count, check.duration_sum_s)
    yield passing
    yield duration


def _engine(node: str, engine: EngineState) -> Iterator[Metric]:
    def by(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
        family = CounterMetricFamily(_PREFIX + name, text, labels=("node", label))
        for key, value in values.items():
            family.add_metric((node, key), value)
        return family

    yield by("advertisements_rejected", "Datagrams discarded.", "reason", engine.rejected)
    yield by(
        "advertisements_observed",
        "Accepted advertisements with a peculiarity.",
        "observation",
        engine.observed,
    )
    yield by(
        "announcements_sent", "Gratuitous ARP, NA and probes.", "kind", engine.announcements_sent
    )
    yield by("fencing", "Addresses taken off outside the protocol.", "reason", engine.fencing)
    for kind, name, text, value in _numbers(engine):
        family = kind(_PREFIX + name, text, labels=("node",))
        family.add_metric((node,), value)
        yield family
    yield from _histograms(node, engine)


_Kind = type[CounterMetricFamily] | type[GaugeMetricFamily]


def _numbers(engine: EngineState) -> Iterator[tuple[_Kind, str, str, float]]:
    """Yield what there is one of on each node."""
    counter, gauge = CounterMetricFamily, GaugeMetricFamily
    text = "Advertisements of peers with a VRID not configured."
    yield counter, "unknown_vrid", text, engine.unknown_vrid
    yield counter, "engine_restarts", "Engines replaced.", max(0, engine.engine_starts - 1)
    text = "Advertisements that the kernel did not take."
    yield counter, "send_errors", text, engine.send_errors
    yield counter, "events_dropped", "News the agent was too slow for.", engine.events_dropped
    text = "Changes of links and addresses that the node's program may depend on."
    yield counter, "link_changes", text, engine.link_changes
    text = "Announcements due and not sent."
    yield gauge, "announcement_queue_length", text, engine.announcement_queue_length
    yield gauge, "real_time", "1 when the engine has real-time scheduling.", engine.real_time
    text = "1 when the engine's memory cannot be paged out."
    yield gauge, "memory_locked", text, engine.memory_locked
    text = "Groups that could not be joined to look for foreign routers."
    yield gauge, "unobserved_groups", text, engine.unobserved_groups


def _histograms(node: str, engine: EngineState) -> Iterator[Metric]:
    bounds_ns, counts = engine.lateness_bounds_ns, engine.lateness_counts
    yield _histogram(
        node,
        _PREFIX + "loop_lateness_seconds",
        "How late the engine handled its deadlines.",
        Durations(bounds_ns, counts, engine.lateness_sum_ns),
    )
    yield _histogram(
        node,
        _PREFIX + "takeover_seconds",
        "From the last advertisement of the former Active node until this one was Active.",
        engine.takeovers,
    )
    yield _histogram(
        node,
        _PREFIX + "handover_seconds",
        "How long this node kept the addresses for a successor after it was Active.",
        engine.handovers,
    )


def _histogram(node: str, name: str, text: str, durations: Durations) -> Metric:
    buckets, total = [], 0
    bounds = [*(str(bound / 1e9) for bound in durations.bounds_ns), "+Inf"]
    for bound, count in zip(bounds, durations.counts, strict=True):
        total += count
        buckets.append((bound, total))
    family = HistogramMetricFamily(name, text, labels=("node",))
    family.add_metric((node,), buckets, sum_value=durations.sum_ns / 1e9)
    return family


def _labels(view: NodeView, router: Mapping[str, Any]) -> tuple[str, str, str]:
    return router["name"], view.node, router["interface"]
