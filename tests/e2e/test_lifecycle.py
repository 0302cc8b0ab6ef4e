"""An installation's life with ten VirtualIPs: upgraded, rolled back, removed, found again."""

from __future__ import annotations

import time
from importlib import metadata

import pytest
from tests import previous
from tests.e2e.moves import Moves
from tests.e2e.site import Site, clock, lost, reports, summary
from tests.e2e.workloads import many_virtual_ips
from tests.eventually import eventually

from vrrp_lab.kubelets.node import KubeletNode

pytestmark = pytest.mark.kubelets
VERSION = metadata.version("kube-vrrp")
PREVIOUS = "0.0.9"
REVISIONS = {PREVIOUS: previous.COMMIT}
MANY, ADDRESSES = many_virtual_ips(10, first=150)
PREVIOUS_VALUES = {"operator.image.tag": PREVIOUS, "speaker.image.tag": PREVIOUS}


@pytest.fixture(scope="module")
def busy(site: Site) -> Site:
    """The version before this one, with ten VirtualIPs."""
    site.helm.install(PREVIOUS_VALUES)
    site.cluster.kubectl("apply", "-f", "-", stdin=MANY)
    site.wait_all_ready()
    site.steady(ADDRESSES)
    return site


def test_rolling_upgrade_and_roll_back_lose_no_probe(busy: Site) -> None:
    for what, values in (
        ("upgraded", {}),
        ("rolled back", PREVIOUS_VALUES),
        ("upgraded again", {}),
    ):
        since = clock()
        with Moves(busy.cluster) as moves, busy.probed(*ADDRESSES.values()) as probes:
            since_ns = time.monotonic_ns()
            busy.helm.upgrade(values)
            busy.wait_all_ready()
            busy.steady(ADDRESSES)
            seen = reports(probes, since_ns)
        assert versions(busy) == ({PREVIOUS} if values else {VERSION})
        moved = busy.moved(ADDRESSES, since)
        busy.say(f"{what}: {summary(seen)}, takeovers {sum(moved.values())}: {moved}")
        # Each node restarts once: what it holds moves away and back.
        for line in moves.of([name for name, count in moved.items() if count > 2], since):
            busy.say(f"{what}: {line}")
        assert lost(seen) == {}


def versions(site: Site) -> set[str]:
    """Return the tags of the images that run."""
    pods = (*site.pods("speaker"), *site.pods("operator"))
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}


def test_drain_of_each_node_loses_no_probe(busy: Site) -> None:
    takeovers = 0
    for node in busy.cluster.nodes:
        held = {name for name, address in ADDRESSES.items() if node.holds(address)}
        with busy.probed(*ADDRESSES.values()) as probes:
            since, since_ns = clock(), time.monotonic_ns()
            busy.drain(node)
            assert not any(node.holds(address) for address in ADDRESSES.values())
            busy.steady(ADDRESSES, standbys=len(busy.cluster.nodes) - 2)
            away, moved = reports(probes, since_ns), busy.moved(ADDRESSES, since)
            back = clock()
            busy.back_to_work(node)
            busy.wait_all_ready()
            busy.steady(ADDRESSES)
            seen, returned = reports(probes, since_ns), busy.moved(ADDRESSES, back)
        busy.say(
            f"{node.name} drained, held {len(held)}: {summary(away)}, takeovers {moved}; "
            f"and back: {summary(seen)}, takeovers {returned}"
        )
        assert lost(seen) == {}
        assert held <= moved.keys()
        takeovers += sum(moved.values()) + sum(returned.values())
    at_most = len(busy.cluster.nodes) * len(ADDRESSES)
    busy.say(f"{takeovers} takeovers of {len(ADDRESSES)} VirtualIPs in all drains and returns")
    assert takeovers <= at_most


# Its end ------------------------------------------------------------------------------


def test_uninstall_with_virtual_ips_leaves_nothing_that_runs(busy: Site) -> None:
    before = {node.name: traces(node) for node in busy.cluster.nodes}
    assert any(before.values())
    busy.helm.run("uninstall", "kube-vrrp", "--wait", "--timeout=400s")
    eventually(lambda: not busy.pods("speaker") and not busy.pods("operator"), within_s=60)
    eventually(lambda: not any(map(traces, busy.cluster.nodes)), within_s=30)
    for node in busy.cluster.nodes:
        assert files(node) == DOCUMENTED
    assert len(busy.cluster.kubectl_json("get", "vip")["items"]) == len(ADDRESSES)


DOCUMENTED = {"/var/lib/kube-vrrp", "/run/kube-vrrp"}
"""Folders that docs/install.md says are left; a new installation goes on from them."""


def traces(node: KubeletNode) -> list[str]:
    """Return what a node has of us: addresses, rules, processes."""
    found = [address for address in ADDRESSES.values() if node.holds(address)]
    rules = node.host.exec("nft", "list", "tables").stdout.splitlines()
    found += [line for line in rules if "vrrp" in line]
    processes = node.host.exec("ps", "-eo", "args").stdout.splitlines()
    return found + [line for line in processes if "vrrp-" in line or "vrrp_" in line]


def files(node: KubeletNode) -> set[str]:
    """Return the topmost files and folders on a node that have our name."""
    where = ("/etc", "/var", "/run", "/usr/local", "/opt")
    command = ("find", *where, "-xdev", "-name", "*kube-vrrp*", "-prune", "-print")
    listed = node.host.exec(*command).stdout.splitlines()
    return {path for path in listed if not path.startswith(("/var/lib/kubelet", "/var/log"))}


def test_new_installation_finds_the_virtual_ips_again(busy: Site) -> None:
    refused = busy.helm.install(release="other-kube-vrrp", check=False)
    assert refused.returncode
    assert "take-ownership" in refused.stderr
    with busy.probed_later(*ADDRESSES.values()) as probes:
        since_ns = time.monotonic_ns()
        values = {"crds.takeOwnership": True}
        busy.helm.install(values, "--take-ownership", release="other-kube-vrrp")
        for probe in probes.values():
            probe.wait_answered(120)
        answered_s = (time.monotonic_ns() - since_ns) / 1e9
    busy.wait_all_ready()
    busy.steady(ADDRESSES)
    busy.say(f"installed anew with ten VirtualIPs there: all answered after {answered_s:.1f} s")
