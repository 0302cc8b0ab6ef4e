"""A member of the election that answers for an address is no stranger, whatever it answers for."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from tests.eventually import eventually
from tests.netns.inside import kept_at, manifest, program, routers

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node
from vrrp_speaker.shared_state.layout import bytes_hash

pytestmark = pytest.mark.netns
HELD = {"four": "192.0.2.50", "six": "2001:db8:0:1::50"}
ADDED = {"four": "192.0.2.51", "six": "2001:db8:0:1::51"}
LENGTH = {"four": 24, "six": 64}
FAMILIES = pytest.mark.parametrize("name", ["four", "six"])
MANIFEST = "".join(
    manifest(name, vrid, f"{HELD[name]}/{LENGTH[name]}", ranks=(1, 2, 3))
    for vrid, name in enumerate(HELD, 51)
)


@pytest.fixture
def home(standalone: Lab) -> Iterator[Node]:
    """The best node, Active for both before and after."""
    yield from kept_at(standalone, standalone.node("node-1"))


@pytest.fixture
def own_config(standalone: Lab, home: Node) -> Iterator[Path]:
    """The best node's configuration alone; it is as it was afterwards."""
    path = standalone.config_file(home.name)
    before = path.read_text()
    yield path
    path.write_text(before)


def conflicts(lab: Lab, name: str) -> int:
    return sum(routers(node)[name].conflicts for node in lab.nodes if node.running)


@FAMILIES
def test_address_that_a_member_has_yet_is_added_once_it_let_go(
    standalone: Lab, home: Node, own_config: Path, name: str
) -> None:
    """It has it of another VirtualIP, and is told later than we are, or by hand and for long."""
    member, address = standalone.node("node-2").host, ADDED[name]
    flags = ["nodad"] if ":" in address else []
    before = conflicts(standalone, name)
    place = f"{address}/{LENGTH[name]}", "dev", "eth0"
    assert member.exec("ip", "addr", "add", *place, *flags).returncode == 0
    try:
        changed = yaml.safe_load(own_config.read_text())
        for router in changed["spec"]["virtualRouters"]:
            if router["name"] == name:
                router["addresses"].append({"address": f"{address}/{LENGTH[name]}"})
        own_config.write_text(yaml.safe_dump(changed))
        told = ("AddressHeldByMember",)
        eventually(lambda: routers(home)[name].faults == told, within_s=30)
        held = routers(home)[name].held
        assert held is not None
        assert ip_address(held.address) == ip_address(address)
        (peer,) = [p for p in program(home)[name]["peers"] if p["node"] == "node-2"]
        assert held.member == bytes_hash(ip_address(peer["address"]).packed)
        assert routers(home)[name].state == "Active"
        assert not home.host.holds(address)
        assert conflicts(standalone, name) == before
    finally:
        member.exec("ip", "addr", "del", *place)
    eventually(lambda: home.host.holds(address), within_s=15)
    eventually(lambda: routers(home)[name].faults == (), within_s=5)
    assert conflicts(standalone, name) == before
    assert routers(home)[name].state == "Active"


@FAMILIES
def test_who_begins_as_another_one_dies_waits_for_its_lease_and_says_nothing(
    standalone: Lab, home: Node, name: str
) -> None:
    second, address = standalone.node("node-2"), HELD[name]
    for node in standalone.nodes[1:]:
        node.stop_speaker()
        for path in node.run_dir.iterdir():
            path.unlink()  # as after a boot: it knows of nobody
    home.kill_speaker()
    # However long the other speaker takes to begin on this machine, the lease lasts.
    kept = f"{address}/{32 if name == 'four' else 128}"
    lease = ("valid_lft", "8", "preferred_lft", "0")
    renewed = home.host.exec("ip", "addr", "change", kept, "dev", "eth0", *lease)
    assert renewed.returncode == 0, renewed.stderr
    second.start_speaker()
    eventually(lambda: program(second) and routers(second)[name].state == "Backup", within_s=15)
    eventually(lambda: second.host.holds(address), within_s=40)
    assert not home.host.holds(address)
    assert [(past.after, past.reason) for past in routers(second)[name].history] == [
        ("Backup", "Startup"),
        ("Active", "ActiveDownTimerExpired"),
    ]
    assert conflicts(standalone, name) == 0
