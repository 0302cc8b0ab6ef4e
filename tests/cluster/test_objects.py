"""Some steps of a chaos of objects beside ten ordinary VirtualIPs; `make objects` takes 300."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.conftest import lab_or_skip
from tests.objects.plan import draw_steps
from tests.objects.play import OPTIONS
from tests.objects.run import run_in

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Lab]:
    yield from lab_or_skip(OPTIONS)


def test_what_is_odd_costs_itself_and_says_so(
    cluster: Lab, record_property: Callable[[str, object], None]
) -> None:
    said: list[str] = []
    outcome = run_in(cluster, draw_steps(94, 40), pace_s=0.5, say=said.append)
    record_property("measured", outcome.figures)
    assert not outcome.wrong, "\n".join([*outcome.wrong, *said])
