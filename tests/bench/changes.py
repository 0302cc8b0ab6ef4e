"""Where the time goes between an accepted change and what clients see of it, part by part.

The parts are read off the logs of operator and speaker, which tell the same clock's time here; the
API server is asked directly, so kubectl's own time is not among them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.config import load_kube_config
from tests.bench.report import Report
from tests.eventually import eventually
from tests.netns.observe import settled

from vrrp_lab.lab import Lab
from vrrp_lab.namespaces import LabError
from vrrp_lab.probe import Probe

_NAME, _FIRST, _SECOND = "changes", "192.0.2.82", "192.0.2.83"
_PATH = "/apis/kube-vrrp.io/v1alpha1/virtualips"
_PATIENCE_S, _QUIET_S = 30.0, 3.0
_OPERATOR = {
    "the operator's watch hears of it": "change noticed",
    "its cycle begins": "cycle begins",
    "the holder's NodeConfig is written": "NodeConfig written node={node}",
}
_SPEAKER = {
    "its agent has read it": "configuration received",
    "its engine has loaded it": "configuration applied",
}
Parts = dict[str, float]
"""Seconds after the API server accepted the change, by part, in order."""


def measure_changes(report: Report, lab: Lab, runs: int) -> None:
    """Create, edit and delete a VirtualIP over and over."""
    api = _client(lab)
    eventually(lambda: _reporting(lab) == len(lab.nodes), within_s=_PATIENCE_S)
    _pause()
    found: dict[str, list[Parts]] = {"created": [], "an address added": [], "deleted": []}
    for _ in range(runs):
        for what, parts in zip(found, _round(lab, api), strict=True):
            found[what].append(parts)
    report.section(
        "Changes, part by part",
        "From the API server's answer to one who writes a VirtualIP (200 ms advertisements), in ms,"
        " median / maximum, each counted from the beginning. *Gone* is the last answered probe.",
    )
    for what, all_parts in found.items():
        report.heading(what[0].upper() + what[1:])
        report.table(("until", "ms"), [(p, _told(all_parts, p)) for p in all_parts[0]])


def _told(found: list[Parts], part: str) -> str:
    values = [1000 * parts[part] for parts in found if part in parts]
    return f"{statistics.median(values):.0f} / {max(values):.0f}" if values else "not seen"


def _round(lab: Lab, api: ApiClient) -> Iterator[Parts]:
    with lab.client.probe(_FIRST) as first, lab.client.probe(_SECOND) as second:
        accepted_s = _ask(api, "POST", _PATH, _object(_FIRST))
        answered_s = _wall_s(first.wait_answered(_PATIENCE_S))
        eventually(lambda: settled(lab, _NAME, _FIRST), within_s=_PATIENCE_S)
        (holder,) = lab.holders(_FIRST)
        yield _parts(lab, holder.name, accepted_s, {"a probe is answered": answered_s})
        _pause()
        accepted_s = _ask(api, "PATCH", f"{_PATH}/{_NAME}", _object(_FIRST, _SECOND))
        answered_s = _wall_s(second.wait_answered(_PATIENCE_S))
        eventually(lambda: settled(lab, _NAME, _FIRST), within_s=_PATIENCE_S)
        yield _parts(lab, holder.name, accepted_s, {"a probe is answered": answered_s})
        _pause()
        accepted_s = _ask(api, "DELETE", f"{_PATH}/{_NAME}")
        eventually(lambda: not lab.holders(_FIRST), within_s=_PATIENCE_S)
        _pause()
        yield _parts(lab, holder.name, accepted_s, {"it is gone": _last_answer_s(first)})


def _reporting(lab: Lab) -> int:
    configs = lab.kubectl_json("get", "nodeconfigs")["items"]
    return sum("heartbeatTime" in (config.get("status") or {}) for config in configs)


def _object(*addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": _NAME},
        "spec": {"addresses": [{"address": f"{a}/24"} for a in addresses]},
    }


def _parts(lab: Lab, node: str, accepted_s: float, seen: Mapping[str, float]) -> Parts:
    """Return when each part was done; what came later by a second round is not looked at."""
    operator = {part: text.format(node=node) for part, text in _OPERATOR.items()}
    found: Parts = {}
    since_s = accepted_s - 0.05  # a watch may hear of it before who wrote it has the answer
    for texts, log in ((operator, lab.operator.log), (_SPEAKER, lab.node(node).log)):
        for part, text in texts.items():
            at_s = next((at for at, line in _lines(log) if at >= since_s and text in line), None)
            if at_s is not None:
                found[part] = max(0.0, at_s - accepted_s)
    return {**found, **{part: at_s - accepted_s for part, at_s in seen.items()}}


def _lines(log: Path) -> Iterator[tuple[float, str]]:
    """Yield the lines of a log with the time that they begin with."""
    for line in log.read_text(errors="replace").splitlines():
        try:
            yield datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp(), line
        except ValueError:
            continue  # a line of something longer


def _wall_s(monotonic_ns: int) -> float:
    return time.time() - (time.monotonic_ns() - monotonic_ns) / 1e9


def _last_answer_s(probe: Probe) -> float:
    seen = probe.report(time.monotonic_ns() - int(1e9 * (_PATIENCE_S + _QUIET_S)))
    assert seen.last_answered_ns is not None
    return _wall_s(seen.last_answered_ns)


def _pause() -> None:
    """Let everything that follows a change end: each begins from rest."""
    until_s = time.monotonic() + _QUIET_S
    eventually(lambda: time.monotonic() >= until_s, within_s=2 * _QUIET_S, every_s=0.1)


def _client(lab: Lab) -> ApiClient:
    configuration = Configuration()
    load_kube_config(str(lab.control_plane.kubeconfig), client_configuration=configuration)
    return ApiClient(configuration)


def _ask(api: ApiClient, method: str, path: str, body: Any = None) -> float:
    """Ask the API server to change something; return when it had answered.

    Raises:
        LabError: it refused.
    """
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = api.param_serialize(
        method,
        path,
        header_params={"Accept": "application/json", "Content-Type": kind},
        body=body,
        auth_settings=["BearerToken"],
    )
    response = api.call_api(*request)
    answered_s = time.time()
    if response.status >= 400:
        raise LabError(f"{method} {path}: {response.status} {response.read()[:500]!r}")
    return answered_s
