"""What one router may say at all: signed if it should be, priorities 1 to 254 (§4.15, 17)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.eventually import eventually
from tests.netns.inside import faults
from tests.netns.lone import LoneSpeaker, router

from vrrp_lab.lab import new_key
from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns


@pytest.fixture
def speaker(lan: Lan) -> Iterator[LoneSpeaker]:
    with LoneSpeaker(lan) as made:
        yield made


def test_election_whose_key_is_missing_does_not_run_plain(speaker: LoneSpeaker) -> None:
    signed = {"authentication": {"type": "HMAC", "keyRef": "nowhere"}}
    speaker.configure(
        [router(1, 200, (), speaker.peer), router(2, 200, (), speaker.peer, **signed)], ()
    )
    speaker.start()
    eventually(lambda: len(speaker.advertised().get(1, ())) >= 5, within_s=20)
    eventually(lambda: speaker.states() == {"r1": "Active", "r2": "Fault"}, within_s=5)
    assert faults(speaker.node, "r2") == {"AuthenticationKeyMissing"}
    assert 2 not in speaker.advertised()


def test_election_with_a_key_signs(speaker: LoneSpeaker) -> None:
    speaker.node.write_key("cluster.1", new_key())
    signed = {"authentication": {"type": "HMAC", "keyRef": "cluster"}}
    speaker.become_active(router(1, 200, (), speaker.peer, **signed))
    eventually(lambda: speaker.advertised().get(1), within_s=5)
    lengths = {int.from_bytes(f.data[16:18], "big") for f in speaker.capture.frames() if f.is_vrrp}
    assert lengths == {20 + 8 + 4 + 28}  # IP, VRRP, an address, the trailer


def test_checks_move_a_priority_within_its_range(speaker: LoneSpeaker) -> None:
    (speaker.files / "value").write_text("1")
    check = {"name": "value", "file": {"path": f"{speaker.files}/value"}}
    routers = [
        router(1, 250, [("value", 100, False)], speaker.peer),
        router(2, 20, [("value", -100, False)], speaker.peer),
    ]
    speaker.configure(routers, [check])
    speaker.start()
    eventually(lambda: speaker.advertised().keys() == {1, 2}, within_s=12)
    assert {vrid: set(said) for vrid, said in speaker.advertised().items()} == {1: {254}, 2: {1}}
