"""Carries a plan out on a cluster: labels, Node addresses, specs, cuts, kills."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.eventually import eventually
from tests.sequences.plan import MOVING_NODES, Deed, Election, Kind, Plan

from vrrp_lab.lab import Lab, LabOptions, new_key
from vrrp_lab.node import Node

OPTIONS = LabOptions(nodes=6)
_AUTHENTICATION: dict[str, dict[str, str] | None] = {
    "cluster": None,
    "none": {"type": "None"},
    "own": {"type": "HMAC", "keyName": "own"},
}


class Player:
    """One cluster while a plan is carried out; ``said`` is called with each deed as it is done."""

    def __init__(self, lab: Lab, plan: Plan, said: Callable[[Deed], None]) -> None:
        self._lab = lab
        self._plan = plan
        self._said = said
        self._specs = {election.name: _spec(election) for election in plan.elections}
        self._second: dict[str, bool] = dict.fromkeys(MOVING_NODES, False)
        self._do: dict[Kind, Callable[[Deed], None]] = {
            Kind.JOIN: self._label,
            Kind.LEAVE: self._label,
            Kind.REPLACE: self._label,
            Kind.READDRESS: self._readdress,
            Kind.SIGN: self._sign,
            Kind.INTERVAL: self._interval,
            Kind.CUT_OFF: lambda deed: self._cut(deed.nodes[0], off=True),
            Kind.RECONNECT: lambda deed: self._cut(deed.nodes[0], off=False),
            Kind.RESTART: lambda _: self._restart(),
        }
        self._in: dict[str, set[str]] = {e.name: set(e.members) for e in plan.elections}

    def begin(self) -> None:
        """Let every election come up as it begins; returns when every address is held."""
        key = new_key()
        for node in self._lab.nodes:
            node.write_key("own.1", key)
            node.write_key("own.active", "1")
            if node.name in MOVING_NODES:
                second = f"{_second_address(node)}/24"
                node.host.namespace.run("ip", "addr", "add", second, "dev", "eth0")
            labels = [f"{e.name}=yes" for e in self._plan.elections if node.name in e.members]
            if labels:
                self._lab.kubectl("label", "node", node.name, *labels)
        self._apply(*self._specs)
        eventually(lambda: not self.unfinished(), within_s=120, every_s=1)
        # The first that ran one may hold it yet, until the better one that came later takes over.
        eventually(self._still_ones_are_home, within_s=60)

    def _still_ones_are_home(self) -> bool:
        return all(
            [node.name for node in self._lab.holders(election.address)] == [election.holder]
            for election in self._plan.elections
            if election.holder
        )

    def play(self) -> None:
        """Carry everything out, each at its time or as soon as can be after it."""
        begun_s = time.monotonic()
        for deed in self._plan.deeds:
            time.sleep(max(0.0, begun_s + deed.at_s - time.monotonic()))
            self._said(deed)
            self._do[deed.kind](deed)

    def heal(self) -> None:
        """End every cut."""
        self._lab.lan.heal()

    def unfinished(self) -> list[str]:
        """Return what is not as it is wanted, in words."""
        configs = self._lab.kubectl_json("get", "nodeconfig")["items"]
        lists = {
            c["metadata"]["name"]: {
                r["name"]: {peer["node"] for peer in r.get("peers", ())}
                for r in c["spec"].get("virtualRouters", ())
            }
            for c in configs
        }
        found = []
        for vip in self._lab.kubectl_json("get", "vip")["items"]:
            name = vip["metadata"]["name"]
            conditions = {c["type"]: c for c in vip.get("status", {}).get("conditions", ())}
            found += [
                f"{name}: {kind} {(conditions.get(kind) or {}).get('message', 'not told')}"
                for kind in ("Programmed", "Ready")
                if (conditions.get(kind) or {}).get("status") != "True"
            ]
            for node, routers in lists.items():
                asked = self._in[name] - {node} if node in self._in[name] else None
                if routers.get(name) != asked:
                    found.append(f"{name}: {node} lists {routers.get(name)}, not {asked}")
        return found

    # Deeds ------------------------------------------------------------------------------

    def _label(self, deed: Deed) -> None:
        members = self._in[deed.election]
        for node in deed.nodes:
            change = f"{deed.election}-" if node in members else f"{deed.election}=yes"
            self._lab.kubectl("label", "node", node, change)
            members ^= {node}

    def _readdress(self, deed: Deed) -> None:
        (name,) = deed.nodes
        node = self._lab.node(name)
        self._second[name] = not self._second[name]
        address = _second_address(node) if self._second[name] else node.host.address
        listed = [{"type": "InternalIP", "address": a} for a in (address, node.host.address6)]
        patch = json.dumps({"status": {"addresses": listed}})
        flags = ("--subresource=status", "--type=merge", "-p", patch)
        self._lab.kubectl("patch", "node", name, *flags)

    def _sign(self, deed: Deed) -> None:
        spec = self._specs[deed.election]
        spec.pop("authentication", None)
        authentication = _AUTHENTICATION[deed.value]
        if authentication is not None:
            spec["authentication"] = authentication
        self._apply(deed.election)

    def _interval(self, deed: Deed) -> None:
        self._specs[deed.election]["advertisementInterval"] = deed.value
        self._apply(deed.election)

    def _cut(self, name: str, *, off: bool) -> None:
        lan, plane = self._lab.lan, self._lab.control_plane.host
        (lan.partition if off else lan.rejoin)(lan.host(name), plane)

    def _restart(self) -> None:
        os.kill(self._lab.operator.pid, signal.SIGKILL)
        self._lab.operator.stop()
        self._lab.operator.start()

    def _apply(self, *names: str) -> None:
        items = [
            {
                "apiVersion": "kube-vrrp.io/v1alpha1",
                "kind": "VirtualIP",
                "metadata": {"name": name},
                "spec": self._specs[name],
            }
            for name in names
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self._lab.kubectl("apply", "-f", "-", stdin=text)


def _spec(election: Election) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "addresses": [{"address": f"{election.address}/24"}],
        "nodeSelector": {"matchLabels": {election.name: "yes"}},
        "candidates": OPTIONS.nodes,
        "preemption": {"mode": "Always" if election.preempts else "Never"},
    }
    if election.holder:
        spec["nodePriorities"] = [{"node": election.holder, "priority": 220}]
    return spec


def _second_address(node: Node) -> str:
    return f"192.0.2.{80 + node.host.number}"
