"""Two operators: one decides, the other stands by, whatever becomes of the first one.

VirtualIPs are made and changed meanwhile. Each change is applied, no VRID is given twice, and what
runs moves nowhere.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest
from tests.cluster.several_operators import (
    Edits,
    OneOperator,
    are_settled,
    holders,
    leader_of,
    two_operators,
)
from tests.conftest import lab_or_skip
from tests.eventually import eventually

from vrrp_lab.lab import Lab, LabOptions

pytestmark = pytest.mark.cluster
_OPTIONS = LabOptions(nodes=5, start_operator=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    yield from lab_or_skip(_OPTIONS)


@pytest.fixture(scope="module")
def edits(cluster: Lab) -> Edits:
    return Edits(cluster)


@pytest.fixture(scope="module")
def operators(cluster: Lab, edits: Edits) -> list[OneOperator]:
    """Two that run, and a VirtualIP."""
    made = two_operators(cluster)
    edits.make()
    eventually_checked(edits)
    return made


def eventually_checked(edits: Edits) -> None:
    eventually(edits.are_applied, within_s=90, every_s=0.5)


def test_one_leads_and_the_other_is_ready(operators: list[OneOperator]) -> None:
    eventually(lambda: are_settled(operators), within_s=60, every_s=0.5)


def test_who_ends_lets_the_other_one_lead_without_waiting(operators: list[OneOperator]) -> None:
    leader = leader_of(operators)
    (other,) = [one for one in operators if one is not leader]
    leader.stop()
    eventually(other.leads, within_s=60, every_s=0.1)
    leader.start()
    eventually(lambda: are_settled(operators), within_s=60, every_s=0.5)


def kill(operator: OneOperator) -> None:
    operator.stop(signal.SIGKILL)


def pause(operator: OneOperator) -> None:
    operator.send(signal.SIGSTOP)


def go_on(operator: OneOperator) -> None:
    operator.send(signal.SIGCONT)


Deed = Callable[[OneOperator], None]


@pytest.mark.parametrize(
    ("lose", "find"),
    [
        pytest.param(kill, OneOperator.start, id="killed"),
        pytest.param(pause, go_on, id="paused"),
        pytest.param(OneOperator.cut_off, OneOperator.reconnect, id="cut off"),
    ],
)
def test_edits_while_a_leader_is_lost_are_applied_once_and_nothing_moves(
    cluster: Lab, operators: list[OneOperator], edits: Edits, lose: Deed, find: Deed
) -> None:
    before = holders(cluster)
    leader = leader_of(operators)
    (other,) = [one for one in operators if one is not leader]
    edits.make()
    lose(leader)
    edits.make()
    eventually(other.leads, within_s=60, every_s=0.1)
    edits.make()
    find(leader)
    edits.make()
    eventually(lambda: are_settled(operators), within_s=60, every_s=0.5)
    eventually_checked(edits)
    after = holders(cluster)
    assert {name: after[name] for name in before} == before
