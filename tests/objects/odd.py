"""What others write, and how files and links are damaged: odd values, drawn from a seed (pure)."""

from __future__ import annotations

import random
from typing import Any

NODES = ("node-1", "node-2", "node-3", "node-4")
TEN = tuple(f"ten-{n}" for n in range(10))
OF_TEN = "192.0.2.150"
"""An address that one of the ten has."""
_SERVICES = ("eth0", "sleep", "none", "n" * 63)
"""What odd HealthChecks of kind service ask for."""


def odd_node(rng: random.Random) -> dict[str, Any]:
    """Return a Node: metadata, spec and status."""
    addresses = rng.choices(
        (
            {"type": "InternalIP", "address": rng.choice(("192.0.2.99", "192.0.2.11", OF_TEN))},
            {"type": "InternalIP", "address": rng.choice(("", "nowhere", "fe80::1%eth0", "::"))},
            {"type": "InternalIP", "address": "2001:db8::99"},
            {"type": "Hostname", "address": "ü" * 100},
        ),
        k=rng.choice((0, 1, 2, 5)),
    )
    conditions = rng.choices(
        (
            {"type": "Ready", "status": rng.choice(("True", "False", "Unknown", "Perhaps", ""))},
            {"type": "T" * 500, "status": "True", "message": "ü" * 2000},
            {"type": "", "status": ""},
        ),
        k=rng.choice((0, 1, 3)),
    )
    unique = list({condition["type"]: condition for condition in conditions}.values())
    labels = rng.choice(({}, {"kubernetes.io/hostname": "node-1"}, {"example.com/a": "v" * 63}))
    notes = rng.choice(({}, {"kube-vrrp.io/maintenance": rng.choice(("true", "perhaps", ""))}))
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    return {
        "metadata": {"labels": labels, "annotations": notes},
        "spec": {"taints": [taint]} if rng.random() < 0.2 else {},
        "status": {"addresses": addresses, "conditions": unique},
    }


def odd_status(rng: random.Random) -> Any:
    """Return what is merged into a status of ours; None: the whole of it goes."""
    long = {"type": "Ready", "status": "True", "reason": "R" * 1024, "message": "m" * 32768}
    return rng.choice(
        (
            None,
            {"virtualRouterID": None},
            {"nodes": None, "history": None},
            {"conditions": []},
            {"conditions": [{**long, "lastTransitionTime": "0001-01-01T00:00:00Z"}]},
            {"conditions": [{**long, "type": "Odd", "lastTransitionTime": "9999-12-31T23:59:59Z"}]},
            {"observedGeneration": rng.choice((0, 2**53, -1))},
            {"activeNode": "nobody", "since": "never", "effectivePriority": 0},
            {"nodes": [{"node": n, "state": "Active"} for n in NODES]},
            {"transitions": 2**53, "standbys": -1, "unknown": {"field": 1}},
        )
    )


def odd_report(rng: random.Random) -> dict[str, Any]:
    """Return what a node without a machine says of itself and of the ten."""
    router = _router(rng)
    return {
        "heartbeatTime": f"2026-01-01T00:00:{rng.randint(0, 59):02}Z",
        "observedGeneration": rng.choice((0, 1, 2**53)),
        "virtualRouters": rng.choice(([], [router], [router, {**router, "name": "nobody"}])),
        "checks": rng.choice(([], [{"name": "one", "passing": True, "message": "ü" * 300}])),
    }


def odd_report_of_machine(rng: random.Random) -> Any:
    """Return what somebody merges into the report of a node that runs; None: all of it goes."""
    return rng.choice(
        (
            None,
            {"virtualRouters": None},
            {"virtualRouters": [_router(rng)]},
            {"observedGeneration": rng.choice((0, 2**53))},
            {"speaker": None},
            {"speaker": {"version": "0.0.1", "features": ["ElectionKeys", "Odd"]}},
            {"heartbeatTime": rng.choice(("2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z"))},
            {"checks": [{"name": "fine", "passing": False, "message": "x" * 1024}]},
        )
    )


def _router(rng: random.Random) -> dict[str, Any]:
    return {
        "name": rng.choice(TEN),
        "virtualIPGeneration": rng.choice((0, 1, 2**53)),
        "state": rng.choice(("Active", "Backup", "Fault", "Initialize")),
        "effectivePriority": rng.choice((0, 1, 254)),
        "since": rng.choice(("2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z")),
        "transitions": rng.choice((0, 2**31)),
        "faults": rng.choice(([], ["x" * 512], ["CheckFailed: one"])),
    }


def defaced(rng: random.Random) -> dict[str, Any] | None:
    """Return what is merged into a NodeConfig's metadata; None: its spec gets a router more."""
    return rng.choice(
        (
            None,
            None,
            {"annotations": {"kube-vrrp.io/fence": "another one's"}},
            {"annotations": {"kube-vrrp.io/fence": None}},
            {"annotations": {"a": "v" * 100_000}},
            {"labels": {"kube-vrrp.io/node": "another"}},
            {"finalizers": ["example.org/hold"]},
            {"finalizers": None},
        )
    )


def odd_lease(rng: random.Random) -> dict[str, Any] | None:
    """Return what is merged into the Lease by which a node says that it is there; None: it goes."""
    return rng.choice(
        (
            None,
            {"spec": {"renewTime": rng.choice((None, "9999-12-31T23:59:59.000000Z"))}},
            {"spec": {"holderIdentity": rng.choice((None, "", "node-1", "ü" * 100))}},
            {"spec": {"leaseDurationSeconds": rng.choice((1, 2**31 - 1))}},
            {"metadata": {"labels": None}},
            {"metadata": {"ownerReferences": None}},
        )
    )


def odd_slice(rng: random.Random) -> dict[str, Any] | None:
    """Return an EndpointSlice but for its name; None: it goes."""
    if rng.random() < 0.25:
        return None
    endpoint = {
        "addresses": ["192.0.2.77"],
        "conditions": rng.choice(({}, {"ready": True}, {"ready": False, "terminating": True})),
        **rng.choice(({}, {"nodeName": rng.choice((*NODES, "node-9"))})),
    }
    service = rng.choice(_SERVICES)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": rng.choice(([], [endpoint], [endpoint] * 100)),
        "ports": [],
    }


DAMAGES = (
    ("cluster.1", "half"),
    ("cluster.1", ""),
    ("cluster.1", None),
    ("cluster.2", "\udcff" * 40),
    ("cluster.active", "9"),
    ("old.7", "x"),
    ("ü\udcff.1", "x"),
)
"""Files of the key folder, and what is found in each meanwhile; None: it is gone."""
