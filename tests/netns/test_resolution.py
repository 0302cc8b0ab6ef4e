"""Kernels that do not know a peer's hardware address, and whose questions for it are lost."""

from __future__ import annotations

import sys

import pytest

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("address", ["192.0.2.{}", "2001:db8:0:1::{}"])
def test_living_peer_is_sent_to_beside_many_unknown_ones(lan: Lan, address: str) -> None:
    sender, living = lan.hosts[:2]
    dead = [address.format(number) for number in range(201, 209)]
    source, target = address.format(sender.number), address.format(living.number)
    command = (sys.executable, "-m", "tests.netns.sending", source, "600", target, *dead)
    ended = sender.exec(*command)
    assert ended.stdout == "failed: 0\n", ended
