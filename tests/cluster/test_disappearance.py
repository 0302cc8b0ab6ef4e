"""Configuration that disappears wholesale does not stop what runs (architecture rule 18)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.conftest import lab_or_skip
from tests.eventually import eventually
from tests.netns.inside import transitions
from tests.netns.observe import settled

from vrrp_lab.lab import CRDS, Lab, LabOptions

pytestmark = pytest.mark.cluster
VIP, ADDRESS = "main", "192.0.2.50"
MANIFEST = {
    "apiVersion": "kube-vrrp.io/v1alpha1",
    "kind": "VirtualIP",
    "metadata": {"name": VIP},
    "spec": {"addresses": [{"address": ADDRESS}]},
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cluster of its own: these tests take its API apart."""
    yield from lab_or_skip(LabOptions())


def all_ready(lab: Lab) -> bool:
    said = [node.get("/readyz") for node in lab.nodes]
    assert all(text == "ok\n" for text in said), said
    return True


def all_say(lab: Lab, reason: str) -> bool:
    return all(reason in node.get("/readyz") for node in lab.nodes)


@pytest.fixture
def holder(lab: Lab) -> str:
    """Who has the address: the best of all nodes, so that nothing has to move any more."""
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(MANIFEST))

    def at_home() -> str:
        assert all_ready(lab)
        configs = lab.kubectl_json("get", "nodeconfigs")["items"]
        priorities = {
            config["metadata"]["name"]: router["basePriority"]
            for config in configs
            for router in config["spec"]["virtualRouters"]
        }
        assert len(priorities) == len(lab.nodes)
        name = settled(lab, VIP, ADDRESS).name
        return name if name == max(priorities, key=priorities.__getitem__) else ""

    return eventually(at_home, within_s=60, every_s=0.2)


def nothing_moved(lab: Lab, holder: str, before: int) -> bool:
    return settled(lab, VIP, ADDRESS).name == holder and transitions(lab.nodes) == before


def test_kind_that_is_deleted(lab: Lab, holder: str) -> None:
    before = transitions(lab.nodes)
    lab.kubectl("delete", "crd", "nodeconfigs.kube-vrrp.io", "--wait=true")
    missing = "the API server has no nodeconfigs of kube-vrrp.io/v1alpha1; install "
    reason = f"{missing}the CRDs; what ran before runs on"
    eventually(lambda: all_say(lab, reason), within_s=30, every_s=0.2)
    assert nothing_moved(lab, holder, before)
    eventually(lambda: all(reason in node.log.read_text() for node in lab.nodes), within_s=5)
    assert lab.operator.stop() == 0, lab.operator.log.read_text()[-6000:]
    said = lab.operator.log.read_text().count(missing)
    lab.operator.start()
    eventually(lambda: missing in lab.operator.get("/readyz"), within_s=30, every_s=0.2)
    lab.kubectl("apply", "-f", str(CRDS))
    eventually(lambda: lab.operator.get("/readyz") == "ok\n", within_s=60, every_s=0.2)
    assert lab.operator.log.read_text().count(missing) == said + 1  # though tried again and again
    eventually(lambda: all_ready(lab), within_s=60, every_s=0.2)


def test_all_objects_deleted_while_nobody_makes_new_ones(lab: Lab, holder: str) -> None:
    before = transitions(lab.nodes)
    lab.operator.stop()
    lab.kubectl("delete", "nodeconfigs", "--all", "--wait=true")
    reason = "all NodeConfigs are gone; what ran before runs on"
    eventually(lambda: all_say(lab, reason), within_s=30, every_s=0.2)
    assert nothing_moved(lab, holder, before)
    lab.operator.start()
    eventually(lambda: all_ready(lab), within_s=60, every_s=0.2)
