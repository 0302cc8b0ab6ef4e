"""Whatever a LAN goes through, a healthy one ends with one Active Router: 500 seeds of a minute.

Method: two thirds of each run are faults and roll-outs drawn from the seed, under the oracles that
hold always; then everything heals, and the promises of a healthy LAN are claimed one by one
(``README.md``). Every fifth seed runs a second time with an attacker on the link.
"""

from __future__ import annotations

import pytest
from tests.simulation.simulation import reach, run_seed

from vrrp.constants import RejectReason, TransitionReason

SEEDS, CHUNK = 500, 50


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_election_after_faults_ends_with_one_active_router(first: int) -> None:
    for seed in range(first, first + CHUNK):
        failure = run_seed(seed)
        assert failure is None, str(failure)


def test_simulation_of_many_seeds_reaches_every_reason() -> None:
    """What the faults and the attacker never provoke is not tested by them."""
    transitions, rejections = reach(range(0, 200, 5))
    removed = TransitionReason.REMOVED  # of a router that leaves the program: the engine's
    resumed = TransitionReason.RESUMED  # never given: resuming is no transition
    assert transitions == set(TransitionReason) - {removed, resumed}
    # Of elections whose list is open: tests/unit/vrrp/test_members.py.
    strangers = {RejectReason.UNVERIFIED, RejectReason.TOO_MANY_MEMBERS}
    assert rejections == set(RejectReason) - strangers
