"""Both images of the work tree, built once and unpacked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from scripts.image.build import COMPONENTS, build_images
from scripts.image.kept import Built
from tests.conftest import cannot_run
from tests.image.unpacked import Image, unpack


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """The archives, by component."""
    missing = [tool for tool in ("buildah", "runc", "dpkg-deb") if not shutil.which(tool)]
    if missing or os.geteuid():
        cannot_run(f"missing: {', '.join(missing) or 'root'}")
    images = build_images(tmp_path_factory.mktemp("images"), None, None, None)
    return {image.component: image for image in images}


@pytest.fixture(scope="session")
def images(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """The unpacked images, by component."""
    folder: Path = tmp_path_factory.mktemp("roots")
    return {name: unpack(built[name].archive, folder / name) for name in COMPONENTS}


@pytest.fixture(params=COMPONENTS)
def image(request: pytest.FixtureRequest, images: dict[str, Image]) -> Image:
    """One image after the other."""
    return images[request.param]
