"""Labs of the size a module needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import lab_or_skip

from vrrp_lab.lab import Lab, LabOptions


@pytest.fixture(scope="module")
def sized(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """``NODES`` nodes with speakers and no control plane; they run the module's ``MANIFEST``."""
    manifest = tmp_path_factory.mktemp("manifest") / "manifest.yaml"
    manifest.write_text(request.module.MANIFEST)
    yield from lab_or_skip(LabOptions(nodes=request.module.NODES, standalone=(manifest,)))
