"""What a machine is configured with: containerd, kubelet, kube-proxy, CNI, as files by path."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from vrrp_lab.lan import INTERFACE, Host

PAUSE_IMAGE = "docker.io/kube-vrrp-lab/pause:1"
SERVICE_NETWORKS = "10.96.0.0/16,fd00:10:96::/112"
POD_NETWORKS = "10.244.0.0/16,fd00:10:244::/48"
SOCKET = "/run/containerd/containerd.sock"

_CONTAINERD = f"""version = 2
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a machine and the API server know each other.

    ``server_authority`` signed the API server's certificate, ``client_authority`` the one that it
    shows to kubelets; both are PEM texts.
    """

    server: str
    server_authority: str
    client_authority: str
    kubelet_token: str
    proxy_token: str


def pod_networks(host: Host) -> tuple[str, str]:
    """Return the networks of a machine's pods, IPv4 and IPv6."""
    return f"10.244.{host.number}.0/24", f"fd00:10:244:{host.number}::/64"


def files(host: Host, credentials: Credentials) -> dict[str, str]:
    """Return the files of a machine."""
    return {
        "/etc/hostname": f"{host.name}\n",
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
        # Nobody answers there, and so at once: no name service, and a kubelet that looks up its
        # own name goes on to look at its interfaces.
        "/etc/resolv.conf": "nameserver 127.0.0.1\n",
        "/etc/containerd/config.toml": _CONTAINERD,
        "/etc/cni/net.d/10-bridge.conflist": json.dumps(_cni(host)),
        "/etc/kubernetes/apiserver.crt": credentials.server_authority,
        "/etc/kubernetes/clients.crt": credentials.client_authority,
        "/etc/kubernetes/kubelet.yaml": json.dumps(_kubelet()),
        "/etc/kubernetes/kubelet.conf": _kubeconfig(credentials, credentials.kubelet_token),
        "/etc/kubernetes/kube-proxy.yaml": json.dumps(_kube_proxy(host)),
        "/etc/kubernetes/kube-proxy.conf": _kubeconfig(credentials, credentials.proxy_token),
    }


FOLDERS = ("/etc/kubernetes/manifests",)


def _cni(host: Host) -> dict[str, Any]:
    ranges = [[{"subnet": network}] for network in pod_networks(host)]
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "bridge", "plugins": [bridge, ports]}


def _kubelet() -> dict[str, Any]:
    """What an administrator would set, and what namespaces of one computer need."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/clients.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "staticPodPath": "/etc/kubernetes/manifests",
        # How soon a changed Secret or ConfigMap is seen in a pod; 1m by default.
        "syncFrequency": "5s",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "resolvConf": "",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        # The disk is this computer's, however full it is.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%"},
    }


def _kube_proxy(host: Host) -> dict[str, Any]:
    unset = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": host.name,
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.conf"},
        "clusterCIDR": POD_NETWORKS,
        # In mode nftables the default is the node's own address alone, and no virtual one.
        "nodePortAddresses": ["0.0.0.0/0", "::/0"],
        "oomScoreAdj": 0,
        "conntrack": {**unset, "udpTimeout": "0s", "udpStreamTimeout": "0s"},
    }


def _kubeconfig(credentials: Credentials, token: str) -> str:
    cluster = {
        "server": credentials.server,
        "certificate-authority": "/etc/kubernetes/apiserver.crt",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "self"}}],
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "self", "user": {"token": token}}],
        }
    )


def network_commands(host: Host, others: list[Host]) -> list[tuple[str, ...]]:
    """Return the commands that route to the pods of other machines, and to nowhere else.

    The default route leads to an address that nobody has: a kubelet takes the interface of the
    default route for its own address, as on a real network.
    """
    forward = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    commands: list[tuple[str, ...]] = [("sysctl", "-qw", *forward)]
    commands.append(("ip", "route", "add", "default", "via", _gateway(host.address)))
    commands.append(("ip", "-6", "route", "add", "default", "via", _gateway6(host.address6)))
    return commands + pod_routes(others)


def pod_routes(machines: list[Host]) -> list[tuple[str, ...]]:
    """Return the commands that route to the pods of machines."""
    commands: list[tuple[str, ...]] = []
    for machine in machines:
        network, network6 = pod_networks(machine)
        commands.append(("ip", "route", "add", network, "via", machine.address, "dev", INTERFACE))
        via6 = ("via", machine.address6, "dev", INTERFACE)
        commands.append(("ip", "-6", "route", "add", network6, *via6))
    return commands


def _gateway(address: str) -> str:
    return address.rpartition(".")[0] + ".1"


def _gateway6(address: str) -> str:
    return address.rpartition("::")[0] + "::1"
