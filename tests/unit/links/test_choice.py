"""Which interface a Virtual Router belongs on; never a guess."""

from __future__ import annotations

import pytest

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.links.choice import address_link, group_source, node_address, router_link
from vrrp_speaker.links.table import (
    ADDRESS_PROTOCOL,
    Link,
    LinkAddress,
    LinkTable,
    PlacementError,
)

MAC = bytes.fromhex("02005e005311")
ETH0 = Link(2, "eth0", MAC, (LinkAddress("192.0.2.11", 24, 0),))
ETH1 = Link(3, "eth1", MAC, (LinkAddress("198.51.100.11", 24, 0), LinkAddress("10.0.0.1", 8, 0)))


def table(*links: Link) -> LinkTable:
    return LinkTable(links or (ETH0, ETH1))


def router(address: str, interface: str | None = None) -> VirtualRouterConfig:
    host, _, prefix = address.partition("/")
    addresses = (VipAddress(host, int(prefix or 32)),)
    return VirtualRouterConfig("a", 1, 51, interface, addresses, 200, ElectionSpec(), (), ())


@pytest.mark.parametrize(
    ("address", "interface", "expected"),
    [
        ("192.0.2.50", None, "eth0"),
        ("198.51.100.50", None, "eth1"),
        ("10.9.9.9", None, "eth1"),
        ("203.0.113.5", None, "eth0"),  # in no subnet: where the node's own address is
        ("192.0.2.50", "eth1", "eth1"),
    ],
)
def test_interface_is_named_or_of_the_subnet_or_of_the_node_address(
    address: str, interface: str | None, expected: str
) -> None:
    assert router_link(router(address, interface), "192.0.2.11", table()).name == expected


def test_unknown_interface_is_named() -> None:
    with pytest.raises(PlacementError) as raised:
        router_link(router("192.0.2.50", "eth9"), "192.0.2.11", table())
    assert str(raised.value) == (
        "InterfaceNotFound: eth9: the node has no such interface (interface; accepted: eth0, eth1)"
    )


def test_unknown_interface_of_one_address_is_named_with_the_address() -> None:
    with pytest.raises(PlacementError, match=r"eth9: .*\(interface of 192\.0\.2\.51; accepted: "):
        address_link(VipAddress("192.0.2.51", 24, "eth9"), ETH0, table())


def test_of_hundreds_of_interfaces_those_with_an_address_are_proposed() -> None:
    pods = [Link(index, f"veth{index}", MAC, ()) for index in range(10, 260)]
    with pytest.raises(PlacementError, match=r"eth0, veth10, .*veth16 and 243 more\)$"):
        router_link(router("192.0.2.50", "eth9"), "192.0.2.11", table(*pods, ETH0))


def test_two_interfaces_in_one_subnet_are_ambiguous() -> None:
    twin = Link(4, "eth2", MAC, (LinkAddress("192.0.2.12", 24, 0),))
    with pytest.raises(PlacementError, match=r"^InterfaceAmbiguous: eth0, eth2$"):
        router_link(router("192.0.2.50"), "192.0.2.11", table(ETH0, twin))


def test_our_own_address_is_no_reason_for_an_interface() -> None:
    carrying = Link(4, "eth2", MAC, (LinkAddress("192.0.2.50", 24, ADDRESS_PROTOCOL),))
    assert router_link(router("192.0.2.50"), "192.0.2.11", table(ETH0, carrying)).name == "eth0"


def test_node_address_that_is_nowhere_is_a_fault() -> None:
    with pytest.raises(PlacementError, match=r"^SourceAddressMissing: 192\.0\.2\.99$"):
        router_link(router("203.0.113.5"), "192.0.2.99", table())


def test_address_that_the_host_has_itself_is_refused() -> None:
    with pytest.raises(PlacementError, match=r"^AddressInUse: 192\.0\.2\.11 on eth0$"):
        address_link(VipAddress("192.0.2.11", 24), ETH0, table())


def test_address_that_we_put_there_is_ours_to_use() -> None:
    carrying = Link(2, "eth0", MAC, (LinkAddress("192.0.2.50", 24, ADDRESS_PROTOCOL),))
    assert address_link(VipAddress("192.0.2.50", 24), ETH0, table(carrying)) == ETH0


def test_source_is_the_first_node_address_of_the_family() -> None:
    node = NodeConfig("n", 1, ("2001:db8::1", "192.0.2.11", "10.0.0.1"), (), ())
    assert node_address(node, 4) == "192.0.2.11"
    assert node_address(node, 6) == "2001:db8::1"
    with pytest.raises(PlacementError, match=r"^SourceAddressMissing: no IPv4 address"):
        node_address(NodeConfig("n", 1, ("2001:db8::1",), (), ()), 4)


GROUP = Link(
    2,
    "eth0",
    MAC,
    (
        LinkAddress("192.0.2.50", 24, ADDRESS_PROTOCOL),
        LinkAddress("192.0.2.7", 24, 0),
        LinkAddress("192.0.2.11", 24, 0),
        LinkAddress("2001:db8::11", 64, 0),
        LinkAddress("fe80::11", 64, 0),
    ),
)


@pytest.mark.parametrize(
    ("nodes", "family", "source"),
    [
        (("192.0.2.11",), 4, "192.0.2.11"),
        (("198.51.100.1",), 4, "192.0.2.7"),  # the node's address is elsewhere: the primary one
        (("2001:db8::11",), 6, "fe80::11"),
    ],
)
def test_multicast_comes_from_an_own_address_of_the_link(
    nodes: tuple[str, ...], family: int, source: str
) -> None:
    assert group_source(GROUP, NodeConfig("n", 1, nodes, (), ()), family) == source


@pytest.mark.parametrize(("family", "kind"), [(4, "IPv4"), (6, "link-local IPv6")])
def test_multicast_without_an_own_address_is_a_fault(family: int, kind: str) -> None:
    bare = Link(2, "eth0", MAC, (LinkAddress("192.0.2.50", 24, ADDRESS_PROTOCOL),))
    with pytest.raises(PlacementError, match=rf"^SourceAddressMissing: eth0 has no {kind} address"):
        group_source(bare, NodeConfig("n", 1, (), (), ()), family)
