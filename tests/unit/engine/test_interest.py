"""Which links and addresses of a node matter to its program, and what the kernel is to tell of."""

from __future__ import annotations

import pytest
from tests.unit.engine.programs import address, packed, router_program

from vrrp_speaker.engine.network.interest import EVERYTHING, Interest, interest_of
from vrrp_speaker.engine.network.netlink import AddressNews, LinkNews, News
from vrrp_speaker.engine.network.news_filter import Attention
from vrrp_speaker.engine.network.node_network import Digest, NodeNetwork
from vrrp_speaker.engine.programs.program import Concerns, EngineProgram

VIRTUAL, NODE = packed("192.0.2.50"), packed("192.0.2.11")
CONCERNS = Concerns(
    frozenset({"lan1"}),
    frozenset({VIRTUAL, NODE, packed("2001:db8::50")}),
    frozenset({(packed("192.0.2.0"), 24)}),
)
INTEREST = Interest(frozenset({2}), CONCERNS.interfaces, CONCERNS.addresses, CONCERNS.networks)
ETH0, ETH1 = LinkNews(2, "eth0", True, True), LinkNews(3, "eth1", True, True)
OWN = AddressNews(2, NODE, 24, 0, present=True)
POD = LinkNews(70, "cali7", True, True)


def at(ifindex: int, text: str, prefix_length: int, *, present: bool = True) -> AddressNews:
    return AddressNews(ifindex, packed(text), prefix_length, 0, present)


def network(*more: News, interest: Interest = INTEREST) -> NodeNetwork:
    made = NodeNetwork()
    made.mind(interest)
    made.reset([ETH0, ETH1, OWN, *more])
    return made


@pytest.mark.parametrize(
    "news",
    [
        POD,
        at(70, "fe80::7", 64),
        at(70, "10.1.2.3", 32),
        at(70, "2001:db8::7", 128),
        at(3, "198.51.100.1", 24),
        at(3, "192.0.3.1", 24),
        LinkNews(3, "eth1", False, True),
        LinkNews(3, "eth1", False, False),
        LinkNews(3, "eth9", True, True),
    ],
)
def test_what_nobody_named_and_nobody_could_choose_concerns_no_program(news: News) -> None:
    made, found = network(), Digest()
    made.learn([news], found)
    assert (found.concerns_programs, found.changed, found.arrived, found.gone) == (
        False, False, [], [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "news"),
    [
        ([], LinkNews(2, "eth9", True, True)),
        ([], LinkNews(2, "eth0", True, True, b"\2\0\0\0\0\1")),
        ([], LinkNews(2, "eth0", False, False)),
        ([], LinkNews(9, "lan1", True, True)),
        ([], LinkNews(3, "eth1", True, True, alternatives=("lan1",))),
        ([LinkNews(9, "lan1", True, True)], LinkNews(9, "lan9", True, True)),
        ([LinkNews(9, "lan1", True, True)], LinkNews(9, "lan1", False, False)),
        ([], at(2, "10.9.9.9", 32)),
        ([], at(70, "192.0.2.50", 32)),
        ([], at(3, "192.0.2.12", 24)),
        ([], at(70, "192.0.2.77", 32)),
        ([], at(3, "192.0.2.129", 23)),
        ([], at(3, "2001:db8::9", 64)),
        ([at(3, "192.0.2.12", 24)], at(3, "192.0.2.12", 24, present=False)),
        ([], AddressNews(2, NODE, 24, 0, present=False)),
    ],
)
def test_programs_depend_on_what_is_used_named_or_could_be_chosen(
    before: list[News], news: News
) -> None:
    made, found = network(*before), Digest()
    made.learn([news], found)
    assert found.concerns_programs
    assert found.changed


def test_carrier_of_a_link_that_is_used_changes_something_and_no_program() -> None:
    made, found = network(), Digest()
    made.learn([LinkNews(2, "eth0", False, True)], found)
    assert (found.changed, found.concerns_programs) == (True, False)


def test_address_that_matters_draws_attention_to_its_link() -> None:
    """Advertisements may come from a link that no address of ours is on."""
    own = AddressNews(3, NODE, 24, 0, present=True)
    made = NodeNetwork()
    made.mind(INTEREST)
    made.reset([ETH0, ETH1, own])
    assert made.attention().links == {2, 3}
    found = Digest()
    made.learn([LinkNews(3, "eth1", False, True)], found)
    assert found.changed
    made.learn([AddressNews(3, NODE, 24, 0, present=False)], Digest())
    assert made.attention().links == {2}
    assert made.holders(NODE) == ()


def test_link_that_is_named_and_absent_may_be_any_one_that_comes() -> None:
    made = network()
    assert made.attention().all_links
    made.learn([LinkNews(9, "enp1s0", True, True, alternatives=("lan1",))], Digest())
    assert not made.attention().all_links


def test_program_of_an_earlier_version_depends_on_everything() -> None:
    assert interest_of(EngineProgram("n", 1, ())) == EVERYTHING
    assert NodeNetwork().attention() == Attention(everything=True)


def test_program_depends_on_its_links_and_on_what_it_speaks_from() -> None:
    router = router_program(ifindex=4, source=packed("fe80::1"), addresses=(address("192.0.2.50"),))
    waiting = router_program(name="b", ifindex=0, source=bytes(4), addresses=())
    found = interest_of(EngineProgram("n", 1, (router, waiting), CONCERNS))
    assert found.links == {2, 4}
    assert found.names == {"lan1"}
    assert found.addresses == {*CONCERNS.addresses, packed("fe80::1")}
    assert found.networks == CONCERNS.networks


@pytest.mark.parametrize(
    ("before", "after", "passed_over"),
    [
        (EVERYTHING, INTEREST, False),
        (INTEREST, INTEREST, False),
        (INTEREST, Interest(), False),
        (INTEREST, EVERYTHING, True),
        (Interest(), Interest(frozenset({2})), True),
        (Interest(), Interest(networks=CONCERNS.networks), True),
        (Interest(), Interest(addresses=frozenset({packed("fe80::1")})), True),
    ],
)
def test_what_did_not_matter_may_have_been_passed_over(
    before: Interest, after: Interest, passed_over: bool
) -> None:
    """A source that the program names may be there already, on a link that news are about."""
    assert network(interest=before).mind(after) is passed_over


@pytest.mark.parametrize(
    ("before", "after", "missed"),
    [
        (Attention(everything=True), Attention(all_links=True), False),
        (Attention(), Attention(everything=True), True),
        (Attention(), Attention(frozenset({2})), True),
        (Attention(all_links=True), Attention(frozenset({2})), False),
        (Attention(frozenset({2})), Attention(all_links=True), True),
        (Attention(frozenset({2, 3})), Attention(frozenset({2})), False),
        (Attention(), Attention(addresses=frozenset({VIRTUAL})), False),
    ],
)
def test_news_may_have_been_missed_where_more_passes_than_before(
    before: Attention, after: Attention, missed: bool
) -> None:
    assert after.wider_than(before) is missed
