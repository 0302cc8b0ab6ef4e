"""Puts together what an image adds to its base, in ``/opt/kube-vrrp`` of the builder.

Runs inside the builder, with the standard library only.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import shutil
import subprocess
import zipfile
from pathlib import Path

_PREFIX = Path("/opt/kube-vrrp")
_WHEEL = Path("/build/wheel")
_PIP = "/build/tools/bin/pip"


def main() -> None:
    """Install the wheel for one program and leave the rest out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the entry point that stays")
    parser.add_argument("--omit", action="append", default=[], help="a package of other programs")
    options = parser.parse_args()
    (site,) = _PREFIX.glob("lib/python3.*/site-packages")
    _install()
    for name in options.omit:
        shutil.rmtree(site / name, ignore_errors=True)
    compileall.compile_dir(
        _PREFIX / "lib",
        quiet=1,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    _keep_programs({options.program, "python", "python3"})
    _add_init()


def _install() -> None:
    (wheel,) = _WHEEL.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
    python = str(_PREFIX / "bin/python")
    subprocess.run(
        [_PIP, "--python", python, "install", "-q", "--no-deps", "--no-compile", str(wheel)],
        check=True,
    )


def _keep_programs(names: set[str]) -> None:
    """Remove entry points of dependencies and what a shell would read."""
    for path in (_PREFIX / "bin").iterdir():
        if path.name not in names and not path.name.startswith("python3."):
            path.unlink()


def _add_init() -> None:
    found = shutil.which("tini-static")
    assert found is not None
    shutil.copy(found, _PREFIX / "bin/tini")
    licence = _PREFIX / "share/doc/tini/copyright"
    licence.parent.mkdir(parents=True)
    shutil.copy("/usr/share/doc/tini/copyright", licence)


if __name__ == "__main__":
    main()
