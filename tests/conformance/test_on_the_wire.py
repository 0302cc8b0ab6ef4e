"""RFC 9568 §6.4 and §8 on real interfaces: who answers for the address, and with which MAC."""

from __future__ import annotations

from functools import partial

import pytest
from tests.conformance.lan import (
    ADDRESS,
    ADDRESS6,
    PAIR,
    SOLICITED_NODE,
    answers,
    connect,
    echo,
    inject,
    is_member,
    mac,
    own,
    unsolicited_na,
    who_has,
)
from tests.eventually import eventually
from tests.netns.observe import Frame

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
MANIFEST = PAIR
EACH_FAMILY = pytest.mark.parametrize("address", [ADDRESS, ADDRESS6])
ROUTER, SOLICITED, OVERRIDE = 0x80, 0x40, 0x20
NEIGHBOUR = "2001:db8:0:1::e0"


def asked(lab: Lab, node: Node, address: str) -> list[Frame]:
    """Ask a node who has the address."""
    question = who_has(lab.client, node.host, address)
    last = who_has(lab.client, node.host, own(node.host, address))
    return answers(lab, node, address, question, last=last)


def knocked(lab: Lab, node: Node, address: str) -> list[Frame]:
    """Send a node packets to the address: an echo request and a TCP SYN."""
    make = (echo, connect)
    questions = [each(lab.client, node.host, address) for each in make]
    last = echo(lab.client, node.host, own(node.host, address))
    return answers(lab, node, address, *questions, last=last)


@EACH_FAMILY
def test_active_answers_who_asks_for_the_address_with_the_nodes_own_mac(
    standalone: Lab, active: Node, address: str
) -> None:
    (answer,) = asked(standalone, active, address)
    if answer.is_arp:
        assert answer.data[20:22] == b"\0\2"
        assert answer.data[22:28] == mac(active.host)
    else:
        assert answer.is_neighbor_advertisement
        assert answer.data[58] & (SOLICITED | OVERRIDE) == SOLICITED | OVERRIDE
        assert answer.data[78:86] == b"\2\1" + mac(active.host)


@EACH_FAMILY
@pytest.mark.parametrize("name", ["node-2", "node-3"])
def test_backup_does_not_answer_who_asks_for_the_address(
    standalone: Lab, active: Node, address: str, name: str
) -> None:
    assert asked(standalone, standalone.node(name), address) == []


@pytest.mark.parametrize("forwarding", ["0", "1"])
def test_solicited_answer_has_the_router_flag_if_the_node_forwards(
    standalone: Lab, active: Node, forwarding: str
) -> None:
    setting = "net.ipv6.conf.eth0.forwarding"
    run = active.host.exec
    run("sysctl", "-qw", f"{setting}={forwarding}")
    try:
        (answer,) = asked(standalone, active, ADDRESS6)
        flag = ROUTER if run("sysctl", "-n", setting).stdout.strip() == "1" else 0
        assert answer.data[58] == flag | SOLICITED | OVERRIDE
    finally:
        run("sysctl", "-qw", f"{setting}=0")


@EACH_FAMILY
def test_active_accepts_packets_to_the_address(standalone: Lab, active: Node, address: str) -> None:
    assert len(knocked(standalone, active, address)) == 2


@EACH_FAMILY
@pytest.mark.parametrize("name", ["node-2", "node-3"])
def test_backup_does_not_accept_packets_to_the_address(
    standalone: Lab, active: Node, address: str, name: str
) -> None:
    assert knocked(standalone, standalone.node(name), address) == []


def test_active_alone_is_in_the_solicited_node_group(standalone: Lab, active: Node) -> None:
    members = [node.name for node in standalone.nodes if is_member(node.host, SOLICITED_NODE)]
    assert members == [active.name]


@pytest.mark.parametrize("name", ["node-1", "node-2"])
def test_node_in_either_state_accepts_an_unsolicited_neighbor_advertisement(
    standalone: Lab, active: Node, name: str
) -> None:
    run = standalone.node(name).host.exec
    entry = (NEIGHBOUR, "dev", "eth0")
    old, new = "02:00:5e:00:53:e0", "02:00:5e:00:53:e1"
    assert run("ip", "neigh", "replace", *entry, "lladdr", old, "nud", "stale").returncode == 0
    inject(standalone.client, unsolicited_na(standalone.client, NEIGHBOUR, new))
    show = partial(run, "ip", "neigh", "show", *entry)
    eventually(lambda: f"lladdr {new}" in show().stdout, within_s=5)
    run("ip", "neigh", "del", *entry)
