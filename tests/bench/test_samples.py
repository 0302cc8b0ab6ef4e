"""Samples that outlive a benchmark which was broken off."""

from __future__ import annotations

from pathlib import Path

from tests.bench.samples import Cell, Sample, Samples

CELL = Cell("stop", 200, False, "kube-vrrp", 4)


def test_what_a_file_has_is_taken_again(tmp_path: Path) -> None:
    before = Samples(tmp_path / "samples")
    before.add(Sample(CELL, 3, 1, 2, 3, 4, 5, 6, 7, left_behind=True))
    before.fail(CELL, "no end")
    after = Samples(tmp_path / "samples")
    assert (after.taken, after.failed) == (before.taken, before.failed)
    assert after.has(CELL, 3)
    assert not after.has(CELL, 2)
