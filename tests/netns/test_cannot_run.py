"""A speaker that cannot run says why in one line and ends with status 4."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.eventually import eventually

from vrrp_lab.lan import Host, Lan

pytestmark = pytest.mark.netns
CONFIG = """
apiVersion: kube-vrrp.io/v1alpha1
kind: NodeConfig
metadata: {name: node-1}
spec: {node: node-1, addresses: [192.0.2.11], virtualRouters: [], healthChecks: []}
"""


def command(folder: Path, *flags: str) -> list[str]:
    return [
        *(sys.executable, "-m", "vrrp_speaker", "--node", "node-1"),
        *("--state-dir", str(folder / "state"), "--run-dir", str(folder / "run"), *flags),
    ]


def start(host: Host, folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    return host.namespace.start(command(folder, *flags), log=folder / "log")


def run(host: Host, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return host.exec(*command(folder, *flags))


def config(folder: Path, text: str = CONFIG) -> tuple[str, str]:
    path = folder / "config.yaml"
    path.write_text(text)
    return "--config", str(path)


def healthy(host: Host) -> bool:
    return host.exec("curl", "-s", "http://127.0.0.1:9105/healthz").stdout == "ok\n"


def is_logged(folder: Path, words: str) -> bool:
    return words in (folder / "log").read_text()


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a refusal to run."""
    assert ended.returncode == 4
    assert "Traceback" not in ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("vrrp-speaker: ")]
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_metrics_port_taken(lan: Lan, tmp_path: Path) -> None:
    host = lan.hosts[0]
    host.namespace.start([sys.executable, "-m", "http.server", "9105", "--bind", "127.0.0.1"])
    eventually(lambda: host.exec("curl", "-s", "http://127.0.0.1:9105/").stdout, within_s=10)
    ended = run(host, tmp_path, *config(tmp_path), "--metrics-bind-address", "127.0.0.1:9105")
    assert "metrics address 127.0.0.1:9105 cannot be used: Address already in use" in refusal(ended)


def test_metrics_address_without_a_port(lan: Lan, tmp_path: Path) -> None:
    ended = run(lan.hosts[0], tmp_path, *config(tmp_path), "--metrics-bind-address", "localhost")
    assert "'localhost' is not an address and a port (accepted: 192.0.2.1:9105," in refusal(ended)


def test_targets_of_checks_that_are_none(lan: Lan, tmp_path: Path) -> None:
    ended = run(lan.hosts[0], tmp_path, *config(tmp_path), "--check-targets", "Node,gateway")
    assert "'gateway' is no network (accepted: Node, Subnets, 10.96.0.0/12," in refusal(ended)


def test_second_speaker_in_one_run_directory(lan: Lan, tmp_path: Path) -> None:
    host = lan.hosts[0]
    start(host, tmp_path, *config(tmp_path))
    eventually(lambda: healthy(host), within_s=10)
    ended = run(host, tmp_path, *config(tmp_path))
    assert "another speaker uses it" in refusal(ended)
    assert healthy(host)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "config.yaml"),
        ("[]", "not a NodeConfig object"),
        (CONFIG.replace("node: node-1,", "node: node-2,"), "spec.node: 'node-2'"),
        (CONFIG.replace("virtualRouters: []", "virtualRouters: 7"), "spec.virtualRouters: 7"),
    ],
)
def test_wrong_configuration_file(lan: Lan, tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in refusal(run(lan.hosts[0], tmp_path, *config(tmp_path, text)))


def test_neither_kubeconfig_nor_file_nor_pod(lan: Lan, tmp_path: Path) -> None:
    assert "not in a pod" in refusal(run(lan.hosts[0], tmp_path))


def test_unreadable_kubeconfig_is_named(lan: Lan, tmp_path: Path) -> None:
    ended = run(lan.hosts[0], tmp_path, "--kubeconfig", str(tmp_path / "absent"))
    assert f"kubeconfig {tmp_path / 'absent'}" in refusal(ended)


def test_damaged_cache_is_named_and_the_speaker_waits_for_news(lan: Lan, tmp_path: Path) -> None:
    host = lan.hosts[0]
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "node-config.json").write_text('{"version": 1, "checksum": "sha256:0"')
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c",'
        ' "user": "u"}}], "users": [{"name": "u", "user": {"token": "t"}}], "clusters":'
        ' [{"name": "c", "cluster": {"server": "https://192.0.2.250:6443"}}]}'
    )
    start(host, tmp_path, "--kubeconfig", str(kubeconfig))
    ready = "http://127.0.0.1:9105/readyz"
    eventually(lambda: "none yet" in host.exec("curl", "-s", ready).stdout, within_s=10)
    assert healthy(host)
    for words in ("cache not used", "node-config.json"):
        eventually(partial(is_logged, tmp_path, words), within_s=5)


_ASK = """
import errno, sys
from vrrp_speaker.engine.network.netlink import RequestSocket, damaged_mark_request
mark = damaged_mark_request()
unknown = mark[:-4] + mark[-4:-2] + (63).to_bytes(2, sys.byteorder)
for request in mark, unknown:
    print(errno.errorcode[RequestSocket().request(request)])
"""


def test_this_kernel_refuses_a_damaged_mark_and_passes_over_what_it_does_not_know(
    lan: Lan,
) -> None:
    host = lan.hosts[0]
    before = host.exec("ip", "-o", "addr", "show").stdout
    assert host.exec(sys.executable, "-c", _ASK).stdout.split() == ["ERANGE", "ENODEV"]
    assert host.exec("ip", "-o", "addr", "show").stdout == before


def check_here(host: Host, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Look at a configuration on a host."""
    (folder / "keys").mkdir(exist_ok=True)
    flags = ("--here", "--keys-dir", str(folder / "keys"))
    return host.exec(
        *(sys.executable, "-m", "vrrp_speaker", "check", *flags, config(folder, text)[1])
    )


ROUTER = """
apiVersion: kube-vrrp.io/v1alpha1
kind: NodeConfig
metadata: {name: node-1}
spec:
  node: node-1
  addresses: [192.0.2.11]
  virtualRouters:
  - name: web
    virtualIPGeneration: 1
    virtualRouterID: 51
    interface: eth0
    addresses: [{address: 192.0.2.50/24}]
    basePriority: 200
    authentication: {type: HMAC, keyRef: cluster}
    peers: [{node: node-2, address: 192.0.2.12, priority: 180}]
"""


def test_what_is_wrong_on_this_node_is_told_before_a_speaker_runs(lan: Lan, tmp_path: Path) -> None:
    host = lan.hosts[0]
    ended = check_here(host, tmp_path, ROUTER.replace("interface: eth0", "interface: nope"))
    assert ended.returncode == 5
    assert ended.stdout.splitlines() == [
        f"warning: {tmp_path}/config.yaml:12:5: spec.virtualRouters[0].interface:"
        " InterfaceNotFound: nope: the node has no such interface (interface; accepted: eth0, lo)"
    ]
    ended = check_here(host, tmp_path, ROUTER)
    assert ended.stdout.splitlines() == [
        f"warning: {tmp_path}/config.yaml:15:5: spec.virtualRouters[0].authentication:"
        " AuthenticationKeyMissing: cluster: no such key on the node (accepted: cluster.1 to"
        " cluster.255 in its key folder)"
    ]
    (tmp_path / "keys" / "cluster.1").write_text("hex:" + "11" * 32)
    ended = check_here(host, tmp_path, ROUTER)
    assert (ended.returncode, ended.stdout) == (0, "")
    (tmp_path / "keys" / "cluster.1").write_text("short")
    ended = check_here(host, tmp_path, ROUTER)
    assert ended.returncode == 5
    assert "cluster.1: 5 bytes (accepted: 32 to 64)" in ended.stdout
