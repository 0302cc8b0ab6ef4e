"""A real Prometheus in the lab: it scrapes every speaker and the operator, and has the rules."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from tests.alerts.rules import groups
from tests.alerts.scaled import scaled
from tests.eventually import eventually

from vrrp_lab.lab import OPERATOR_METRICS_PORT, Lab
from vrrp_lab.namespaces import LabError
from vrrp_lab.node import METRICS_PORT

_PORT = 9090
_SCRAPE = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "500ms"}
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that fires."""

    name: str
    labels: frozenset[tuple[str, str]]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether it is this alert with, among others, these labels."""
        return self.name == name and set(labels.items()) <= self.labels


class Prometheus:
    """Runs on the control plane's host, which reaches all of them; use as a context manager.

    Raises:
        LabError: this machine has none.
    """

    def __init__(self, lab: Lab, folder: Path) -> None:
        if not shutil.which("prometheus"):
            raise LabError("this machine lacks: prometheus (Debian package prometheus)")
        self._host = lab.control_plane.host
        self._seen: dict[Firing, float] = {}
        self._firing: frozenset[Firing] = frozenset()
        self._ended = threading.Event()
        self._poller = threading.Thread(target=self._poll, daemon=True)
        speakers = [f"{node.host.address}:{METRICS_PORT}" for node in lab.nodes]
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(_config(speakers)))
        (folder / "alerts.yaml").write_text(yaml.safe_dump(scaled(groups())))
        command = [
            *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
            *(f"--web.listen-address=127.0.0.1:{_PORT}", "--log.level=warn"),
        ]
        self._log = folder / "prometheus.log"
        self._process = self._host.namespace.start(command, log=self._log)

    def __enter__(self) -> Prometheus:
        eventually(self._scrapes_all, within_s=60, every_s=0.2)
        self._poller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._poller.join(60)
        self._process.terminate()
        self._process.wait(60)

    def firing(self) -> frozenset[Firing]:
        """Return what fires now."""
        return self._firing

    def fires(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether an alert fires now with, among others, these labels."""
        return any(alert.matches(name, labels) for alert in self._firing)

    def fired_since(self, since_s: float) -> set[Firing]:
        """Return what fired at any time after a moment of the monotonic clock."""
        return {alert for alert, seen_s in list(self._seen.items()) if seen_s >= since_s}

    def _scrapes_all(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-800:]
        targets = self._ask("targets?state=active")["activeTargets"]
        assert all(target["health"] == "up" for target in targets), targets
        return bool(targets)

    def _poll(self) -> None:
        while not self._ended.wait(_POLL_S):
            try:
                alerts = self._ask("alerts")["alerts"]
            except OSError:
                continue  # no answer, this once
            firing = frozenset(_firing(alert) for alert in alerts if alert["state"] == "firing")
            self._seen.update(dict.fromkeys(firing, time.monotonic()))
            self._firing = firing

    def _ask(self, path: str) -> Any:
        url = f"http://127.0.0.1:{_PORT}/api/v1/{path}"
        answer = self._host.exec("curl", "-sf", "-m", "5", url)
        if answer.returncode:
            raise OSError(f"no answer from {url}: curl ended with {answer.returncode}")
        return json.loads(answer.stdout)["data"]


def _firing(alert: Mapping[str, Any]) -> Firing:
    labels = dict(alert["labels"])
    return Firing(labels.pop("alertname"), frozenset(labels.items()))


def _config(speakers: list[str]) -> dict[str, Any]:
    targets = {"speakers": speakers, "operator": [f"127.0.0.1:{OPERATOR_METRICS_PORT}"]}
    return {
        "global": _SCRAPE,
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": hosts}]}
            for job, hosts in targets.items()
        ],
    }
