"""Our own speaker as a peer: standalone, from a NodeConfig file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.interop.config import RouterConfig
from tests.interop.routers import Router, kill, terminate

from vrrp_lab.lan import INTERFACE, Host, Lan

_METRICS = "127.0.0.1:9105"
_KEY_ID = 1


class Speaker(Router):
    """One speaker with its supervisor, engine and agent."""

    implementation = "kube-vrrp"
    leaves_addresses_behind = False
    asks_first = True

    def __init__(self, host: Host, lan: Lan, configs: Sequence[RouterConfig], folder: Path) -> None:
        super().__init__(host, lan, configs, folder)
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("state", "run", "keys"):
            (folder / name).mkdir()
        for config in configs:
            _write_key(folder / "keys", config)
        (folder / "node-config.yaml").write_text(json.dumps(_node_config(host, configs)))

    @classmethod
    def version(cls) -> str | None:
        command = [sys.executable, "-m", "vrrp_speaker", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return said.split()[-1]

    @classmethod
    def lacks(cls, config: RouterConfig) -> str | None:
        return None

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "vrrp_speaker", "--node", self.host.name),
            *("--config", str(self._folder / "node-config.yaml")),
            *("--keys-dir", str(self._folder / "keys")),
            *("--state-dir", str(self._folder / "state")),
            *("--run-dir", str(self._folder / "run")),
            *("--metrics-bind-address", _METRICS, "--log-format", "text"),
        ]
        self._process = self.host.namespace.start(command, log=self.log)

    def stop(self) -> None:
        assert self._process is not None
        terminate(self._process)

    def kill(self) -> None:
        assert self._process is not None
        kill(self._process)

    def states(self) -> Mapping[int, str]:
        said = self.host.exec("curl", "-s", "-m", "10", f"http://{_METRICS}/metrics").stdout
        vrids = {config.name: config.vrid for config in self.configs}
        return {
            vrids[sample.labels["virtual_ip"]]: sample.labels["state"]
            for family in text_string_to_metric_families(said)
            for sample in family.samples
            if sample.name == "kube_vrrp_state" and sample.value == 1
        }


def _node_config(host: Host, configs: Sequence[RouterConfig]) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": host.name},
        "spec": {
            "node": host.name,
            "addresses": [host.address, host.address6],
            "virtualRouters": [_virtual_router(config) for config in configs],
            "healthChecks": [],
        },
    }


def _virtual_router(config: RouterConfig) -> dict[str, Any]:
    """Return one Virtual Router as NodeConfig holds it: the only place that knows the format."""
    return {
        "name": config.name,
        "virtualIPGeneration": 1,
        "virtualRouterID": config.vrid,
        "version": config.version,
        "interface": INTERFACE,
        "addresses": [{"address": address} for address in config.addresses],
        "basePriority": config.priority,
        "advertisementInterval": f"{config.interval_cs * 10}ms",
        "downAdvertisements": config.down_advertisements,
        "transport": {
            "mode": config.mode.capitalize(),
            "externalPeers": list(config.peers),
            "ttl": {"send": config.ttl or 255, "acceptMinimum": config.ttl_minimum},
            "checksum": str(config.checksum),
        },
        "preemption": {
            "mode": "Always" if config.preempt else "Never",
            "delay": f"{config.preempt_delay_s}s",
        },
        "authentication": _authentication(config),
        "peers": [],
        "healthChecks": [],
    }


def _authentication(config: RouterConfig) -> dict[str, Any]:
    if config.password is not None:
        return {"type": "Simple", "keyRef": config.name, "mode": "Enforce"}
    if config.key is not None:
        return {"type": "HMAC", "keyRef": config.name, "mode": "Enforce"}
    return {"type": "None"}


def _write_key(folder: Path, config: RouterConfig) -> None:
    if config.password is not None:
        (folder / f"{config.name}.pass").write_text(config.password)
    if config.key is not None:
        (folder / f"{config.name}.{_KEY_ID}").write_text(f"hex:{config.key}")
        (folder / f"{config.name}.active").write_text(str(_KEY_ID))
