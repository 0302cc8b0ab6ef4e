"""Carries steps out on a cluster, through kubectl, as whoever it is that does such things."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tests.objects import disks
from tests.objects.machines import Killer, damage_key, keep_open, name_oddly
from tests.objects.odd import NODES
from tests.objects.passing import PassingFaults
from tests.objects.plan import ODD_NODES, Kind, Step, address_of

from vrrp_lab.lab import Lab, LabOptions, node_manifest
from vrrp_lab.node import Node

OPTIONS = LabOptions(nodes=len(NODES), start_speakers=False)
_OPERATOR = "system:serviceaccount:kube-vrrp:kube-vrrp-operator"
_KINDS = {"virtualips": "VirtualIP", "healthchecks": "HealthCheck", "nodeconfigs": "NodeConfig"}
_LEASES = "kube-vrrp"
"""The namespace of speakers' Leases."""
_STRAY = "192.0.2.190"
"""The address of a router that is written into NodeConfigs, and that no VirtualIP has."""


class Player:
    """One cluster while steps are carried out; its speakers run on disks of their own."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._passing = PassingFaults()
        self.killer = Killer(lab)
        self._specs: dict[tuple[str, str], Any] = {}
        self.answers: Counter[str] = Counter()
        """How many steps of each kind were taken, and how many refused, by the API server."""
        self._do: dict[Kind, Callable[[Step], bool]] = {
            Kind.CREATE: lambda step: self._apply(step.kind_of, step.name, step.value),
            Kind.EDIT: lambda step: self._apply(step.kind_of, step.name, step.value),
            Kind.DELETE: lambda step: self._delete(step.kind_of, step.name),
            Kind.REPLACE: self._replace,
            Kind.RENAME: self._rename,
            Kind.NODE: self._node,
            Kind.STATUS: self._status,
            Kind.REPORT: self._report,
            Kind.CONFIG: self._deface,
            Kind.LOSE_CONFIG: lambda step: self._delete(step.kind_of, step.name),
            Kind.SLICE: self._slice,
            Kind.LEASE: self._lease,
            Kind.KILL: lambda step: self.killer.change_link(step.name, step.number, step.value),
            Kind.KEYS: self._damage_key,
            Kind.NAME: lambda step: self._fault(step, "name", step.value, name_oddly),
            Kind.IDLE: lambda step: self._fault(step, "idle", step.value, partial(keep_open, lab)),
            Kind.FULL: lambda step: self._fault(step, "disk", step.value, disks.fill),
            Kind.READ_ONLY: lambda step: self._fault(step, "disk", step.value, disks.protect),
            Kind.CHANGE: lambda step: self._merge(step.kind_of, step.name, {"spec": step.value}),
        }

    def take(self, step: Step) -> None:
        """Take one step; that the API server refuses it is one of the ways it may end."""
        self._passing.tick(time.monotonic())
        taken = self._do[step.kind](step)
        self.answers[f"{step.kind} {'taken' if taken else 'refused'}"] += 1

    def end(self) -> None:
        """End every fault, and take the odd Nodes away, which the ten would wait for.

        Other objects stay as they are, but for what keeps them from being deleted.
        """
        self._passing.heal()
        for name in ODD_NODES:
            self._delete("nodes", name)
        for node in NODES:
            self._merge("nodeconfigs", node, {"metadata": {"finalizers": None}})

    # Objects ----------------------------------------------------------------------------

    def _run(self, *arguments: str, stdin: str | None = None) -> bool:
        return self._lab.kubectl(*arguments, stdin=stdin, check=False).returncode == 0

    def _apply(self, kind: str, name: str, spec: Any, *flags: str) -> bool:
        obj = {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": _KINDS[kind],
            "metadata": {"name": name},
            "spec": spec,
        }
        options = ("--server-side", "--force-conflicts", "--validate=ignore", *flags)
        taken = self._run("apply", *options, "-f", "-", stdin=json.dumps(obj))
        if taken:
            self._specs[kind, name] = spec
        return taken

    def _delete(self, kind: str, name: str) -> bool:
        return self._run("delete", kind, name, "--wait=false", "--ignore-not-found")

    def _replace(self, step: Step) -> bool:
        self._delete(step.kind_of, step.name)
        return self._apply(step.kind_of, step.name, step.value)

    def _rename(self, step: Step) -> bool:
        """Make it anew by another name, then delete it: for a moment there are both."""
        spec = self._specs.get((step.kind_of, step.name))
        made = spec is not None and self._apply(step.kind_of, step.to, spec)
        self._delete(step.kind_of, step.name)
        return made

    def _merge(self, kind: str, name: str, patch: Any, *flags: str) -> bool:
        return self._run("patch", kind, name, "--type=merge", "-p", json.dumps(patch), *flags)

    def _put(self, obj: Mapping[str, Any], name: str) -> bool:
        obj = {**obj, "metadata": {**obj["metadata"], "name": name}}
        options = ("--server-side", "--force-conflicts")
        return self._run("apply", *options, "-f", "-", stdin=json.dumps(obj))

    def _node(self, step: Step) -> bool:
        if step.value is None:
            return self._delete(step.kind_of, step.name)
        spec, metadata = step.value["spec"], step.value["metadata"]
        made = self._put(
            {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}, step.name
        )
        status = {"status": step.value["status"]}
        return made and self._merge("nodes", step.name, status, "--subresource=status")

    def _status(self, step: Step) -> bool:
        return self._merge(step.kind_of, step.name, {"status": step.value}, "--subresource=status")

    def _report(self, step: Step) -> bool:
        """Report as the speaker of a node that has no machine."""
        name = step.name
        node = node_manifest(self._lab.lan.client)
        node["metadata"] = {"name": name}
        self._run("create", "-f", "-", stdin=json.dumps(node))
        spec = {"node": name, "addresses": [], "virtualRouters": [], "healthChecks": []}
        if not self._run("get", "nodeconfig", name):
            self._apply("nodeconfigs", name, spec, f"--as={_OPERATOR}")
        plane = self._lab.control_plane
        with contextlib.suppress(KeyError, subprocess.CalledProcessError):
            uid = plane.kubectl_json("get", "node", name)["metadata"]["uid"]
            plane.service_account_kubeconfig("speaker", (name, uid))
            return plane.report_as_speaker(name, name, step.value)[0] == 200
        return False

    def _deface(self, step: Step) -> bool:
        if step.value is not None:
            return self._merge(step.kind_of, step.name, {"metadata": step.value})
        ended = self._lab.kubectl("get", "nodeconfig", step.name, "-o", "json", check=False)
        routers = json.loads(ended.stdout)["spec"]["virtualRouters"] if ended.stdout else []
        if not routers:
            return False
        address = {**routers[0]["addresses"][0], "address": f"{_STRAY}/24"}
        stray = {**routers[0], "name": "stray", "virtualRouterID": 250, "addresses": [address]}
        patch = json.dumps([{"op": "add", "path": "/spec/virtualRouters/-", "value": stray}])
        flags = ("--type=json", "-p", patch, f"--as={_OPERATOR}")
        return self._run("patch", "nodeconfig", step.name, *flags)

    def _slice(self, step: Step) -> bool:
        if step.value is None:
            return self._delete(step.kind_of, step.name)
        return self._put(step.value, step.name)

    def _lease(self, step: Step) -> bool:
        of_node, where = f"node.{step.name}", ("--namespace", _LEASES)
        if step.value is not None:
            return self._merge(step.kind_of, of_node, step.value, *where)
        return self._run("delete", step.kind_of, of_node, *where, "--ignore-not-found")

    # Machines ---------------------------------------------------------------------------

    def _damage_key(self, step: Step) -> bool:
        seconds, found = step.value
        return self._fault(
            step, "keys", seconds, lambda node: damage_key(node, step.kind_of, found)
        )

    def _fault(
        self,
        step: Step,
        kind: str,
        seconds: float,
        begin: Callable[[Node], Callable[[], object]],
    ) -> bool:
        node = self._lab.node(step.name)
        until_s = time.monotonic() + seconds
        return self._passing.begin(kind, node.name, until_s, partial(begin, node))


def ordinary(name: str) -> dict[str, Any]:
    """Return one of the ten as it begins; intervals are those of a machine that others use, too."""
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name},
        "spec": {
            "addresses": [{"address": f"{address_of(name)}/24"}],
            "advertisementInterval": "1s",
            "healthChecks": [{"name": "fine"}],
        },
    }


FINE = {
    "apiVersion": "kube-vrrp.io/v1alpha1",
    "kind": "HealthCheck",
    "metadata": {"name": "fine"},
    "spec": {"interface": {"name": "eth0"}},
}
