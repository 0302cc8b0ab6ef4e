"""The base of the images, without a registry: packages of Debian 12, unpacked into a root.

No shell, no package manager, no maintainer scripts; what those would have made is made here. The
builder's base is the same root with a shell and pip's parts.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.image import debian, oci
from scripts.image.programs import ImageError, cache_folder, run

_RUNTIME = (
    *("base-files", "ca-certificates", "netbase"),
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libc6", "libgcc-s1", "libssl3", "libexpat1", "libffi8", "libuuid1"),
    *("zlib1g", "libbz2-1.0", "liblzma5", "libsqlite3-0"),
)
_BUILDER = (
    *("dash", "coreutils", "libacl1", "libattr1", "libgmp10", "libpcre2-8-0", "libselinux1"),
    *("python3.11-venv", "python3-pip-whl", "python3-setuptools-whl", "tini"),
)
"""A shell, what pip is made from, and the init that goes into the images."""
_PYTHON = "usr/lib/python3.11"
_UNUSED = (
    *(
        "etc/apt",
        "etc/cron.daily",
        "etc/python3.11",
        "etc/update-motd.d",
        "lib/systemd",
        "media",
        "mnt",
        "srv",
    ),
    *("usr/games", "usr/local", "usr/share/bug", "usr/share/doc-base", "usr/share/lintian"),
    *("usr/share/info", "usr/share/locale", "usr/share/man", "usr/lib/locale", "usr/lib/valgrind"),
    *("usr/share/binfmts", "usr/share/applications", "usr/share/pixmaps", "usr/share/gdb"),
    *("usr/lib/*/gconv", "usr/lib/*/perl-base", "lib/*/libmvec*", "usr/bin/perl", "usr/sbin/*"),
    *("usr/bin/catchsegv", "usr/bin/getconf", "usr/bin/getent", "usr/bin/iconv", "usr/bin/ldd"),
    *("usr/bin/locale", "usr/bin/localedef", "usr/bin/pldd", "usr/bin/tzselect", "usr/bin/zdump"),
    *(
        "sbin/ldconfig*",
        "usr/share/python3.11",
        "usr/share/dpkg",
        "var/backups",
        "var/local",
        "var/mail",
    ),
    *(
        f"{_PYTHON}/{part}"
        for part in (
            *("curses", "dbm", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter"),
            *("sitecustomize.py", "turtle.py", "turtledemo", "nis.py", "_sysconfigdata__*dmalloc*"),
            *("lib-dynload/_curses*", "lib-dynload/_dbm*", "lib-dynload/_gdbm*"),
            *("lib-dynload/nis*", "lib-dynload/readline*"),
            *("lib-dynload/_crypt.*", "lib-dynload/_test*", "lib-dynload/xxlimited*"),
            "lib-dynload/_ctypes_test*",
        )
    ),
)
"""Never opened by the programs; of the standard library what needs packages we leave out."""
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/nologin\n"
    "operator:x:65532:65532:operator:/:/nologin\n"
    "nobody:x:65534:65534:nobody:/:/nologin\n",
    "etc/group": "root:x:0:\noperator:x:65532:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def make_bases(architecture: str) -> tuple[Path, Path]:
    """Return archives of the runtime's and the builder's base: cached, or made now.

    Raises:
        ImageError: a package or a program is missing, or this is not root.
    """
    names = (*_RUNTIME, *_BUILDER)
    key = hashlib.sha256()
    for module in (__file__, debian.__file__, oci.__file__):
        key.update(Path(module).read_bytes())
    for package in debian.find(names):
        key.update(f"{package.file} {package.hash}\n".encode())
    folder = cache_folder() / f"base-{key.hexdigest()[:12]}"
    bases = folder / "runtime.tar", folder / "builder.tar"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(base.exists() for base in bases):
            _make(folder, bases, architecture)
    return bases


def _make(folder: Path, bases: tuple[Path, Path], architecture: str) -> None:
    if os.geteuid() != 0:
        raise ImageError("building the base image needs root: it runs Python inside of it")
    debian.fetch((*_RUNTIME, *_BUILDER), folder / "packages")
    for base, names in zip(bases, (_RUNTIME, (*_RUNTIME, *_BUILDER)), strict=True):
        with tempfile.TemporaryDirectory(dir=folder) as work:
            root, layout = Path(work) / "root", Path(work) / "layout"
            root.mkdir(mode=0o755)
            _fill(root, [_file(folder / "packages", name) for name in names])
            oci.write_base(layout, oci.tar_of(root, _newest_s(root)), architecture)
            oci.write_archive(layout, base, f"kube-vrrp/base-{base.stem}:{folder.name}")


def _file(folder: Path, name: str) -> Path:
    (file,) = folder.glob(f"{name}_*.deb")
    return file


def _fill(root: Path, files: Sequence[Path]) -> None:
    debian.unpack(files, root)
    _remove_unused(root)
    for name, text in _ACCOUNTS.items():
        (root / name).write_text(text)
    (root / "usr/bin/python3").symlink_to("python3.11")
    _write_authorities(root)
    (root / "tmp").chmod(0o1777)
    run(
        *("chroot", str(root), "/usr/bin/python3.11", "-m", "compileall", "-q"),
        *("--invalidation-mode", "unchecked-hash", "/usr/lib/python3.11"),
    )


def _remove_unused(root: Path) -> None:
    for pattern in _UNUSED:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for path in (root / "usr/share/doc").rglob("*"):
        if path.is_file() and path.name != "copyright":
            path.unlink()


def _write_authorities(root: Path) -> None:
    """Make what update-ca-certificates makes, as the one file that OpenSSL opens by itself."""
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(path.read_text() for path in certificates))
    shutil.rmtree(root / "usr/share/ca-certificates")
    link = root / "usr/lib/ssl/cert.pem"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/etc/ssl/certs/ca-certificates.crt")


def _newest_s(root: Path) -> int:
    """Return the time of the newest package: what was made here must not be newer."""
    notes = (root / "var/lib/dpkg/status.d").iterdir()
    return max(
        int(path.stat().st_mtime)
        for note in notes
        for path in (root / "usr/share/doc" / note.name).glob("copyright")
    )
