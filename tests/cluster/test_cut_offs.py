"""Nodes lose the API server for as long as it takes to be missed; `make cut-offs` is longer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import lab_or_skip
from tests.sequences.cut_offs import OPTIONS, cut_off_for

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Lab]:
    yield from lab_or_skip(OPTIONS)


def test_holder_backup_and_rack_are_cut_off_and_nothing_moves_until_they_are_to_leave(
    cluster: Lab,
) -> None:
    seen, wrong = cut_off_for(cluster, 35)
    assert not wrong, "\n".join([*wrong, *seen])
    assert sum("cannot be told" in text for text in seen) >= 3
