"""Random changes of membership with nodes told late; `make sequences` plays 200 of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.conftest import lab_or_skip
from tests.sequences.plan import draw
from tests.sequences.play import OPTIONS
from tests.sequences.run import run_in

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Lab]:
    yield from lab_or_skip(OPTIONS)


def test_nobody_and_no_two_hold_an_address_whatever_reaches_whom_late(
    cluster: Lab, record_property: Callable[[str, object], None]
) -> None:
    said: list[str] = []
    outcome = run_in(cluster, draw(7, elections=8, rounds=1, pace=0.4), said.append)
    record_property("measured", outcome.figures())
    assert not outcome.wrong, "\n".join([*outcome.wrong, *said])
