"""The whole cluster: LAN, control plane, operator, nodes with speakers."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from vrrp_lab.control_plane import ControlPlane
from vrrp_lab.lan import Host, Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.node import Node
from vrrp_lab.programs import control_plane_programs

_ROOT = Path(__file__).resolve().parents[2]
CRDS = _ROOT / "crds"
RIGHTS = _ROOT / "lab" / "manifests" / "rights.yaml"
"""Service accounts, roles and policies, as the chart has them."""
OPERATOR_METRICS_PORT = 9106
_GRACE_S = 30.0
CLUSTER_KEY = "cluster"
"""The key of every election that says nothing of authentication."""


@dataclass(frozen=True, slots=True)
class LabOptions:
    """How big, and with what running from the start.

    ``standalone`` holds manifests: the planner renders them to files, no control plane runs.
    ``default_key_ref`` None: elections are plain unless they say otherwise.
    """

    nodes: int = 3
    standalone: Sequence[Path] = ()
    default_key_ref: str | None = CLUSTER_KEY
    start_operator: bool = True
    operator_flags: Sequence[str] = ()
    start_speakers: bool = True


class Operator:
    """The operator's process, on the control plane's host."""

    def __init__(
        self, control_plane: ControlPlane, lan: Lan, work_dir: Path, flags: list[str]
    ) -> None:
        self._host = control_plane.host
        self._lan = lan
        self._flags = flags
        self._kubeconfig = control_plane.service_account_kubeconfig("operator", None)
        self.log = work_dir / "operator.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The operator's process id.

        Raises:
            LabError: it does not run.
        """
        if self._process is None:
            raise LabError("the operator does not run")
        return self._process.pid

    def start(self, under: Sequence[str] = ()) -> None:
        """Start the operator; ``under`` is a command that executes it."""
        command = [
            *under,
            *(sys.executable, "-m", "vrrp_operator", "--kubeconfig", str(self._kubeconfig)),
            *("--metrics-bind-address", f"127.0.0.1:{OPERATOR_METRICS_PORT}"),
            *("--log-format", "text", *self._flags),
        ]
        self._process = self._host.namespace.start(command, log=self.log)

    def stop(self) -> int:
        """Stop the operator; return its exit status, 0 also where it does not run.

        Kubernetes kills a pod that has not ended after 30 s, and so does this.
        """
        process, self._process = self._process, None
        if process is None:
            return 0
        self._lan.processes.stop(process, patience_s=_GRACE_S)
        return process.returncode

    def get(self, path: str) -> str:
        """Return what the operator serves at a path; empty on failure."""
        url = f"http://127.0.0.1:{OPERATOR_METRICS_PORT}{path}"
        return self._host.exec("curl", "-s", "-m", "2", url).stdout


class Lab:
    """A cluster in a box; use as a context manager.

    Raises:
        LabError: something this machine lacks, or a part that does not start.
    """

    def __init__(self, options: LabOptions | None = None) -> None:
        self.options = options or LabOptions()
        programs = None if self.options.standalone else control_plane_programs()
        self.work_dir = Path(tempfile.mkdtemp(prefix="kube-vrrp-lab-"))
        self.lan = Lan(self.options.nodes)
        self.lan.processes.own_folder(self.work_dir)
        self.client = self.lan.client
        try:
            if programs is None:
                self.render(self.options.standalone)
                sources = [["--config", str(self.config_file(h.name))] for h in self.lan.hosts]
            else:
                self.control_plane = ControlPlane(self.lan, programs, self.work_dir)
                sources = self._register()
                self.operator = Operator(
                    self.control_plane,
                    self.lan,
                    self.work_dir,
                    [*self._key_flags(), *self.options.operator_flags],
                )
                if self.options.start_operator:
                    self.operator.start()
            self.nodes = [
                Node(host, self.work_dir, source)
                for host, source in zip(self.lan.hosts, sources, strict=True)
            ]
            self._write_keys()
            if self.options.start_speakers:
                for node in self.nodes:
                    node.start_speaker()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything; the work directory goes, too."""
        self.lan.close()

    @property
    def plane(self) -> ControlPlane | None:
        """The API server, None where nodes do without."""
        return None if self.options.standalone else self.control_plane

    def node(self, name: str) -> Node:
        """Return a node by name."""
        return next(node for node in self.nodes if node.name == name)

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        return self.control_plane.kubectl(*arguments, stdin=stdin, check=check)

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl and return the objects it printed."""
        return self.control_plane.kubectl_json(*arguments)

    def kubectl_vrrp(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``kubectl vrrp`` that asks the cluster, as the administrator."""
        kubeconfig = ("--kubeconfig", str(self.control_plane.kubeconfig))
        command = [sys.executable, "-m", "vrrp_cli", *arguments, *kubeconfig]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def withdraw(self, virtual_ip: str) -> None:
        """Delete a VirtualIP, or where there is no API server stop all speakers."""
        if self.plane is not None:
            self.kubectl("delete", "vip", virtual_ip, "--wait=true")
            return
        for node in self.nodes:
            node.stop_speaker()

    def render(self, manifests: Sequence[Path]) -> None:
        """Let the planner write the NodeConfig files of standalone nodes, again and again."""
        nodes = self.work_dir / "nodes.yaml"
        items = [node_manifest(host) for host in self.lan.hosts]
        nodes.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        command = [
            *(sys.executable, "-m", "vrrp_cli", "render", "--nodes", str(nodes)),
            *(*map(str, manifests), "--output", str(self.config_file("any").parent)),
            *self._key_flags(),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def config_file(self, node: str) -> Path:
        """Return where a standalone node's NodeConfig lies."""
        return self.work_dir / "node-configs" / f"{node}.yaml"

    def holders(self, address: str) -> list[Node]:
        """Return the nodes that have the address on an interface."""
        return [node for node in self.nodes if node.holds(address)]

    # Preparing -------------------------------------------------------------------------

    def _key_flags(self) -> list[str]:
        name = self.options.default_key_ref
        return ["--default-key-ref", name] if name is not None else []

    def _write_keys(self) -> None:
        """Give every node the cluster's key, a new one for each lab."""
        key = new_key()
        for node in self.nodes:
            node.write_key(f"{CLUSTER_KEY}.1", key)
            node.write_key(f"{CLUSTER_KEY}.active", "1")

    def _register(self) -> list[list[str]]:
        """Install the API and the nodes; return each speaker's flags."""
        plane = self.control_plane
        plane.kubectl("apply", "-f", str(CRDS), check=True)
        wait = ("wait", "--for=condition=Established", "--timeout=100s", "crd", "--all")
        plane.kubectl(*wait, check=True)
        plane.kubectl("apply", "-f", str(RIGHTS), check=True)
        for host in self.lan.hosts:
            self._register_node(host)
        sources = []
        for host in self.lan.hosts:
            uid = plane.kubectl_json("get", "node", host.name)["metadata"]["uid"]
            path = plane.service_account_kubeconfig("speaker", (host.name, uid))
            sources.append(["--kubeconfig", str(path)])
        return sources

    def _register_node(self, host: Host) -> None:
        node = node_manifest(host)
        plane = self.control_plane
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(node), check=True)
        patch = json.dumps({"status": node["status"]})
        plane.kubectl(
            *("patch", "node", host.name, "--subresource=status", "--type=merge", "-p", patch),
            check=True,
        )


def new_key() -> str:
    """Return the content of a key file: 32 random bytes."""
    return "hex:" + secrets.token_hex(32)


def node_manifest(host: Host) -> dict[str, Any]:
    """Return the Node object of a host, as a kubelet would report it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": host.name, "labels": {"kubernetes.io/hostname": host.name}},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": host.address},
                {"type": "InternalIP", "address": host.address6},
                {"type": "Hostname", "address": host.name},
            ],
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "the lab has no kubelet; a powered-off node stays Ready here",
                    "lastHeartbeatTime": "2026-01-01T00:00:00Z",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
        },
    }
