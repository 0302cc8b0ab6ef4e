"""What fails in an agent once is tried again, and a log that nobody reads stops nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from tests.eventually import eventually

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Lan
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
ADDRESS, SECOND = "192.0.2.50", "192.0.2.55"


def virtual_ip(*addresses: str) -> str:
    """Return a VirtualIP; behind an address may stand its interface, as in ``192.0.2.55%eth1``."""
    ranks = [{"node": f"node-{n}", "priority": 250 - 50 * n} for n in (1, 2)]
    return yaml.safe_dump(
        {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": "a"},
            "spec": {
                "virtualRouterID": 7,
                "addresses": [
                    dict(zip(("address", "interface"), a.split("%"), strict=False))
                    for a in addresses
                ],
                "nodePriorities": ranks,
            },
        }
    )


NODES, MANIFEST = 2, virtual_ip(ADDRESS)


@pytest.fixture
def pair(sized: Lab, tmp_path: Path) -> Lab:
    """Two nodes, the first of which holds the first address and no other."""
    change(sized, tmp_path, ADDRESS)
    eventually(lambda: held(sized) == {ADDRESS}, within_s=60)
    return sized


def change(lab: Lab, folder: Path, *addresses: str) -> None:
    path = folder / "manifest.yaml"
    path.write_text(virtual_ip(*addresses))
    lab.render([path])


def held(lab: Lab) -> set[str]:
    return {address for address in (ADDRESS, SECOND) if lab.nodes[0].holds(address)}


def test_compiler_that_was_killed_is_started_again(pair: Lab, tmp_path: Path) -> None:
    """As the kernel kills one where memory is short (r17): that of a link which is new."""
    killed, over = threading.Event(), threading.Event()
    node = pair.nodes[0]
    agent = node.processes()["agent"]

    def kill_one() -> None:
        while not (killed.is_set() or over.is_set()):
            for pid in compilers_of(agent):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.set()

    link = ["ip", "link", "add", "new0", "type", "veth", "peer", "name", "new1"]
    assert node.host.exec(*link).returncode == 0
    for end in ("new0", "new1"):
        assert node.host.exec("ip", "link", "set", end, "up").returncode == 0
    hunter = threading.Thread(target=kill_one)
    hunter.start()
    try:
        change(pair, tmp_path, ADDRESS, f"{SECOND}%new0")
        assert killed.wait(120)
        eventually(lambda: held(pair) == {ADDRESS, SECOND}, within_s=30)
    finally:
        over.set()
        hunter.join()
        node.host.exec("ip", "link", "del", "new0")
    assert "configuration not compiled" in node.log.read_text()


def test_change_of_configuration_starts_no_process(pair: Lab, tmp_path: Path) -> None:
    agent = pair.nodes[0].processes()["agent"]
    seen: list[int] = []

    def is_held() -> bool:
        seen.extend(compilers_of(agent))
        return held(pair) == {ADDRESS, SECOND}

    change(pair, tmp_path, ADDRESS, SECOND)
    eventually(is_held, within_s=30)
    assert not seen


def compilers_of(agent: int) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b"vrrp_speaker.compiler" in command and int(parent) == agent:
            found.append(int(pid))
    return found


def test_program_that_could_not_be_written_is_written_once_it_can(
    pair: Lab, tmp_path: Path
) -> None:
    """The place of the file is taken by a folder, as by a disk that refuses."""
    node = pair.nodes[0]
    place = node.run_dir / "program.tmp"
    place.mkdir()
    try:
        change(pair, tmp_path, ADDRESS, SECOND)
        eventually(lambda: "configuration: [Errno" in node.get("/readyz"), within_s=30)
        assert held(pair) == {ADDRESS}
    finally:
        place.rmdir()
    eventually(lambda: held(pair) == {ADDRESS, SECOND}, within_s=60)
    eventually(lambda: node.get("/readyz") == "ok\n", within_s=10)


def test_program_that_found_the_disk_full_is_written_once_there_is_room(
    pair: Lab, tmp_path: Path
) -> None:
    node = pair.nodes[0]
    node.stop_speaker()
    with small_disk(node.run_dir):
        node.start_speaker()
        eventually(lambda: held(pair) == {ADDRESS}, within_s=60)
        filling = node.run_dir / "filling"
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        change(pair, tmp_path, ADDRESS, SECOND)
        eventually(lambda: "No space left on device" in node.get("/readyz"), within_s=30)
        assert held(pair) == {ADDRESS}
        filling.unlink()
        eventually(lambda: held(pair) == {ADDRESS, SECOND}, within_s=60)
        eventually(lambda: node.get("/readyz") == "ok\n", within_s=10)
        node.stop_speaker()
    node.start_speaker()


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Put an empty file system of 16 MiB at a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_log_that_nobody_reads_stops_nothing(pair: Lab, tmp_path: Path) -> None:
    """The container's runtime is stopped, its disk hangs: the pipe is full (r20)."""
    node = pair.nodes[0]
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    node.stop_speaker()
    try:
        node.start_speaker(
            "--log-level", "debug", under=("sh", "-c", f'exec "$@" >{pipe} 2>&1', "sh")
        )
        eventually(lambda: held(pair) == {ADDRESS}, within_s=60)
        fill(reader)
        for _ in range(2):
            dead = node.processes()["engine"]
            os.kill(dead, signal.SIGKILL)
            eventually(partial(is_replaced, node, dead), within_s=10)
        change(pair, tmp_path, ADDRESS, SECOND)
        eventually(lambda: held(pair) == {ADDRESS, SECOND}, within_s=60)
        eventually(lambda: node.get("/healthz") == "ok\n", within_s=10)
        os.kill(node.processes()["supervisor"], signal.SIGTERM)
        eventually(lambda: not node.running, within_s=30)
    finally:
        os.close(reader)
        node.start_speaker()


def fill(pipe: int) -> None:
    for size in (4096, 1):
        try:
            while True:
                os.write(pipe, b"x" * size)
        except BlockingIOError:
            pass


def is_replaced(node: Node, dead: int) -> bool:
    return node.processes().get("engine", dead) != dead


_ODD_NAMES = """
import os, subprocess
def ip(*words): subprocess.run([b"ip", *words], check=True)
ip(b"link", b"add", b"name", b"od\\xffd", b"type", b"veth", b"peer", b"name", b"odd0")
ip(b"link", b"property", b"add", b"dev", b"odd0", b"altname", b"al\\xfet")
from vrrp_speaker.links.reading import read_links
from vrrp_speaker.links.table import PlacementError
table = read_links()
assert table.by_name("eth0", "interface").mac
try:
    table.by_name("none", "interface")
except PlacementError as error:
    print(error)
"""


def test_interface_whose_name_is_no_text_costs_nothing(lan: Lan) -> None:
    done = lan.hosts[0].exec(sys.executable, "-c", _ODD_NAMES)
    assert done.returncode == 0, done.stderr
    assert r"od\xffd" in done.stdout
