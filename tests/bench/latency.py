"""From kubectl apply to the first answer, and from a move to what kubectl shows."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.bench.report import Report, milliseconds
from tests.eventually import eventually

from vrrp_lab.lab import Lab

_NAME, _ADDRESS = "latency", "192.0.2.80"
_PATIENCE_S = 30.0


def measure_latencies(report: Report, lab: Lab, runs: int) -> None:
    """Measure both, over and over."""
    answered_ns = [_apply_to_answer(lab) for _ in range(runs)]
    shown_ns = _moves_to_shown(lab, runs)
    report.section("Latency", "In ms, median / maximum; kubectl itself takes about 100 of each.")
    report.table(
        ("from", "to", "ms"),
        [
            ("kubectl apply", "first answered probe", milliseconds(answered_ns)),
            ("the successor answers", "kubectl get vip names it", milliseconds(shown_ns)),
        ],
    )


def _apply(lab: Lab) -> None:
    obj = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": _NAME},
        "spec": {"addresses": [{"address": f"{_ADDRESS}/24"}]},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)


def _delete(lab: Lab) -> None:
    lab.kubectl("delete", "vip", _NAME, "--wait=true", check=True)
    eventually(lambda: not lab.holders(_ADDRESS), within_s=_PATIENCE_S)


def _apply_to_answer(lab: Lab) -> int:
    with lab.client.probe(_ADDRESS) as probe:
        begun_ns = time.monotonic_ns()
        _apply(lab)
        answered_ns = probe.wait_answered(_PATIENCE_S)
    _delete(lab)
    return answered_ns - begun_ns


def _active_node(lab: Lab) -> str:
    status: dict[str, Any] = lab.kubectl_json("get", "vip", _NAME).get("status", {})
    return str(status.get("activeNode", ""))


def _moves_to_shown(lab: Lab, runs: int) -> list[int]:
    shown_ns = []
    _apply(lab)
    for _ in range(runs):
        _settle(lab)
        (holder,) = lab.holders(_ADDRESS)
        with lab.client.probe(_ADDRESS) as probe:
            probe.wait_answered(_PATIENCE_S)
            begun_ns = time.monotonic_ns()
            holder.host.cut_link()
            seen_ns = _seen_elsewhere(lab, holder.name)
            window = probe.report(begun_ns)
        answered_again_ns = max(begin + length for begin, length in window.gaps)
        shown_ns.append(max(0, seen_ns - answered_again_ns))
        holder.host.restore_link()
    _settle(lab)
    _delete(lab)
    return shown_ns


def _seen_elsewhere(lab: Lab, name: str) -> int:
    """Wait until kubectl names another node; return when it did."""
    eventually(lambda: _active_node(lab) not in ("", name), within_s=_PATIENCE_S, every_s=0)
    return time.monotonic_ns()


def _settle(lab: Lab) -> None:
    """Wait until one node holds the address and kubectl says so, for a while."""
    since_s = time.monotonic()

    def settled() -> bool:
        nonlocal since_s
        names = [node.name for node in lab.holders(_ADDRESS)]
        if names != [_active_node(lab)] or not all(node.running for node in lab.nodes):
            since_s = time.monotonic()
        return time.monotonic() - since_s >= 2

    eventually(settled, within_s=_PATIENCE_S)
