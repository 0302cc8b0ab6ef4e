"""Faults on a lab under a real Prometheus: how long until each alert fires, and is resolved."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.alerts.lab_faults import Fault, Track
from tests.alerts.prometheus import Firing, Prometheus
from tests.eventually import eventually

from vrrp_lab.lab import Lab

_FIRES_S = 240.0
_RESOLVED_S = 240.0
PREFIX = "KubeVRRP"


@dataclass(frozen=True, slots=True)
class Row:
    """One alert that followed a fault."""

    alert: str
    labels: str
    fault: str
    fires_s: float
    resolved_s: float


def play(lab: Lab, prometheus: Prometheus, tracks: Sequence[Track]) -> list[Row]:
    """Play tracks at the same time, the faults of a track in turn; return what followed.

    Raises:
        AssertionError: an alert did not fire, was not resolved, or a critical one fired for an
            address that was well. Every fault was mended.
    """
    eventually(lambda: not _critical(prometheus.firing()), within_s=_RESOLVED_S)
    since_s = time.monotonic()
    with ThreadPoolExecutor(len(tracks)) as pool:
        played = [pool.submit(_in_turn, lab, prometheus, track) for track in tracks]
    rows = [row for track in played for row in track.result()]
    explained = {name for track in tracks for fault in track for name in fault.also}
    for name, virtual_ip in _critical(prometheus.fired_since(since_s)):
        assert virtual_ip in explained, f"{name} of {virtual_ip}"
    return rows


def _critical(alerts: Iterable[Firing]) -> set[tuple[str, str]]:
    """Return the critical ones among alerts: name and VirtualIP."""
    found = ((alert.name, dict(alert.labels)) for alert in alerts)
    return {(n, labels["virtual_ip"]) for n, labels in found if labels["severity"] == "critical"}


def _in_turn(lab: Lab, prometheus: Prometheus, track: Track) -> list[Row]:
    return [row for fault in track for row in _one(lab, prometheus, fault)]


def _one(lab: Lab, prometheus: Prometheus, fault: Fault) -> list[Row]:
    begun_s = time.monotonic()
    with fault.broken(lab):
        fired_s = _when_each(prometheus, fault, firing=True)
        mended_s = time.monotonic()
    resolved_s = _when_each(prometheus, fault, firing=False)
    return [
        Row(
            PREFIX + name,
            ", ".join(labels.values()),
            fault.text,
            fired_s[name] - begun_s,
            resolved_s[name] - mended_s,
        )
        for name, labels in fault.raises
    ]


def _when_each(prometheus: Prometheus, fault: Fault, *, firing: bool) -> dict[str, float]:
    """Return when each of a fault's alerts began to fire, or no longer did."""
    found: dict[str, float] = {}

    def all_have() -> bool:
        for name, labels in fault.raises:
            if prometheus.fires(PREFIX + name, labels) == firing:
                found.setdefault(name, time.monotonic())
        missing = [name for name, _ in fault.raises if name not in found]
        wanted = "to fire" if firing else "to be resolved"
        assert not missing, f"{fault.text}: waits for {missing} {wanted}; {_names(prometheus)}"
        return True

    within_s = _FIRES_S if firing else _RESOLVED_S
    eventually(all_have, within_s=within_s, every_s=0.1)
    return found


def _names(prometheus: Prometheus) -> Mapping[str, list[str]]:
    return {"firing": sorted(alert.name for alert in prometheus.firing())}
