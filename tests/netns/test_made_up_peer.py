"""A router beside a peer whose advertisements are the test's own (architecture §4.1, 7, 10)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.netns.lone import LoneSpeaker, router
from tests.netns.observe import metric
from tests.netns.strangers import advertisement, advertising

from vrrp_lab.lan import Host, Lan

pytestmark = pytest.mark.netns
VRID, ADDRESS = 1, "10.9.0.1"


@pytest.fixture
def speaker(lan: Lan) -> Iterator[LoneSpeaker]:
    with LoneSpeaker(lan) as made:
        yield made


def of_peer(speaker: LoneSpeaker, peer: Host, priority: int) -> bytes:
    """Return an advertisement that a host sends to the speaker's."""
    return advertisement(peer, VRID, priority=priority, to=speaker.host)


# Who may speak ----------------------------------------------------------------------------


def test_peer_of_another_election_is_a_stranger(speaker: LoneSpeaker, lan: Lan) -> None:
    third = lan.hosts[2]
    speaker.become_active(router(VRID, 200, (), speaker.peer), router(2, 200, (), third))
    rejected = "kube_vrrp_advertisements_rejected_total"
    with advertising(third, of_peer(speaker, third, 254)):
        eventually(
            lambda: metric(speaker.node, rejected, reason="unknown_source") >= 10, within_s=10
        )
    assert speaker.states() == {"r1": "Active", "r2": "Active"}


# Two Active routers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "priority", "after"),
    [(0, 201, "Backup"), (0, 200, "Active"), (2, 200, "Backup"), (2, 199, "Active")],
    ids=["better", "equal-lesser-address", "equal-greater-address", "worse"],
)
def test_loser_of_two_active_routers_yields(
    speaker: LoneSpeaker, lan: Lan, place: int, priority: int, after: str
) -> None:
    other = lan.hosts[place]
    peers = [{"node": other.name, "address": other.address, "priority": priority}]
    speaker.become_active(router(VRID, 200, (), other, peers=peers))
    name = "kube_vrrp_advertisements_received_total"
    with advertising(other, of_peer(speaker, other, priority)):
        eventually(lambda: metric(speaker.node, name) >= 10, within_s=10)
        eventually(lambda: speaker.states() == {f"r{VRID}": after}, within_s=5)
        eventually(lambda: speaker.host.holds(ADDRESS) == (after == "Active"), within_s=5)


# Leaving ----------------------------------------------------------------------------------


def test_address_goes_as_soon_as_a_successor_is_heard(speaker: LoneSpeaker) -> None:
    """Nobody need be heard for nearly four seconds; who is heard has the address in 150 ms."""
    speaker.become_active(router(VRID, 200, (), speaker.peer, advertisementInterval="2s"))
    with advertising(speaker.peer, of_peer(speaker, speaker.peer, 100)):
        name = "kube_vrrp_advertisements_received_total"
        eventually(lambda: metric(speaker.node, name) >= 1, within_s=10)
        holders, begun_ns = Holders([speaker.host]), time.monotonic_ns()
        speaker.node.stop_speaker()
    gone_ns, left = holders.timeline(ADDRESS).latest()
    assert not left
    assert gone_ns - begun_ns < 3_000_000_000
