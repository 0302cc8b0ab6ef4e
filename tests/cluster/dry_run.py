"""What an API server says of an object that it is asked to create and does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

_PLURALS = {"VirtualIP": "virtualips", "HealthCheck": "healthchecks"}
_QUERY = "dryRun=All&fieldValidation=Strict"


class DryRun:
    """Asks as ``kubectl create --dry-run=server --validate=strict`` does, by one connection.

    Each kubectl costs a process, a quarter of a second of it.
    """

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self._url = f"{cluster['server']}/apis/kube-vrrp.io/v1alpha1"
        self._pool = urllib3.PoolManager(ca_certs=cluster["certificate-authority"], retries=False)
        token = config["users"][0]["user"]["token"]
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def create(self, obj: Mapping[str, Any]) -> str:
        """Return why an object is refused; empty where it is not."""
        url = f"{self._url}/{_PLURALS[obj['kind']]}?{_QUERY}"
        answer = self._pool.request("POST", url, body=json.dumps(obj), headers=self._headers)
        if answer.status == 201:
            return ""
        return str(json.loads(answer.data)["message"])
