"""Two builds of one commit give one digest, whatever lay in the cache before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from scripts.image.build import build_images
from scripts.image.kept import Built
from scripts.image.programs import cache_folder


def test_a_build_from_nothing_gives_the_same_digests(
    built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was fetched is taken over: no base, no layer, no image."""
    fetched = [path for path in cache_folder().glob("wheels-*") if path.is_dir()]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for path in fetched:
        shutil.copytree(path, cache_folder() / path.name)
    again = {image.component: image for image in build_images(tmp_path / "again", None, None, None)}
    assert {name: image.digest for name, image in again.items()} == {
        name: image.digest for name, image in built.items()
    }
    for name, image in again.items():
        assert image.archive.read_bytes() == built[name].archive.read_bytes()
