"""The home of the VirtualIP that the tests on the wire look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conformance.lan import at_home

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node


@pytest.fixture
def active(standalone: Lab) -> Iterator[Node]:
    """The Active node of a settled cluster; every speaker runs again afterwards."""
    yield at_home(standalone)
    for node in standalone.nodes:
        if not node.running:
            node.start_speaker()
    at_home(standalone)
