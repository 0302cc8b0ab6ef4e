"""Images of machines: static ones made here, and a store in which all are unpacked already."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vrrp_lab.kubelets.configuration import PAUSE_IMAGE
from vrrp_lab.namespaces import LabError
from vrrp_lab.programs import cache_folder, find_or_build

WEB_IMAGE = "docker.io/kube-vrrp-lab/web:1"
_KEPT_STORES = 4
_STARTED_S = 30.0


def static_image(program: Path, name: str, archive: Path) -> Path:
    """Write an image that holds one static program, as ``docker save`` would; return its path."""
    layer = _tar({program.name: program.read_bytes()}, 0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar(files, 0o644))
    return archive


def own_images(folder: Path) -> list[Path]:
    """Write the archives of the images that every machine has: pause and a web server."""
    return [
        static_image(find_or_build("pause"), PAUSE_IMAGE, folder / "pause.tar"),
        static_image(find_or_build("web"), WEB_IMAGE, folder / "web.tar"),
    ]


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


# The store -----------------------------------------------------------------------------


def prepared_store(archives: Sequence[Path]) -> Path:
    """Return a folder as containerd leaves it that has imported archives; made once, cached.

    Raises:
        LabError: containerd cannot import one.
    """
    digest = hashlib.sha256()
    for archive in archives:
        with archive.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    stores = cache_folder() / "image-stores"
    store = stores / digest.hexdigest()[:16]
    if store.exists():
        os.utime(store)
        return store
    stores.mkdir(parents=True, exist_ok=True)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="new-", dir=stores) as folder:
        _import(archives, Path(folder))
        try:
            (Path(folder) / "root").rename(store)
        except OSError:  # another lab was faster
            if not store.exists():
                raise
    _forget_old_stores(stores)
    seconds = time.monotonic() - begun_s
    print(f"unpacked {len(archives)} images in {seconds:.0f} s", file=sys.stderr, flush=True)
    return store


def _import(archives: Sequence[Path], folder: Path) -> None:
    """Have a containerd that runs for nothing else import archives."""
    socket = folder / "containerd.sock"
    config = folder / "config.toml"
    config.write_text(
        'version = 2\noom_score = 0\ndisabled_plugins = ["io.containerd.grpc.v1.cri",'
        ' "io.containerd.internal.v1.opt"]\n'
    )
    command = [
        *("unshare", "--mount", "setpriv", "--pdeathsig", "KILL", "containerd"),
        *("--config", str(config), "--root", str(folder / "root")),
        *("--state", str(folder / "state"), "--address", str(socket)),
    ]
    with (folder / "log").open("wb") as log:
        containerd = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + _STARTED_S
        while not socket.exists():
            if containerd.poll() is not None or time.monotonic() > deadline_s:
                raise LabError(f"containerd does not start: {(folder / 'log').read_text()[-800:]}")
            time.sleep(0.02)
        for archive in archives:
            _ctr(socket, "images", "import", str(archive))
    finally:
        containerd.terminate()
        containerd.wait()


def _ctr(socket: Path, *arguments: str) -> None:
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise LabError(f"ctr {' '.join(arguments)}: {ended.stderr.strip()}")


def _forget_old_stores(stores: Path) -> None:
    complete = [path for path in stores.iterdir() if not path.name.startswith("new-")]
    for path in sorted(complete, key=lambda each: each.stat().st_mtime)[:-_KEPT_STORES]:
        shutil.rmtree(path, ignore_errors=True)


def copy_store(store: Path, target: Path) -> None:
    """Give a machine the images of a store.

    What containerd never changes is shared by links where the file system allows; its databases
    are copies.
    """
    target.mkdir(parents=True)
    linked = subprocess.run(
        ["cp", "--archive", "--link", f"{store}/.", str(target)], capture_output=True, check=False
    )
    if linked.returncode:  # another file system
        command = ["cp", "--archive", "--force", f"{store}/.", str(target)]
        subprocess.run(command, check=True, capture_output=True)
        return
    for database in target.glob("*/*.db"):
        original = store / database.relative_to(target)
        database.unlink()
        shutil.copy2(original, database)
