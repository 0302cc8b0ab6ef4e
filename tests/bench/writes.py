"""What the API server has to write for each node: at rest, and with one failover a minute.

Counted by the API server itself (``apiserver_request_total``).
"""

from __future__ import annotations

import json
import time
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families
from tests.bench.report import Report
from tests.eventually import eventually
from tests.netns.observe import settled, state

from vrrp_lab.lab import Lab

_NAME, _ADDRESS = "writes", "192.0.2.81"
_REST_S, _MOVE_S = 120.0, 20.0
_SHOWN = {
    "nodeconfigs status": "NodeConfig status, by speakers",
    "nodeconfigs": "NodeConfig, by the operator",
    "virtualips status": "VirtualIP status, by the operator",
    "events": "Events, by the operator",
}
_MOVES_PER_HOUR = 60


def measure_writes(report: Report, lab: Lab, moves: int) -> None:
    """Count a while at rest, then around failovers, and scale both to an hour."""
    obj = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": _NAME},
        "spec": {"addresses": [{"address": f"{_ADDRESS}/24"}]},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)
    eventually(lambda: settled(lab, _NAME, _ADDRESS), within_s=30)
    _wait_s(5)
    rest, rest_s = _count(lab, _REST_S)
    moved: Counter[str] = Counter()
    for _ in range(moves):
        before = _writes(lab)
        begun_s = time.monotonic()
        _move(lab)
        _wait_s(max(0.0, begun_s + _MOVE_S - time.monotonic()))
        spent_s = time.monotonic() - begun_s
        moved.update(_writes(lab) - before)
        moved.subtract({key: value * spent_s / rest_s for key, value in rest.items()})
    lab.kubectl("delete", "vip", _NAME, "--wait=true", check=True)
    _report(report, lab, rest, rest_s, {key: value / moves for key, value in moved.items()})


def _report(
    report: Report, lab: Lab, rest: Counter[str], rest_s: float, moved: dict[str, float]
) -> None:
    rows = []
    for key, text in _SHOWN.items():
        share = len(lab.nodes) if key == "nodeconfigs status" else 1
        each = "a node" if share > 1 else "the VirtualIP"
        at_rest = rest[key] * 3600 / rest_s / share
        per_move = moved.get(key, 0.0) / share
        moving = at_rest + per_move * _MOVES_PER_HOUR
        rows.append((text, each, f"{at_rest:.0f}", f"{per_move:.1f}", f"{moving:.0f}"))
    report.section(
        "API writes",
        f"One VirtualIP on {len(lab.nodes)} nodes; a failover is a link that goes and comes back,"
        " so two moves. Of an object's Events no more than one a minute is written in the long run;"
        " the others are counted in series.",
    )
    header = ("written", "for", "an hour at rest", "a failover", "an hour with one a minute")
    report.table(header, rows)


def _count(lab: Lab, seconds: float) -> tuple[Counter[str], float]:
    before, begun_s = _writes(lab), time.monotonic()
    _wait_s(seconds)
    return _writes(lab) - before, time.monotonic() - begun_s


def _writes(lab: Lab) -> Counter[str]:
    """Return the writes the API server has served, by "resource subresource"."""
    found: Counter[str] = Counter()
    for line in lab.kubectl("get", "--raw", "/metrics").stdout.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        for family in text_string_to_metric_families(line):
            for sample in family.samples:
                if sample.labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE"):
                    parts = sample.labels["resource"], sample.labels["subresource"]
                    found[" ".join(parts).strip()] += int(sample.value)
    return found


def _move(lab: Lab) -> None:
    (holder,) = eventually(lambda: lab.holders(_ADDRESS), within_s=20)
    holder.host.exec("ip", "link", "set", "eth0", "down")
    others = [node for node in lab.nodes if node is not holder]
    eventually(lambda: any(state(n, _NAME) == "Active" for n in others), within_s=20)
    holder.host.exec("ip", "link", "set", "eth0", "up")
    eventually(lambda: settled(lab, _NAME, _ADDRESS), within_s=20)


def _wait_s(seconds: float) -> None:
    end_s = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= end_s, within_s=seconds + 5, every_s=0.2)
