"""Signed elections hold together, whatever list reaches which node, and when (``membership``)."""

from __future__ import annotations

import pytest
from tests.simulation.membership import run_membership_seed

SEEDS, CHUNK = 60, 20


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whoever_hear_one_another_have_one_active_router(first: int) -> None:
    for seed in range(first, first + CHUNK):
        failure = run_membership_seed(seed)
        assert failure is None, str(failure)
