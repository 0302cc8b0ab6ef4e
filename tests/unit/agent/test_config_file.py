"""Reading a standalone NodeConfig: what is wrong is named with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.agent.config_files import GOOD, changed

from vrrp_speaker.agent.config.config_file import ConfigFileError, Finding, read_config_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def findings(path: Path, text: str) -> list[str]:
    """Return what is wrong with a text, each as ``line:column: text``."""
    path.write_text(text)
    with pytest.raises(ConfigFileError) as wrong:
        read_config_file(path, "node-1", 1)
    return [finding.at(path).removeprefix(f"{path}:").strip() for finding in wrong.value.findings]


def test_good_file(path: Path) -> None:
    path.write_text(GOOD)
    found = read_config_file(path, "node-1", 7)
    assert found.warnings == ()
    assert found.config.generation == 7
    assert [router.name for router in found.config.virtual_routers] == ["api", "web"]
    assert read_config_file(path, None, 7) == found


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("basePriority: 200", "basePriority: 255"),
         "12:5: NodeConfig node-1: spec.virtualRouters[0].basePriority: 255 must be an integer"
         " from 1 to 254"),
        (("basePriority: 180", "basePriority: 0"),
         "22:5: NodeConfig node-1: spec.virtualRouters[1].basePriority: 0 must be an integer"
         " from 1 to 254"),
        # Inside a list inside a list, in flow style.
        (("192.0.2.51/24", "192.0.2.999"),
         '21:18: NodeConfig node-1: spec.virtualRouters[1].addresses[0].address: "192.0.2.999"'
         " is not an IP address (accepted: 192.0.2.10, 192.0.2.10/24, 2001:db8::10/64)"),
        # A field that is missing: where it should be.
        (("    basePriority: 180\n", ""),
         "18:5: NodeConfig node-1: spec.virtualRouters[1].basePriority: null must be an integer"
         " from 1 to 254"),
        # A field that is not known.
        (("    basePriority: 180\n", "    basePriority: 180\n    prio: 3\n"),
         "23:5: NodeConfig node-1: spec.virtualRouters[1].prio: 3 is not a field here"),
        (("  node: node-1", "  node: node-2"),
         "5:3: spec.node: 'node-2' (this node is 'node-1')"),
        (("addresses: [192.0.2.11]", "addresses: none"),
         '6:3: NodeConfig node-1: spec.addresses: "none" must be a list'),
        (("kind: NodeConfig", "kind: Node"),
         '2:1: NodeConfig: kind: "Node" must be one of NodeConfig'),
        (("metadata: {name: node-1}", "metadata: []"), "3:1: metadata: not an object"),
        (("metadata: {name: node-1}", "metadata: {}"),
         "3:1: NodeConfig: metadata.name: null must be a non-empty string"),
        (("virtualRouterID: 52", "virtualRouterID: 51"),
         "20:5: spec.virtualRouters[1].virtualRouterID: 51 is that of api, too"
         " (accepted: one of its own)"),
        (("- {name: readyz, weight: -100}", "- {name: other, weight: -100}"),
         "26:3: NodeConfig node-1: spec.healthChecks: "),
        # YAML itself.
        (("  addresses: [192.0.2.11]", "  addresses: [192.0.2.11"),
         "7:17: not YAML: expected ',' or ']', but got ':'"),
        (("  node: node-1", "\tnode: node-1"), "5:1: not YAML: found character '\\t' that cannot"),
        (("    basePriority: 200\n", "    basePriority: 200\n    basePriority: 100\n"),
         "13:5: basePriority: stands here twice"),
        (("metadata: {name: node-1}", "metadata: {name: node-1}\nspec: {}"),
         "5:1: spec: stands here twice"),
        (("  node: node-1", "  node: !!python/name:os.system x"), "5:9: not YAML: could not"),
        (("spec:", "--- \nspec:"), "4:1: not YAML: but found another document"),
    ],
)  # fmt: skip
def test_wrong_field_has_its_place(path: Path, change: tuple[str, str], finding: str) -> None:
    (found,) = findings(path, changed(change))
    assert found.startswith(finding)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "1:1: not a NodeConfig object"),
        ("# nothing\n", "1:1: not a NodeConfig object"),
        ("7", "1:1: not a NodeConfig object"),
        ("[]", "1:1: not a NodeConfig object"),
        ("&a [*a]", "1:1: not a NodeConfig object"),
        ("&a {spec: *a, metadata: *a}", "1:1: NodeConfig: apiVersion: null must be"),
        ("\0", "not YAML: unacceptable character"),
        ("[" * 100_000, "not YAML: maximum recursion depth"),
        ("a: " * 3, "1:5: not YAML: mapping values are not allowed here"),
        ("? [a]\n: b", "1:3: not YAML: found unhashable key"),
        ("x: 2026-99-99", "not YAML: month must be in 1..12"),
    ],
)
def test_what_is_no_configuration_at_all(path: Path, text: str, finding: str) -> None:
    (found,) = findings(path, text)
    assert found.startswith(finding)


def test_every_wrong_router_and_check_is_named(path: Path) -> None:
    text = changed(
        ("basePriority: 200", "basePriority: 300"),
        ("virtualRouterID: 52", "virtualRouterID: 0"),
        ("https://127.0.0.1", "gopher://127.0.0.1"),
        ("addresses: [192.0.2.11]", "addresses: none"),
    )
    found = findings(path, text)
    assert [line.split()[3] for line in found] == [
        "spec.healthChecks[0].http.url:",
        "spec.virtualRouters[0].basePriority:",
        "spec.virtualRouters[1].virtualRouterID:",
        "spec.addresses:",
    ]
    assert [line.partition(":")[0] for line in found] == ["28", "12", "20", "6"]
    with pytest.raises(ConfigFileError, match=r"and 3 more"):
        read_config_file(path, "node-1", 1)


def test_bytes_that_are_no_text_have_a_place(path: Path) -> None:
    path.write_bytes(b"kind: NodeConfig\nname: \xff\n")
    with pytest.raises(ConfigFileError) as wrong:
        read_config_file(path, "node-1", 1)
    assert wrong.value.findings == (Finding("not UTF-8", 2, 7),)


def test_what_is_no_file_is_said_at_once(path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"config\.yaml: No such file"):
        read_config_file(path, "node-1", 1)
    with pytest.raises(ConfigFileError, match="not a regular file"):
        read_config_file(path.parent, "node-1", 1)
    os.mkfifo(path)
    with pytest.raises(ConfigFileError, match="not a regular file"):
        read_config_file(path, "node-1", 1)


def test_file_without_an_end_is_not_read_to_it(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigFileError, match="larger than 4194304 bytes"):
        read_config_file(path, "node-1", 1)


def test_json_has_places_too(path: Path) -> None:
    (found,) = findings(path, '{"apiVersion": "kube-vrrp.io/v1alpha1",\n "kind": "Node"}')
    assert found.startswith("2:2: NodeConfig: kind:")


# Warnings -----------------------------------------------------------------------------


def warnings(path: Path, *changes: tuple[str, str]) -> list[str]:
    path.write_text(changed(*changes))
    found = read_config_file(path, "node-1", 1).warnings
    return [finding.at(path).removeprefix(f"{path}:") for finding in found]


CHECK = "    - {name: readyz, weight: -100}"


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (("    peers:\n    - {node: node-2, address: 192.0.2.12, priority: 180}", "    peers: []"),
         "14:5: spec.virtualRouters[0].peers: empty: no other node"),
        (("addresses: [192.0.2.11]", 'addresses: ["2001:db8::11"]'),
         "11:5: spec.virtualRouters[0].addresses: spec.addresses has no IPv4 address"),
        (("192.0.2.12, priority: 180", "192.0.2.11, priority: 180"),
         "15:22: spec.virtualRouters[0].peers[0].address: 192.0.2.11 is this node's own"),
        (("priority: 180", "priority: 200"),
         "15:43: spec.virtualRouters[0].peers[0].priority: 200 is this node's, too"),
        (("    basePriority: 180\n", "    basePriority: 180\n    advertisementInterval: 40ms\n"),
         "23:5: spec.virtualRouters[1].advertisementInterval: below 50ms"),
        (("    authentication: {type: HMAC, keyRef: cluster}\n    peers:\n    - {node: node-2,"
          " address: 192.0.2.12, priority: 180}", "    peers:\n    - {node: node-2,"
          " address: 192.0.2.12, priority: 180}"),
         "8:5: spec.virtualRouters[0].authentication: absent: not signed"),
        (("weight: -100", "weight: -19"),
         "17:22: spec.virtualRouters[0].healthChecks[0].weight: -19 never changes"),
        (('http: {url: "https://127.0.0.1:6443/readyz", tls: {insecureSkipVerify: true}}',
          "nodeCondition: {type: Ready, status: 'True'}"),
         "28:5: spec.healthChecks[0].nodeCondition: only an operator knows"),
        (('http: {url: "https://127.0.0.1:6443/readyz", tls: {insecureSkipVerify: true}}',
          "service: {namespace: default, name: web}"),
         "28:5: spec.healthChecks[0].service: only an operator knows"),
        (("    healthChecks:\n    - {name: readyz, weight: -100}\n", ""),
         "25:5: spec.healthChecks[0].name: readyz: no virtual router uses it"),
    ],
)  # fmt: skip
def test_doubtful_field_has_its_place(path: Path, change: tuple[str, str], warning: str) -> None:
    found = warnings(path, change)
    assert any(line.startswith(warning) for line in found), found


@pytest.mark.parametrize(
    ("check", "doubtful"),
    [
        ("weight: -19", 1),
        ("weight: -20", 0),  # 180 against 180: the addresses decide
        ("weight: 19", 1),
        ("weight: 20", 0),  # failing here and passing there
        ("weight: 19, reverse: true", 1),
        ("weight: -20, reverse: true", 0),
        ("weight: 0", 0),
        # Together they are enough, whatever each of them is alone.
        ("weight: -10}\n    - {name: second, weight: -10", 0),
        ("weight: -10}\n    - {name: second, weight: -9", 2),
        ("weight: -30}\n    - {name: second, weight: -1", 1),
        ("weight: -20}\n    - {name: second, weight: -1", 0),
    ],
)
def test_weight_that_never_moves_anything(path: Path, check: str, doubtful: int) -> None:
    second = ("  healthChecks:\n  - name: readyz", "  healthChecks:\n  - name: second\n"
              "    tcp: {address: '127.0.0.1:1'}\n  - name: readyz")  # fmt: skip
    changes = [second] if "second" in check else []
    found = warnings(path, *changes, ("weight: -100", check))
    assert sum("never changes" in line for line in found) == doubtful, found


@pytest.mark.parametrize(
    "transport", ["transport: {externalPeers: [192.0.2.99]}", "transport: {mode: Multicast}"]
)
def test_among_routers_of_unknown_priority_any_weight_may_count(path: Path, transport: str) -> None:
    changes = ("weight: -100", "weight: -1"), ("    basePriority: 200", f"    basePriority: 200\n"
               f"    {transport}")  # fmt: skip
    assert warnings(path, *changes) == []


def test_beside_a_number_in_a_file_any_weight_may_count(path: Path) -> None:
    changes = (
        ("    http: {url: \"https://127.0.0.1:6443/readyz\", tls: {insecureSkipVerify: true}}",
         "    file: {path: /var/run/load}"),
        ("weight: -100", "weight: -1"),
    )  # fmt: skip
    assert warnings(path, *changes) == []
