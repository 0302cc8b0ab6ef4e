"""API servers for tests of the chart: one with the chart's rights, one with nothing on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import lab_or_skip

from vrrp_lab.lab import Lab, LabOptions


@pytest.fixture(scope="module")
def api() -> Iterator[Lab]:
    """An API server with our kinds and the chart's rights, as the lab applies them; three nodes."""
    yield from lab_or_skip(LabOptions(start_operator=False, start_speakers=False))
