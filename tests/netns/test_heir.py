"""The process that goes on for an engine that dies (architecture §4.6)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.inside import addresses, all_at, engine, manifest, routers, transitions
from tests.netns.lone import LoneSpeaker, router

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Lan
from vrrp_lab.node import Node
from vrrp_lab.processes import process_name, session_members

pytestmark = pytest.mark.netns
NODES = 2
ADDRESS = "192.0.2.50"
MANIFEST = manifest("pair", 51, f"{ADDRESS}/24", ranks=(1, 2))


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active and with an heir; every speaker runs again afterwards."""
    node = sized.node("node-1")
    all_at(sized, node)
    ready(node)
    yield node
    for other in sized.nodes:
        if not other.running:
            other.start_speaker()
    all_at(sized, node, within_s=60)


def ready(node: Node) -> int:
    """Wait until a node has an heir that only waits; return its pid."""

    def waiting() -> int:
        pid = node.heir
        # Only then is it of the priority of what must act at once.
        policies = {os.sched_getscheduler(p) for p in (pid, node.processes()["supervisor"])}
        return pid if pid and len(policies) == 1 and is_asleep(pid) else 0

    return eventually(waiting, within_s=20)


def is_asleep(pid: int) -> bool:
    before = switches(pid)
    time.sleep(0.05)
    return switches(pid) == before


def switches(pid: int) -> int:
    """Return how often a process has gone to sleep (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("voluntary_ctxt_switches:")]
    return int(line.split()[1])


def sockets(pid: int) -> set[str]:
    """Return what a process has of sockets."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


def left(pid: int) -> set[str]:
    """Return which processes of a speaker are there, by what they call themselves."""
    return {process_name(member) for member in session_members(pid)} - {""}


def test_heir_goes_on_for_a_dead_engine_and_another_one_waits(sized: Lab, home: Node) -> None:
    before, fenced = transitions(sized.nodes), engine(home).fencing
    starts, heir = engine(home).engine_starts, ready(home)
    os.kill(engine(home).engine_pid, signal.SIGKILL)
    eventually(lambda: engine(home).engine_starts > starts, within_s=5, every_s=0.005)
    eventually(lambda: engine(home).engine_pid == heir, within_s=5)
    eventually(lambda: home.processes().get("engine") == heir, within_s=5)
    sent = routers(home)["pair"].advertisements_sent
    eventually(lambda: routers(home)["pair"].advertisements_sent > sent + 4, within_s=5)
    assert ready(home) != heir
    assert engine(home).engine_starts == starts + 1
    assert transitions(sized.nodes) == before
    assert engine(home).fencing == fenced
    assert ADDRESS in addresses(home.host)


def test_heir_has_no_sockets_and_does_nothing(home: Node) -> None:
    heir, supervisor = ready(home), home.processes()["supervisor"]
    # That on which engines accept the agent.
    eventually(lambda: sockets(heir) == sockets(supervisor), within_s=5)
    before = switches(heir)
    sent = routers(home)["pair"].advertisements_sent
    eventually(lambda: routers(home)["pair"].advertisements_sent > sent + 4, within_s=5)
    assert switches(heir) == before


def test_node_in_backup_has_no_heir(sized: Lab, home: Node) -> None:
    backup = sized.node("node-2")
    eventually(lambda: not backup.heir, within_s=5)
    home.kill_speaker()
    eventually(lambda: routers(backup)["pair"].state == "Active", within_s=10)
    assert ready(backup)
    home.start_speaker()
    all_at(sized, home)
    eventually(lambda: not backup.heir, within_s=5)


def test_heir_does_not_go_on_for_an_engine_that_is_stopped(sized: Lab, home: Node) -> None:
    starts, leader = engine(home).engine_starts, home.processes()["supervisor"]
    home.stop_speaker()
    eventually(lambda: not left(leader), within_s=5)
    assert engine(home).engine_starts == starts


def test_heir_does_not_outlive_its_supervisor(sized: Lab, home: Node) -> None:
    starts, leader = engine(home).engine_starts, home.processes()["supervisor"]
    assert {"vrrp-engine", "vrrp-heir"} <= left(leader)
    os.kill(leader, signal.SIGKILL)
    eventually(lambda: not {"vrrp-engine", "vrrp-heir"} & left(leader), within_s=5)
    assert engine(home).engine_starts == starts
    eventually(lambda: ADDRESS not in addresses(home.host), within_s=5)
    home.kill_speaker()


def test_heir_that_knows_an_older_program_runs_the_newest(lan: Lan) -> None:
    """Nobody has replaced it: the supervisor stands still."""
    with LoneSpeaker(lan) as speaker:
        speaker.become_active(router(1, 200, (), speaker.peer, advertisementInterval="1s"))
        ready(speaker.node)
        supervisor = speaker.node.processes()["supervisor"]
        starts, known = engine(speaker.node).engine_starts, engine(speaker.node).generation
        os.kill(supervisor, signal.SIGSTOP)
        try:
            speaker.configure([router(1, 150, (), speaker.peer)], ())
            eventually(lambda: engine(speaker.node).generation > known, within_s=10)
            eventually(lambda: speaker.advertised()[1][-1] == 150, within_s=10)
            newest, since_ns = engine(speaker.node).generation, time.monotonic_ns()
            os.kill(engine(speaker.node).engine_pid, signal.SIGKILL)
            eventually(lambda: speaker.advertised(since_ns).get(1), within_s=5)
            assert engine(speaker.node).engine_starts == starts + 1
            assert engine(speaker.node).generation == newest
        finally:
            os.kill(supervisor, signal.SIGCONT)
