"""The Lease of the operators on the API server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kubernetes.client.api_client import ApiClient

from vrrp_operator.api.api_server import ApiServer, ApiUnavailableError
from vrrp_operator.lead.leadership import DURATION_S, Claim, Lease

NAME = "kube-vrrp-operator"
LABEL = "kube-vrrp.io/leader"
"""Whose value is ``operator`` on the operators' Lease; speakers' ones lack it."""
SELECTOR = f"{LABEL}=operator"
_CREATE, _MERGE = "application/json", "application/merge-patch+json"
_TIMEOUT_S = (1.0, 1.5)
"""Two attempts fit into the time that a leader has."""
_NOT_FOUND = 404


class LeaseStore(ApiServer):
    """Reads and writes it; ``identity`` is who holds what is written."""

    def __init__(self, client: ApiClient, namespace: str, identity: str) -> None:
        super().__init__(client)
        self._identity = identity
        self.path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    def read(self) -> Lease | None:
        """Return the Lease as it is; None: there is none.

        Raises:
            ApiUnavailableError: not reached or refused.
        """
        try:
            return lease_of(self._call("GET", f"{self.path}/{NAME}", timeout_s=_TIMEOUT_S))
        except ApiUnavailableError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def write(self, claim: Claim) -> int:
        """Take the Lease, make it, or renew it; return its version.

        Raises:
            ApiUnavailableError: not reached or refused; with status 409 or 404 it is another one.
        """
        now = _time()
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION_S,
            "renewTime": now,
            **({"acquireTime": now, "leaseTransitions": claim.transitions} if claim.anew else {}),
        }
        if claim.over is not None:
            return self._patch(claim.over, spec)
        obj = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "labels": {LABEL: "operator"}},
            "spec": spec,
        }
        answer = self._call("POST", self.path, body=obj, content_type=_CREATE, timeout_s=_TIMEOUT_S)
        return int(answer["metadata"]["resourceVersion"])

    def release(self, lease: Lease) -> None:
        """Give the Lease back, unless it is another one by now.

        Raises:
            ApiUnavailableError: not reached or refused; it ends by itself.
        """
        self._patch(lease, {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _time()})

    def _patch(self, over: Lease, spec: Mapping[str, Any]) -> int:
        # The label too: others would not see a Lease that somebody took it from.
        metadata = {"resourceVersion": str(over.version), "labels": {LABEL: "operator"}}
        answer = self._call(
            "PATCH",
            f"{self.path}/{NAME}",
            body={"metadata": metadata, "spec": spec},
            content_type=_MERGE,
            timeout_s=_TIMEOUT_S,
        )
        return int(answer["metadata"]["resourceVersion"])


def lease_of(obj: Mapping[str, Any]) -> Lease:
    """Return what a Lease object says; who is no text holds nothing."""
    spec = obj.get("spec") or {}
    return Lease(
        int(obj["metadata"]["resourceVersion"]),
        str(spec.get("holderIdentity") or ""),
        int(spec.get("leaseTransitions") or 0),
    )


def _time() -> str:
    """Return the time for people to read: nobody compares it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
