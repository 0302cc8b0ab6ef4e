"""kubectl-vrrp validate and render: what an administrator reads before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.manifests import EXAMPLES

from vrrp_api.election import PLAIN, Authentication, ElectionSpec, Preemption, Transport
from vrrp_api.node_config import VirtualRouterConfig, parse_node_config

NODES = """
apiVersion: v1
kind: NodeList
items:
- kind: Node
  metadata: {name: a}
  status:
    addresses:
    - {type: InternalIP, address: 192.0.2.11}
    - {type: InternalIP, address: "2001:db8::a"}
- kind: Node
  metadata: {name: b}
  status:
    addresses:
    - {type: InternalIP, address: 192.0.2.12}
    - {type: InternalIP, address: "2001:db8::b"}
"""


def vip(name: str, address: str, **spec: object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": name},
            "spec": {"addresses": [{"address": address}], **spec},
        }
    )


def check(name: str, **spec: object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": "HealthCheck",
            "metadata": {"name": name},
            "spec": spec,
        }
    )


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vrrp_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid(example: Path) -> None:
    ended = run("validate", example)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_validate_warns_of_a_weight_that_never_moves_anything(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    small = check("small", tcp={"address": "127.0.0.1:80"}, weight=-10)
    path.write_text("---\n".join([small, vip("v", "192.0.2.50", healthChecks=[{"name": "small"}])]))
    ended = run("validate", path)
    assert ended.returncode == 0
    assert ended.stderr.startswith("warning: VirtualIP v: HealthCheck small, weight -10: the")
    assert "200 - 10 = 190 at worst" in ended.stderr
    path.write_text(path.read_text().replace("weight: -10", "weight: -50"))
    assert run("validate", path).stderr == ""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("service", {"namespace": "web", "name": "nginx"}),
        ("nodeCondition", {"type": "Ready", "status": "True"}),
    ],
)
def test_what_only_an_operator_can_tell_is_valid_and_not_rendered(
    tmp_path: Path, kind: str, value: object
) -> None:
    nodes, path = tmp_path / "nodes.yaml", tmp_path / "all.yaml"
    nodes.write_text(NODES)
    used = vip("v", "192.0.2.50", healthChecks=[{"name": "c"}])
    path.write_text("---\n".join([check("c", **{kind: value}), used]))
    assert run("validate", path).returncode == 0
    ended = run("render", "--nodes", nodes, "--output", tmp_path / "out", path)
    assert ended.returncode == 1
    assert f"HealthCheck c: spec.{kind}: only the operator of a cluster can tell" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_validate_warns_of_a_number_that_two_ask_for(tmp_path: Path) -> None:
    """Whether they share a node is not known here."""
    path = tmp_path / "two.yaml"
    both = (vip("a", "192.0.2.1", virtualRouterID=7), vip("b", "192.0.2.2", virtualRouterID=7))
    path.write_text("---\n".join(both))
    ended = run("validate", path)
    assert ended.returncode == 0
    assert ended.stderr == (
        "warning: VirtualIP b: spec.virtualRouterID: 7 is asked for by VirtualIP a, too;"
        " no node can run both\n"
    )


def test_validate_lists_every_problem_with_object_field_and_value(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(
        "---\n".join(
            [
                vip("first", "192.0.2.50"),
                vip("second", "192.0.2.50"),
                vip("third", "192.0.2.51", virtualRouterID=0),
                vip("fourth", "192.0.2.52", healthChecks=[{"name": "web"}]),
            ]
        )
    )
    ended = run("validate", path)
    assert ended.returncode == 1
    lines = sorted(ended.stderr.splitlines())
    assert len(lines) == 3
    assert lines[0].startswith("VirtualIP fourth: spec.healthChecks[0].name: HealthCheck web")
    assert "belongs to VirtualIP first" in lines[1]
    assert lines[2].startswith("VirtualIP third: spec.virtualRouterID: 0 must be an integer")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("a: [", "wrong.yaml"), ("- 1", "not a Kubernetes object"), ("kind: VirtualIP", "without")],
)
def test_unusable_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    ended = run("validate", path)
    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_missing_file_is_named(tmp_path: Path) -> None:
    ended = run("validate", tmp_path / "absent.yaml")
    assert ended.returncode == 1
    assert "absent.yaml" in ended.stderr


def test_render_writes_a_node_config_for_each_node(tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text(NODES)
    (tmp_path / "vip.yaml").write_text(vip("ingress", "192.0.2.50/24"))
    ended = run("render", "--nodes", tmp_path / "nodes.yaml", "--output", tmp_path / "out",
                tmp_path / "vip.yaml")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    priorities = {}
    for name in ("a", "b"):
        config = parse_node_config(yaml.safe_load((tmp_path / "out" / f"{name}.yaml").read_text()))
        assert config.node == name
        priorities[name] = config.virtual_routers[0].base_priority
    assert sorted(priorities.values()) == [180, 200]


def rendered(tmp_path: Path, manifest: str, *flags: str) -> dict[str, VirtualRouterConfig]:
    """Render one VirtualIP for two nodes; return each node's election."""
    (tmp_path / "nodes.yaml").write_text(NODES)
    (tmp_path / "vip.yaml").write_text(manifest)
    ended = run("render", *flags, "--nodes", tmp_path / "nodes.yaml", "--output",
                tmp_path / "out", tmp_path / "vip.yaml")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    documents = {p.stem: yaml.safe_load(p.read_text()) for p in (tmp_path / "out").iterdir()}
    return {
        name: parse_node_config(document).virtual_routers[0] for name, document in documents.items()
    }


def test_render_honours_every_field_of_the_election(tmp_path: Path) -> None:
    manifest = vip(
        "ingress",
        "2001:db8::50/64",
        advertisementInterval="50ms",
        downAdvertisements=9,
        transport={"externalPeers": ["2001:db8::2"], "ttl": {"acceptMinimum": 64}},
        preemption={"delay": "30s"},
        authentication={"type": "HMAC", "keyName": "own", "mode": "Permissive"},
    )
    expected = ElectionSpec(
        advertisement_interval_ns=50_000_000,
        down_advertisements=9,
        transport=Transport(external_peers=("2001:db8::2",), ttl_accept_minimum=64),
        preemption=Preemption(delay_ns=30_000_000_000),
        authentication=Authentication("HMAC", "own", "Permissive"),
    )
    routers = rendered(tmp_path, manifest)
    assert {name: router.election for name, router in routers.items()} == {
        "a": expected,
        "b": expected,
    }
    assert [peer.address for peer in routers["a"].peers] == ["2001:db8::b"]


DEFAULT = ("--default-key-name", "cluster")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), PLAIN),
        (DEFAULT, Authentication("HMAC", "cluster", election_key="Require")),
        (
            (*DEFAULT, "--election-key", "Accept"),
            Authentication("HMAC", "cluster", election_key="Accept"),
        ),
    ],
)
def test_render_signs_with_the_default_key(
    tmp_path: Path, flags: tuple[str, ...], expected: Authentication
) -> None:
    routers = rendered(tmp_path, vip("ingress", "192.0.2.50"), *flags)
    assert {router.election.authentication for router in routers.values()} == {expected}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"authentication": {"type": "HMAC", "keyName": "own"}}, Authentication("HMAC", "own")),
        ({"transport": {"externalPeers": ["192.0.2.2"]}}, PLAIN),
        (
            {"version": 2, "advertisementInterval": "1s"},
            Authentication("HMAC", "cluster"),
        ),
    ],
)
def test_render_leaves_the_list_closed_where_others_have_to_understand(
    tmp_path: Path, spec: dict[str, Any], expected: Authentication
) -> None:
    routers = rendered(tmp_path, vip("ingress", "192.0.2.50", **spec), *DEFAULT)
    assert {router.election.authentication for router in routers.values()} == {expected}


def test_render_gives_no_reserved_number(tmp_path: Path) -> None:
    routers = rendered(tmp_path, vip("ingress", "192.0.2.50"), "--reserved-vrids", "1-9")
    assert {router.virtual_router_id for router in routers.values()} == {10}


def test_render_with_a_key_that_no_file_can_have_is_wrong_usage(tmp_path: Path) -> None:
    ended = run(
        "render", "--default-key-name", "a/b", "--nodes", tmp_path, "--output", tmp_path, "x"
    )
    assert ended.returncode == 2
    assert "'a/b' is not a DNS label (accepted: cluster)" in ended.stderr


def test_validate_knows_the_rules_of_the_election(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    manifests = [
        vip("a", "192.0.2.50", version=2),
        vip("b", "192.0.2.51", transport={"mode": "Multicast", "externalPeers": ["192.0.2.2"]}),
        vip("c", "192.0.2.52", authentication={"type": "HMAC"}),
        vip("d", "192.0.2.53", transport={"externalPeers": ["192.0.2.53"]}),
        vip("e", "2001:db8::54"),
    ]
    path.write_text("---\n".join(manifests))
    ended = run("validate", path)
    assert ended.returncode == 1
    lines = sorted(ended.stderr.splitlines())
    assert len(lines) == 4
    assert lines[0].startswith("VirtualIP a: spec.advertisementInterval: ")
    assert "must be given in version 2, as 1s" in lines[0]
    assert lines[1].startswith("VirtualIP b: spec.transport.externalPeers: ")
    assert lines[2].startswith("VirtualIP c: spec.authentication.keyName: ")
    assert lines[3].startswith("VirtualIP d: spec.transport.externalPeers[0]: 192.0.2.53 is one")
    assert lines[3].endswith("(ExternalPeerConflict)")


def test_render_of_a_wrong_manifest_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text(NODES)
    (tmp_path / "vip.yaml").write_text(vip("ingress", "192.0.2.11"))
    ended = run("render", "--nodes", tmp_path / "nodes.yaml", "--output", tmp_path / "out",
                tmp_path / "vip.yaml")  # fmt: skip
    assert ended.returncode == 1
    assert "192.0.2.11 is the address of node a" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_status_without_a_cluster_says_so(tmp_path: Path) -> None:
    ended = run("status", "--kubeconfig", tmp_path / "absent")
    assert ended.returncode == 4
    assert ended.stderr.startswith("kubectl-vrrp: ")
    assert "Traceback" not in ended.stderr


def test_validate_warns_of_former_forms_and_render_reads_them(tmp_path: Path) -> None:
    manifests = tmp_path / "all.yaml"
    forms: dict[str, Any] = {
        "authentication": {"type": "HMAC", "keyRef": "own"},
        "conflictDetection": False,
        "healthChecks": [{"name": "web", "weight": 0}],
    }
    web = check("web", tcp={"address": "127.0.0.1:80"}, weight=-50)
    manifests.write_text("---\n".join([vip("a", "192.0.2.50", **forms), web]))
    ended = run("validate", manifests)
    assert (ended.returncode, ended.stdout) == (0, "")
    until = "; refused from version 0.3.0 on, not before 2027-07-01"
    assert ended.stderr.splitlines() == [
        f"warning: VirtualIP a: spec.authentication.keyRef: write keyName{until}",
        f"warning: VirtualIP a: spec.conflictDetection: write conflictPolicy: Ignore{until}",
        f"warning: VirtualIP a: spec.healthChecks[0].weight: write onFailure: Fault for 0{until}",
    ]
    (tmp_path / "nodes.yaml").write_text(NODES)
    ended = run("render", "--nodes", tmp_path / "nodes.yaml", "--output", tmp_path, manifests)
    assert ended.returncode == 0, ended.stderr
    (router,) = parse_node_config(yaml.safe_load((tmp_path / "a.yaml").read_text())).virtual_routers
    assert router.election.authentication == Authentication("HMAC", "own")
    assert (router.detect_conflicts, router.health_checks[0].weight) == (False, 0)
