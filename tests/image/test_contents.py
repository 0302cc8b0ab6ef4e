"""What is in the images, and what is not."""

from __future__ import annotations

import importlib.util
import re
import stat
import tomllib
from pathlib import Path

from scripts.image.contents import contents
from scripts.image.kept import Built
from tests.image.unpacked import Image

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = {"operator": 140_000_000, "speaker": 90_000_000}
_TOOLS = re.compile(
    r"(ba|da|z|k|c)?sh|busybox|perl|pip\d*(\.\d+)?|ensurepip|setuptools|g?cc|g\+\+|c\+\+|ld|as|make"
    r"|apt.*|dpkg|su|sudo|mount"
)
_UNCHECKED_HASH = 0b01
"""PEP 552: bytecode that is of this source, and is not compared with it."""


def test_no_shell_no_installer_no_compiler(image: Image) -> None:
    places = ("bin", "sbin", "usr/bin", "usr/sbin", "opt/kube-vrrp/bin")
    programs = [p.name for place in places for p in (image.root / place).glob("*")]
    assert {"python3", "tini"} <= set(programs)
    assert [name for name in programs if _TOOLS.fullmatch(name)] == []
    assert [p.name for p in image.site_packages.iterdir() if _TOOLS.fullmatch(p.name)] == []


def test_nobody_gains_rights_from_a_file(image: Image) -> None:
    modes = {path: path.stat().st_mode for path in image.files()}
    assert [p for p, mode in modes.items() if mode & (stat.S_ISUID | stat.S_ISGID)] == []
    assert [p for p, mode in modes.items() if mode & stat.S_IWOTH] == []
    assert [p for p in modes if p.stat().st_uid or p.stat().st_gid] == []


def test_every_module_is_compiled_from_its_source(image: Image) -> None:
    sources = [path for path in image.files() if path.suffix == ".py"]
    assert len(sources) > 500
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        content = compiled.read_bytes()
        assert int.from_bytes(content[4:8], "little") == _UNCHECKED_HASH, source
        assert content[8:16] == importlib.util.source_hash(source.read_bytes()), source


def test_packages_are_those_of_the_lock_and_no_other(image: Image) -> None:
    lock = (ROOT / "requirements" / f"{image.component}.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock, re.MULTILINE))
    found = {
        (re.sub(r"[-_.]+", "-", name).lower(), version)
        for path in image.site_packages.glob("*.dist-info")
        for name, _, version in [path.name.removesuffix(".dist-info").rpartition("-")]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert found == pinned | {("kube-vrrp", project["version"])}


def test_programs_of_the_other_component_are_left_out(image: Image) -> None:
    ours = {path.name for path in image.site_packages.glob("vrrp*")}
    assert ours == {"vrrp", "vrrp_api", "vrrp_http", f"vrrp_{image.component}"}
    programs = {path.name for path in (image.root / "opt/kube-vrrp/bin").iterdir()}
    assert programs == {"python", "python3", "python3.11", "tini", f"vrrp-{image.component}"}


def test_bill_of_materials_lists_what_is_there(image: Image) -> None:
    listed = {component["bom-ref"]: component["version"] for component in image.sbom()}
    python = {
        f"pypi:{re.sub(r'[-_.]+', '-', name).lower()}": version
        for path in image.site_packages.glob("*.dist-info")
        for name, _, version in [path.name.removesuffix(".dist-info").rpartition("-")]
    }
    debian = {
        f"deb:{path.name}": re.findall(r"^Version: (.*)$", path.read_text(), re.M)[0]
        for path in (image.root / "var/lib/dpkg/status.d").iterdir()
    }
    assert {"deb:libc6", "deb:libssl3"} <= set(debian)
    tini = {"deb:tini": listed["deb:tini"]}  # only its program is copied, and its licence
    assert listed == python | debian | tini
    assert (image.root / "opt/kube-vrrp/share/doc/tini/copyright").stat().st_size


def test_labels_tell_what_it_is(image: Image) -> None:
    labels = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in image.config["Labels"].items()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["title"] == f"kube-vrrp {image.component}"
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", labels["created"])


def test_a_runtime_calls_it_what_a_pod_asks_for(image: Image) -> None:
    version = image.config["Labels"]["org.opencontainers.image.version"]
    name = image.entry["annotations"]["io.containerd.image.name"]
    assert name == f"docker.io/kube-vrrp/{image.component}:{version}"


def test_size_and_printed_figures(image: Image, built: dict[str, Built]) -> None:
    unpacked = sum(path.stat().st_size for path in image.files())
    assert unpacked <= MOST_BYTES[image.component]
    figures = contents(built[image.component].archive)
    assert figures.unpacked_bytes == unpacked
    assert figures.setuid_files == 0
    assert figures.python_packages + figures.debian_packages == len(image.sbom())
