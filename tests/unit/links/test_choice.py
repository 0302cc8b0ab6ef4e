"""Which interface a Virtual Router belongs on; never a guess."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.links.choice import address_link, group_source, node_address, router_link
from vrrp_speaker.links.nature import Nature
from vrrp_speaker.links.table import (
    ADDRESS_PROTOCOL,
    Link,
    LinkAddress,
    LinkTable,
    PlacementError,
)

MAC = bytes.fromhex("02005e005311")
ETH0 = Link(2, "eth0", MAC, (LinkAddress("192.0.2.11", 24, 0),))
ETH1 = Link(
    3,
    "eth1",
    MAC,
    (
        LinkAddress("198.51.100.11", 24, 0),
        LinkAddress("10.0.0.1", 8, 0),
        LinkAddress("198.18.0.11", 32, 0),
    ),
    nature=Nature(other_names=("uplink",)),
)


def table(*links: Link) -> LinkTable:
    return LinkTable(links or (ETH0, ETH1))


def router(address: str, interface: str | None = None) -> VirtualRouterConfig:
    host, _, prefix = address.partition("/")
    addresses = (VipAddress(host, int(prefix or 32)),)
    return VirtualRouterConfig("a", 1, 51, interface, addresses, 200, ElectionSpec(), (), ())


def chosen(
    wanted: VirtualRouterConfig, node: str | None, links: LinkTable, running: int = 0
) -> Link | str:
    """Return the link that is chosen, or why there is none."""
    try:
        return router_link(wanted, node, links, running)
    except PlacementError as error:
        return str(error)


@pytest.mark.parametrize(
    ("address", "interface", "expected"),
    [
        ("192.0.2.50", None, "eth0"),
        ("198.51.100.50", None, "eth1"),
        ("10.9.9.9", None, "eth1"),
        ("192.0.2.50", "eth1", "eth1"),
        ("192.0.2.50", "uplink", "eth1"),
        ("198.18.0.50/15", None, "eth1"),  # whose prefix holds the node's, a host's in a fabric
    ],
)
def test_interface_is_named_or_of_the_subnet(
    address: str, interface: str | None, expected: str
) -> None:
    assert router_link(router(address, interface), "192.0.2.11", table()).name == expected


# What nobody means who names no interface -----------------------------------------------

CARD = Link(20, "eth9", MAC, (), nature=Nature(master=9))
VETH = Link(21, "veth21", MAC, (), nature=Nature(kind="veth", master=9))
NETWORK = (LinkAddress("192.0.2.1", 24, 0),)


def bridge(*ports: Link) -> tuple[Link, ...]:
    return Link(9, "br0", MAC, NETWORK, nature=Nature(kind="bridge")), *ports


@pytest.mark.parametrize(
    "links",
    [
        bridge(),
        bridge(VETH),
        (Link(9, "kube-ipvs0", MAC, NETWORK, nature=Nature(kind="dummy")),),
        (Link(9, "odd", MAC, NETWORK, nature=Nature(resolves=False)),),
        (Link(9, "wg0", b"", NETWORK, nature=Nature(kind="wireguard", resolves=False)),),
        (Link(9, "flannel.1", MAC, NETWORK, nature=Nature(kind="vxlan")),),
    ],
)
def test_links_without_a_lan_are_no_choice(links: tuple[Link, ...]) -> None:
    wanted = router("192.0.2.50")
    assert chosen(wanted, "192.0.2.11", table(ETH0, *links)) == ETH0
    with pytest.raises(PlacementError, match="NotInSubnet"):
        router_link(wanted, "198.51.100.11", table(ETH1, *links))
    # But named they are, or where the node's own address is.
    assert chosen(router("192.0.2.50", links[0].name), None, table(*links)) == links[0]
    assert chosen(wanted, "192.0.2.1", table(*links)) == links[0]


def test_bridge_with_a_network_card_is_a_choice() -> None:
    (lan, *ports) = bridge(VETH, CARD)
    assert chosen(router("192.0.2.50"), None, table(lan, *ports)) == lan


@pytest.mark.parametrize("address", ["203.0.113.5", "203.0.113.5/24"])
def test_node_of_another_subnet_is_no_candidate_unless_told(address: str) -> None:
    with pytest.raises(PlacementError) as raised:
        router_link(router(address), "192.0.2.11", table())
    text = address if "/" in address else f"{address}/32"
    assert str(raised.value) == (
        f"NotInSubnet: {text}: the node has no interface in its network"
        " (interface; accepted: eth0, eth1)"
    )
    assert chosen(router(address, "eth0"), "192.0.2.11", table()) == ETH0


# Who runs stays --------------------------------------------------------------------------


def test_router_that_runs_stays_when_another_network_appears() -> None:
    twin = Link(4, "eth2", MAC, (LinkAddress("192.0.2.12", 24, 0),))
    assert chosen(router("192.0.2.50"), None, table(ETH0, twin), ETH0.index) == ETH0
    assert chosen(router("192.0.2.50"), None, table(ETH0, twin), twin.index) == twin
    with pytest.raises(PlacementError, match="InterfaceAmbiguous"):
        router_link(router("192.0.2.50"), None, table(ETH0, ETH1, twin), ETH1.index)


def test_router_that_ran_out_of_its_subnet_stays_where_the_node_is() -> None:
    """As the version before chose; a node that is new is asked to be told."""
    wanted = router("203.0.113.5")
    assert chosen(wanted, "192.0.2.11", table(), ETH0.index) == ETH0
    with pytest.raises(PlacementError, match="NotInSubnet"):
        router_link(wanted, "192.0.2.11", table(), ETH1.index)


def test_holder_stays_while_its_interface_lacks_an_address_of_its_own() -> None:
    held = Link(4, "eth2", MAC, (LinkAddress("203.0.113.5", 32, ADDRESS_PROTOCOL),))
    bare = Link(4, "eth2", MAC, ())
    assert chosen(router("203.0.113.5/24"), "192.0.2.11", table(ETH0, held), 4) == held
    with pytest.raises(PlacementError, match="NotInSubnet"):
        router_link(router("203.0.113.5/24"), "192.0.2.11", table(ETH0, bare), 4)


# What the node has itself ----------------------------------------------------------------

SERVICE = Link(
    8,
    "kube-ipvs0",
    MAC,
    (LinkAddress("192.0.2.50", 32, 0), LinkAddress("2001:db8::50", 128, 0)),
    nature=Nature(kind="dummy", resolves=False),
)


def test_address_of_a_service_on_a_link_without_neighbours_is_bound_where_arp_is_strict() -> None:
    quiet = replace(ETH0, nature=Nature(quiet=True))
    with pytest.raises(
        PlacementError, match=r"^AddressInUse: 192\.0\.2\.50 on kube-ipvs0, and eth0"
    ):
        address_link(VipAddress("192.0.2.50", 24), ETH0, table(ETH0, SERVICE))
    assert address_link(VipAddress("192.0.2.50", 24), quiet, table(quiet, SERVICE)) == quiet
    # Nobody asks for an IPv6 address of another link and has an answer.
    assert address_link(VipAddress("2001:db8::50", 64), ETH0, table(ETH0, SERVICE)) == ETH0
    with pytest.raises(PlacementError, match="AddressInUse"):
        address_link(VipAddress("192.0.2.50", 24, "kube-ipvs0"), ETH0, table(quiet, SERVICE))


def test_interface_that_takes_no_ipv6_addresses_is_a_reason() -> None:
    four = replace(ETH0, nature=Nature(has_ipv6=False))
    assert address_link(VipAddress("192.0.2.50", 24), four, table(four)) == four
    with pytest.raises(PlacementError, match=r"^IPv6Disabled: 2001:db8::50: eth0 takes no IPv6"):
        address_link(VipAddress("2001:db8::50", 64), four, table(four))


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
    node = ("2001:db8::1", "192.0.2.11", "10.0.0.1")
    assert node_address(node, 4) == "192.0.2.11"
    assert node_address(node, 6) == "2001:db8::1"
    with pytest.raises(PlacementError, match=r"^SourceAddressMissing: no IPv4 address"):
        node_address(("2001:db8::1",), 4)


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
    assert group_source(GROUP, nodes, family) == source


@pytest.mark.parametrize(("family", "kind"), [(4, "IPv4"), (6, "link-local IPv6")])
def test_multicast_without_an_own_address_is_a_fault(family: int, kind: str) -> None:
    bare = Link(2, "eth0", MAC, (LinkAddress("192.0.2.50", 24, ADDRESS_PROTOCOL),))
    with pytest.raises(PlacementError, match=rf"^SourceAddressMissing: eth0 has no {kind} address"):
        group_source(bare, (), family)
