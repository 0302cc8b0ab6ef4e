"""A real kube-apiserver with etcd, in a namespace on the LAN, with RBAC on."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrrp_lab.lan import CONTROL_PLANE, Host, Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.programs import ControlPlanePrograms

_PORT = 6443
_NAMESPACE = "kube-vrrp"
_READY_S = 240.0


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who shows a token: name, group and the token."""

    name: str
    group: str
    token: str


@dataclass(frozen=True, slots=True)
class Serving:
    """How an API server serves, besides its administrator; the default is that of no kubelets."""

    users: tuple[User, ...] = ()
    authorization: str = "RBAC"
    service_networks: str = "10.96.0.0/16"
    flags: tuple[str, ...] = ()


WITHOUT_KUBELETS = Serving()


def prepare_shared_files(folder: Path, admin_token: str, users: Sequence[User] = ()) -> None:
    """Write what all API servers of a cluster must have the same: signing key and tokens."""
    key = folder / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    everybody = (User("admin", "system:masters", admin_token), *users)
    lines = [f'{user.token},{user.name},{user.name},"{user.group}"\n' for user in everybody]
    (folder / "tokens.csv").write_text("".join(lines))


def apiserver_command(
    programs: ControlPlanePrograms,
    host: Host,
    folder: Path,
    shared: Path,
    serving: Serving = WITHOUT_KUBELETS,
) -> list[str]:
    """Return the command of an API server on a host that has an etcd.

    ``folder`` takes its certificates, ``shared`` holds what ``prepare_shared_files`` wrote.
    """
    return [
        str(programs.kube_apiserver),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--secure-port={_PORT}",
        f"--advertise-address={host.address}",
        f"--cert-dir={folder}",
        f"--service-account-key-file={shared / 'service-account.key'}",
        f"--service-account-signing-key-file={shared / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={serving.service_networks}",
        f"--token-auth-file={shared / 'tokens.csv'}",
        f"--authorization-mode={serving.authorization}",
        "--shutdown-delay-duration=0s",
        "--v=1",
        *serving.flags,
    ]


def wait_ready(host: Host, apiserver: subprocess.Popen[bytes], admin_token: str, log: Path) -> None:
    """Wait until a host's API server is ready.

    Raises:
        LabError: it ends, or is not ready in time; the message holds the end of its log.
    """
    deadline_s = time.monotonic() + _READY_S
    while time.monotonic() < deadline_s:
        if apiserver.poll() is not None:
            break
        ready = host.exec(
            *("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}"),
            *("-H", f"Authorization: Bearer {admin_token}"),
            f"https://127.0.0.1:{_PORT}/readyz",
        )
        if ready.stdout == "200":
            return
        time.sleep(0.05)
    raise LabError(f"kube-apiserver is not ready:\n{log.read_text()[-800:]}")


class ControlPlane:
    """The cluster's API; ``server`` is how hosts of the LAN reach it."""

    def __init__(
        self,
        lan: Lan,
        programs: ControlPlanePrograms,
        work_dir: Path,
        serving: Serving = WITHOUT_KUBELETS,
    ) -> None:
        self._lan = lan
        self._programs = programs
        self._serving = serving
        self._dir = work_dir / "control-plane"
        self._dir.mkdir()
        self.host = Host("control-plane", CONTROL_PLANE, lan)
        self.server = f"https://{self.host.address}:{_PORT}"
        self._admin_token = secrets.token_hex(16)
        self._prepare_files()
        self._etcd = self._start_etcd()
        self._outside_port = self._forward()
        self._apiserver: subprocess.Popen[bytes] | None = None
        self.start()
        self.kubeconfig = self._write_kubeconfig(
            "admin", f"https://localhost:{self._outside_port}", self._admin_token
        )

    # Life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the API server and wait until it is ready."""
        self._apiserver = self.host.namespace.start(
            self._apiserver_command(), log=self._dir / "kube-apiserver.log"
        )
        self._wait_ready(self._apiserver)

    def stop(self) -> None:
        """Stop the API server at once; etcd and what it holds stay."""
        assert self._apiserver is not None
        self._lan.processes.stop(self._apiserver, 9)

    def _start_etcd(self) -> subprocess.Popen[bytes]:
        # Durability is of no use to a cluster that ends with its processes.
        command = [
            str(self._programs.etcd),
            f"--data-dir={self._dir / 'etcd'}",
            "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=error",
        ]
        return self.host.namespace.start(command, log=self._dir / "etcd.log")

    def _apiserver_command(self) -> list[str]:
        return apiserver_command(self._programs, self.host, self._dir, self._dir, self._serving)

    def _prepare_files(self) -> None:
        prepare_shared_files(self._dir, self._admin_token, self._serving.users)

    def _wait_ready(self, apiserver: subprocess.Popen[bytes]) -> None:
        wait_ready(self.host, apiserver, self._admin_token, self._dir / "kube-apiserver.log")

    def _forward(self) -> int:
        """Let programs outside reach the API server; return their port on localhost."""
        listener = socket.create_server(("127.0.0.1", 0))
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "vrrp_lab.forwarder", str(descriptor), str(_PORT)]
        self.host.namespace.start(command, pass_fds=(descriptor,))
        port: int = listener.getsockname()[1]
        listener.close()
        return port

    # Access ----------------------------------------------------------------------------

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = False,
        within_s: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, for ``within_s`` seconds at most.

        Raises:
            LabError: it failed and ``check`` is set.
        """
        ended = subprocess.run(
            [str(self._programs.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if check and ended.returncode:
            raise LabError(f"kubectl {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended

    def watch(self, path: str) -> subprocess.Popen[bytes]:
        """Return a kubectl that prints what a watch tells, a line of JSON for each event."""
        command = [str(self._programs.kubectl), f"--kubeconfig={self.kubeconfig}"]
        command += ["get", "--raw", f"{path}?watch=true"]
        return self._lan.processes.start(command, stdout=subprocess.PIPE)

    def report_as_speaker(self, node: str, name: str, status: Any) -> tuple[int, str]:
        """Merge into the status of a NodeConfig, as the speaker of a node does.

        Nobody else may write it, and a speaker has no right that kubectl would need besides.

        Args:
            node: whose speaker's token is used.
            name: of the NodeConfig.
            status: what is merged.

        Returns:
            HTTP's status, and the answer.
        """
        user = json.loads((self._dir / f"speaker-{node}.kubeconfig").read_text())["users"][0]
        request = urllib.request.Request(
            f"https://localhost:{self._outside_port}/apis/kube-vrrp.io/v1alpha1/nodeconfigs/{name}/status",
            json.dumps({"status": status}).encode(),
            {
                "Authorization": f"Bearer {user['user']['token']}",
                "Content-Type": "application/merge-patch+json",
            },
            method="PATCH",
        )
        trust = ssl.create_default_context(cafile=str(self._dir / "apiserver.crt"))
        try:
            with urllib.request.urlopen(request, context=trust, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl with ``-o json`` and return what it printed."""
        return json.loads(self.kubectl(*arguments, "-o", "json", check=True).stdout)

    def service_account_kubeconfig(self, component: str, node_uid: tuple[str, str] | None) -> Path:
        """Return a kubeconfig with a token of a component; a speaker's is bound to its node.

        Args:
            component: ``operator`` or ``speaker``.
            node_uid: name and uid of the node the token is bound to.
        """
        spec: dict[str, Any] = {"expirationSeconds": 86400}
        name = component
        if node_uid is not None:
            reference = {
                "apiVersion": "v1",
                "kind": "Node",
                "name": node_uid[0],
                "uid": node_uid[1],
            }
            spec["boundObjectRef"] = reference
            name = f"{component}-{node_uid[0]}"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {},
            "spec": spec,
        }
        path = f"/api/v1/namespaces/{_NAMESPACE}/serviceaccounts/kube-vrrp-{component}/token"
        answer = self.kubectl(
            "create", "--raw", path, "-f", "-", stdin=json.dumps(request), check=True
        )
        token = json.loads(answer.stdout)["status"]["token"]
        if node_uid is None:
            return self.local_kubeconfig(name, token)
        return self._write_kubeconfig(name, self.server, token)

    def local_kubeconfig(self, name: str, token: str) -> Path:
        """Return a kubeconfig for a program on the control plane's host."""
        return self._write_kubeconfig(name, f"https://localhost:{_PORT}", token)

    @property
    def authority(self) -> Path:
        """The certificate by which clients know the API server."""
        return self._dir / "apiserver.crt"

    def _write_kubeconfig(self, name: str, server: str, token: str) -> Path:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {
                        "server": server,
                        "certificate-authority": str(self.authority),
                    },
                }
            ],
            "users": [{"name": name, "user": {"token": token}}],
        }
        path = self._dir / f"{name}.kubeconfig"
        path.write_text(json.dumps(config, indent=1))
        return path
