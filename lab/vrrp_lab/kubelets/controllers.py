"""What a control plane with kubelets has besides: scheduler, controller manager, credentials."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

from vrrp_lab.control_plane import ControlPlane, Serving, User
from vrrp_lab.kubelets.configuration import SERVICE_NETWORKS
from vrrp_lab.programs import find_or_build

SCHEDULER, CONTROLLER_MANAGER, PROXY = (
    User(f"system:{name}", group, secrets.token_hex(16))
    for name, group in (
        ("kube-scheduler", ""),
        ("kube-controller-manager", ""),
        ("kube-proxy", ""),
    )
)


class ClientCertificate:
    """The certificate that an API server shows to kubelets, and the authority that signed it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.authority, self.key, self.certificate = (
            folder / name for name in ("authority.crt", "client.key", "client.crt")
        )
        authority_key, request = folder / "authority.key", folder / "client.csr"
        new_key = ("-newkey", "rsa:2048", "-nodes")
        _openssl(
            *("req", "-x509", *new_key, "-keyout", str(authority_key), "-days", "30"),
            *("-subj", "/CN=kubelet-clients", "-out", str(self.authority)),
        )
        _openssl(
            *("req", *new_key, "-keyout", str(self.key), "-out", str(request)),
            *("-subj", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.authority)),
            *("-CAkey", str(authority_key), "-CAcreateserial", "-days", "30"),
            *("-out", str(self.certificate)),
        )


def serving(users: list[User], certificate: ClientCertificate) -> Serving:
    """Return how an API server serves kubelets."""
    return Serving(
        users=(SCHEDULER, CONTROLLER_MANAGER, PROXY, *users),
        authorization="Node,RBAC",
        service_networks=SERVICE_NETWORKS,
        flags=(
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-client-certificate={certificate.certificate}",
            f"--kubelet-client-key={certificate.key}",
            "--kubelet-preferred-address-types=InternalIP",
        ),
    )


class Controllers:
    """Scheduler and controller manager, on the control plane's host."""

    def __init__(self, plane: ControlPlane, work_dir: Path) -> None:
        shared = work_dir / "control-plane"
        for user, flags in (
            (SCHEDULER, ()),
            (
                CONTROLLER_MANAGER,
                (
                    f"--service-account-private-key-file={shared / 'service-account.key'}",
                    f"--root-ca-file={plane.authority}",
                    "--use-service-account-credentials=true",
                ),
            ),
        ):
            name = user.name.removeprefix("system:")
            kubeconfig = plane.local_kubeconfig(name, user.token)
            command = [
                *(str(find_or_build(name)), f"--kubeconfig={kubeconfig}"),
                *("--leader-elect=false", "--bind-address=127.0.0.1", *flags),
            ]
            plane.host.namespace.start(command, log=shared / f"{name}.log")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
