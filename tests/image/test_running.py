"""Containers of the images: what a cluster gives them is enough."""

from __future__ import annotations

from pathlib import Path

from tests.image.container import Container
from tests.image.unpacked import Image

ANYBODY = 4711
"""A uid that no file of the image knows."""
_IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""
_PYTHON = ("/opt/kube-vrrp/bin/tini", "--", "python3")


def test_every_module_loads_for_anybody_on_a_read_only_root(image: Image, tmp_path: Path) -> None:
    packages = ("vrrp", "vrrp_api", "vrrp_http", f"vrrp_{image.component}")
    with Container(
        image,
        tmp_path / "container",
        *("-c", _IMPORT_ALL, *packages),
        uid=ANYBODY,
        entrypoint=_PYTHON,
    ) as container:
        loaded = container.run_to_end()
    assert "Traceback" not in loaded
    assert f"vrrp_{image.component}" in loaded
    assert len(loaded.split()) > 40


def test_program_tells_its_version(image: Image, tmp_path: Path) -> None:
    with Container(image, tmp_path / "container", "--version") as container:
        said = container.run_to_end()
    version = image.config["Labels"]["org.opencontainers.image.version"]
    assert said.split() == [f"vrrp-{image.component}", version]


def test_nobody_is_somebody(images: dict[str, Image], tmp_path: Path) -> None:
    code = "import pwd; print(pwd.getpwnam('nobody').pw_uid)"
    with Container(
        images["speaker"], tmp_path / "container", "-c", code, entrypoint=_PYTHON
    ) as container:
        assert container.run_to_end().split() == ["65534"]
