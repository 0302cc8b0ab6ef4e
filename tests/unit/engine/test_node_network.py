"""What netlink news amounts to: which matter to programs, elections and announcements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vrrp_speaker.engine.network.netlink import AddressNews, LinkNews, News
from vrrp_speaker.engine.network.node_network import Digest, NodeNetwork

MAC, OTHER_MAC = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
UP, DOWN = LinkNews(2, "eth0", True, True, MAC), LinkNews(2, "eth0", False, True, MAC)
OWN = AddressNews(2, b"\xc0\0\2\x0b", 24, 0, present=True)
FOREIGN = AddressNews(2, b"\xc0\0\2\x63", 24, 0, present=True)
OURS = AddressNews(2, b"\xc0\0\2\x32", 24, 112, present=True)


def gone(news: AddressNews) -> AddressNews:
    return AddressNews(news.ifindex, news.address, news.prefix_length, news.protocol, False)


def digest(before: list[News], *news: News) -> tuple[NodeNetwork, Digest]:
    network, found = NodeNetwork(), Digest()
    network.reset(before)
    network.learn(news, found)
    return network, found


@pytest.mark.parametrize(
    ("before", "news", "concerned"),
    [
        ([], UP, True),
        ([UP], UP, False),
        ([UP], DOWN, False),
        ([UP], LinkNews(2, "eth9", True, True, MAC), True),
        ([UP], LinkNews(2, "eth0", True, True, OTHER_MAC), True),
        ([UP], LinkNews(2, "eth0", False, False), True),
        ([], LinkNews(2, "eth0", False, False), False),
        ([UP], OWN, True),
        ([UP, OWN], OWN, False),
        ([UP, OWN], gone(OWN), True),
        ([UP], OURS, False),
        ([UP, OURS], gone(OURS), False),
    ],
)
def test_programs_depend_on_links_and_foreign_addresses(
    before: list[News], news: News, concerned: bool
) -> None:
    _, found = digest(before, news)
    assert found.concerns_programs is concerned


@pytest.mark.parametrize(
    ("before", "news", "changed"),
    [
        ([], UP, True),
        ([UP], UP, False),
        ([UP], DOWN, True),
        ([UP], LinkNews(2, "eth0", False, False), True),
        ([UP], OURS, False),
        ([UP, OURS], OURS, False),
        ([UP, OURS], gone(OURS), False),
        ([UP], FOREIGN, True),
        ([UP, FOREIGN], FOREIGN, False),
        ([UP, FOREIGN], gone(FOREIGN), True),
        ([UP], gone(OURS), False),
    ],
)
def test_only_what_differs_from_before_is_a_change(
    before: list[News], news: News, changed: bool
) -> None:
    """A lease that is renewed is news too: hundreds a second on a node with many routers.

    No fault depends on an address of ours.
    """
    _, found = digest(before, news)
    assert found.changed is changed


def test_link_that_comes_up_is_told_once() -> None:
    _, found = digest([DOWN], UP, UP)
    assert found.links_up == [2]
    _, found = digest([], UP)
    assert found.links_up == []  # it is new: nobody has forgotten us there


def test_renewed_address_is_no_arrival() -> None:
    _, found = digest([UP], OURS, OURS)
    assert found.arrived == [OURS]
    _, found = digest([UP, OURS], gone(OURS), OURS)
    assert (found.gone, found.arrived) == ([gone(OURS)], [OURS])


def test_address_with_another_netmask_is_there_all_along() -> None:
    wider = replace(OWN, prefix_length=16)
    network, found = digest([UP, OWN], wider, gone(OWN))
    assert network.has_address(OWN.address)
    assert found.concerns_programs  # another subnet may be the address's now
    network.learn([gone(wider)], Digest())
    assert not network.has_address(OWN.address)


def test_interface_runs_and_holds_what_the_news_say() -> None:
    network, _ = digest([UP, OWN], DOWN, OURS)
    assert not network.running(2)
    assert network.has_address(OWN.address)
    assert network.on_interface(2, OURS.address)
    assert not network.on_interface(3, OURS.address)
