"""Puts together what of an image is ours, and its init.

Runs inside the builder, with the standard library only.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import shutil
import subprocess
from pathlib import Path

_PREFIX = Path("/opt/kube-vrrp")
_TARGET = Path("/build/program")
"""Copied over the prefix: what changes with each commit is a layer of its own, and a small one."""
_WHEEL = Path("/build/wheel")
_PIP = "/build/tools/bin/pip"


def main() -> None:
    """Install the wheel for one program and leave the rest out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the entry point that stays")
    parser.add_argument("--omit", action="append", default=[], help="a package of other programs")
    options = parser.parse_args()
    _install()
    (site,) = _TARGET.glob("lib/python3.*/site-packages")
    for name in options.omit:
        shutil.rmtree(site / name, ignore_errors=True)
    compileall.compile_dir(
        _TARGET,
        quiet=1,
        stripdir=str(_TARGET),
        prependdir=str(_PREFIX),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    for path in (_TARGET / "bin").iterdir():
        if path.name != options.program:
            path.unlink()
    _add_init()


def _install() -> None:
    (wheel,) = _WHEEL.glob("*.whl")
    where = ["--python", str(_PREFIX / "bin/python"), "install", "--prefix", str(_TARGET)]
    subprocess.run([_PIP, *where, "-q", "--no-deps", "--no-compile", str(wheel)], check=True)


def _add_init() -> None:
    found = shutil.which("tini-static")
    assert found is not None
    shutil.copy(found, _TARGET / "bin/tini")
    licence = _TARGET / "share/doc/tini/copyright"
    licence.parent.mkdir(parents=True)
    shutil.copy("/usr/share/doc/tini/copyright", licence)


if __name__ == "__main__":
    main()
