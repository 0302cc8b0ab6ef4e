"""Whoever holds the kernel's rtnl lock makes the worker wait, and nobody else (§4.20)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest
from tests.eventually import eventually
from tests.netns.inside import addresses, engine, kept_at, manifest, routers, transitions
from tests.netns.kernel_lock import rtnl_held

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES = 2
ADDRESS, ADDRESS6 = "192.0.2.50", "2001:db8:0:1::50"
MANIFEST = manifest("pair", 51, f"{ADDRESS}/24", f"{ADDRESS6}/64", ranks=(1, 2))
HELD_S = 1.5
"""Longer than the others wait, and than the lease."""


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active before and after."""
    yield from kept_at(sized, sized.node("node-1"))


def holders(lab: Lab) -> list[str]:
    return [n.name for n in lab.nodes if {ADDRESS, ADDRESS6} & set(addresses(n.host))]


def has_begun(node: Node, starts: int) -> bool:
    """Return whether another engine has begun since so many had."""
    return engine(node).engine_starts > starts


def goes_on(node: Node) -> None:
    """Wait until the node's engine has advertised several times more."""
    sent_ns = routers(node)["pair"].last_sent_ns
    eventually(lambda: routers(node)["pair"].last_sent_ns > sent_ns + 5 * 10**8, within_s=5)


def test_whoever_holds_the_kernels_lock_moves_no_address(sized: Lab, home: Node) -> None:
    """Leases are renewed at each advertisement here, so one renewal waits all the time."""
    before, starts = transitions(sized.nodes), engine(home).engine_starts
    with rtnl_held():
        time.sleep(HELD_S)  # not to wait for something: this is what the lock is held for
        goes_on(home)
    goes_on(home)
    assert transitions(sized.nodes) == before
    assert engine(home).engine_starts == starts  # nobody took it for dead
    assert holders(sized) == [home.name]
    eventually(lambda: {ADDRESS, ADDRESS6} <= set(addresses(home.host)), within_s=10)


def test_engine_that_dies_while_the_lock_is_held_is_replaced_and_goes_on(
    sized: Lab, home: Node
) -> None:
    """Its worker sleeps in the kernel, so it does not end; and the new one cannot look around."""
    before = transitions(sized.nodes)
    with rtnl_held():
        for _ in range(2):  # the second one has no heir yet
            goes_on(home)  # by now a renewal waits
            dead = engine(home)
            os.kill(dead.engine_pid, signal.SIGKILL)
            eventually(partial(has_begun, home, dead.engine_starts), within_s=5)
        goes_on(home)
    goes_on(home)
    assert transitions(sized.nodes) == before
    assert holders(sized) == [home.name]
    eventually(lambda: {ADDRESS, ADDRESS6} <= set(addresses(home.host)), within_s=10)
