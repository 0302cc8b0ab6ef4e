"""Engines that die often, at once, or beside a damaged program (architecture §4.5, 6)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.inside import (
    addresses,
    all_at,
    engine,
    kept_at,
    manifest,
    routers,
    states,
    transitions,
)
from tests.netns.lone import LoneSpeaker, router
from tests.netns.observe import Capture

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Lan
from vrrp_lab.node import Node
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.shared_state.values import RouterState

pytestmark = pytest.mark.netns
NODES = 2
_PTRACE_SEIZE = 0x4206
_AN_HOUR_NS = 3600 * 10**9
WANTED = ("Active", "Backup")
ADDRESS, ADDRESS6 = "192.0.2.50", "2001:db8:0:1::50"
MANIFEST = manifest("pair", 51, f"{ADDRESS}/24", f"{ADDRESS6}/64", ranks=(1, 2))


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active before and after; every speaker runs again afterwards."""
    yield from kept_at(sized, sized.node("node-1"))


def holds_both(node: Node) -> bool:
    return {ADDRESS, ADDRESS6} <= set(addresses(node.host))


def holds_none(node: Node) -> bool:
    return not {ADDRESS, ADDRESS6} & set(addresses(node.host))


def only_router(node: Node) -> RouterState:
    """Return the router's state, whatever became of the program file."""
    (router,) = engine(node).routers.values()
    return router


def kill_engine(node: Node) -> None:
    """Kill the engine, and wait until another one takes its turns."""
    starts = engine(node).engine_starts
    os.kill(engine(node).engine_pid, signal.SIGKILL)
    eventually(lambda: engine(node).engine_starts > starts, within_s=5, every_s=0.005)


def test_engine_killed_every_700_ms_is_no_crash_loop(sized: Lab, home: Node) -> None:
    before, fenced = transitions(sized.nodes), engine(home).fencing
    starts = engine(home).engine_starts
    for _ in range(20):
        kill_engine(home)
        time.sleep(0.7)  # it lives for so long, however long it took to come up
    assert engine(home).engine_starts >= starts + 20
    assert engine(home).fencing == fenced
    assert transitions(sized.nodes) == before
    assert holds_both(home)


def test_engine_of_a_backup_killed_often_counts_no_transition(sized: Lab, home: Node) -> None:
    backup = sized.node("node-2")
    before, since_ns = transitions(sized.nodes), routers(backup)["pair"].since_ns
    for _ in range(3):
        kill_engine(backup)
        time.sleep(0.7)
    assert states(backup)["pair"] == "Backup"
    assert routers(backup)["pair"].since_ns == since_ns
    assert transitions(sized.nodes) == before


def test_node_that_was_put_back_to_a_snapshot_is_believed_again(sized: Lab, home: Node) -> None:
    """It signs with the time of then, and the others remember later signatures of it."""
    other = sized.node("node-2")
    home.kill_speaker()
    eventually(lambda: states(other)["pair"] == "Active", within_s=30)
    shared = SharedState.create(str(home.run_dir / "state.shm"))
    offset_ns = shared.get(shm.H_CLOCK_OFFSET)
    assert offset_ns > _AN_HOUR_NS
    shared.set(shm.H_CLOCK_OFFSET, offset_ns - _AN_HOUR_NS)
    home.start_speaker()
    try:
        eventually(lambda: (states(home)["pair"], states(other)["pair"]) == WANTED, within_s=30)
        assert shared.get(shm.H_CLOCK_OFFSET) > offset_ns - _AN_HOUR_NS // 2
    except AssertionError:
        home.kill_speaker()  # the next test finds it as it was
        shared.set(shm.H_CLOCK_OFFSET, offset_ns)
        home.start_speaker()
        raise


def test_dead_engine_is_replaced_before_it_has_ended(sized: Lab, home: Node) -> None:
    """The kernel takes its time to end a process that runs no more code; a tracer, as long as it
    likes. The first may have an heir; the second has to be forked."""
    before, starts = transitions(sized.nodes), engine(home).engine_starts
    dead = home.processes()["engine"]
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ptrace(_PTRACE_SEIZE, dead, None, None) == 0, os.strerror(ctypes.get_errno())
    try:
        for _ in range(2):
            kill_engine(home)
        sent = only_router(home).advertisements_sent
        eventually(lambda: only_router(home).advertisements_sent > sent + 4, within_s=5)
    finally:
        os.kill(dead, signal.SIGKILL)
        os.waitpid(dead, 0)
    assert engine(home).engine_starts == starts + 2
    assert transitions(sized.nodes) == before
    eventually(lambda: not Path(f"/proc/{dead}").exists(), within_s=5)


def test_what_must_act_at_once_has_the_same_priority_and_the_agent_none(home: Node) -> None:
    policies = {name: os.sched_getscheduler(pid) for name, pid in home.processes().items()}
    assert policies["supervisor"] == policies["engine"]
    assert policies["agent"] == os.SCHED_OTHER


def test_three_deaths_within_a_second_end_in_the_last_will(sized: Lab, home: Node) -> None:
    successor = sized.node("node-2")
    fenced, left_over = engine(home).fencing["last_will"], engine(home).fencing["left_over"]

    def wills() -> bool:
        """Kill until they come fast enough: one that lived for half a second is no failure."""
        written = engine(home).fencing["last_will"] == fenced + 2
        if not written:
            with contextlib.suppress(ProcessLookupError):
                os.kill(engine(home).engine_pid, signal.SIGKILL)
        return written

    with Capture(successor.host) as capture:
        since_ns = time.monotonic_ns()
        eventually(wills, within_s=10, every_s=0.05)
        heard = [f for f in capture.until_now(since_ns) if f.is_vrrp and f.data[36] == 0]
    assert [frame.data[26:30] for frame in heard] == [bytes([192, 0, 2, home.host.number])]
    eventually(lambda: states(successor)["pair"] == "Active" and holds_both(successor), within_s=5)
    eventually(lambda: holds_none(home) or states(home)["pair"] == "Active", within_s=5)
    eventually(lambda: engine(home).engine_starts > 3, within_s=10)
    assert engine(home).fencing["left_over"] == left_over  # nothing was left to the next engine


def test_engine_that_dies_beside_a_damaged_program_resumes_from_its_copy(
    sized: Lab, home: Node
) -> None:
    agent = home.processes()["agent"]
    os.kill(agent, signal.SIGSTOP)
    try:
        before = only_router(home).transitions
        (home.run_dir / "program.json").write_text("{ torn")
        starts = engine(home).engine_starts
        kill_engine(home)
        sent = only_router(home).advertisements_sent
        eventually(lambda: only_router(home).advertisements_sent > sent + 4, within_s=5)
        assert engine(home).engine_starts == starts + 1
        assert only_router(home).transitions == before
        assert holds_both(home)
    finally:
        os.kill(agent, signal.SIGCONT)


def test_engine_that_dies_with_no_program_left_leaves_nothing_behind(
    sized: Lab, home: Node
) -> None:
    """Without an agent nobody can mend the program: the addresses go, and another has them."""
    successor = sized.node("node-2")
    agent = home.processes()["agent"]
    os.kill(agent, signal.SIGSTOP)
    try:
        for name in ("program.json", "program.json.good"):
            (home.run_dir / name).write_text("{ torn")
        fenced = sum(engine(home).fencing.values())
        kill_engine(home)
        eventually(lambda: holds_none(home), within_s=5)
        eventually(lambda: sum(engine(home).fencing.values()) >= fenced + 2, within_s=5)
        eventually(lambda: routers(successor)["pair"].state == "Active", within_s=5)
        eventually(lambda: holds_both(successor), within_s=5)
        assert holds_none(home)
    finally:
        os.kill(agent, signal.SIGCONT)


def test_frozen_node_wakes_late_and_a_dead_one_holds_nothing(sized: Lab, home: Node) -> None:
    successor = sized.node("node-2")
    late = engine(home).fencing["late_wake"]
    home.freeze()
    try:
        eventually(lambda: holds_none(home), within_s=10)
        eventually(lambda: holds_both(successor), within_s=5)
    finally:
        home.thaw()
    eventually(lambda: engine(home).fencing["late_wake"] == late + 1, within_s=5)
    all_at(sized, home)
    home.kill_speaker()
    eventually(lambda: holds_none(home), within_s=10)
    eventually(lambda: holds_both(successor), within_s=5)


def test_engine_that_comes_too_late_does_not_resume(sized: Lab, home: Node) -> None:
    """Its supervisor stands still, and no heir is there."""
    successor, processes = sized.node("node-2"), home.processes()
    supervisor = processes["supervisor"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        starts, before = engine(home).engine_starts, only_router(home).transitions
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        for heir in {int(pid) for pid in children} - set(processes.values()):
            os.kill(heir, signal.SIGKILL)
        os.kill(processes["engine"], signal.SIGKILL)
        eventually(lambda: states(successor)["pair"] == "Active", within_s=5)
        eventually(lambda: holds_both(successor) and holds_none(home), within_s=5)
    finally:
        os.kill(processes["supervisor"], signal.SIGCONT)
    eventually(lambda: engine(home).engine_starts > starts, within_s=5)
    # Who resumes does so without a transition; this one has to be Backup first.
    eventually(lambda: only_router(home).transitions > before, within_s=5)


def test_frozen_backup_listens_before_it_takes_over(sized: Lab, home: Node) -> None:
    backup = sized.node("node-2")
    before, sent = transitions(sized.nodes), only_router(home).advertisements_sent
    backup.freeze()
    try:
        eventually(lambda: only_router(home).advertisements_sent > sent + 10, within_s=10)
    finally:
        backup.thaw()
    heard = only_router(backup).peers[0].received
    eventually(lambda: only_router(backup).peers[0].received > heard + 10, within_s=10)
    assert transitions(sized.nodes) == before


def advertised_ns(speaker: LoneSpeaker, since_ns: int) -> list[int]:
    return [frame.time_ns for frame in speaker.capture.frames(since_ns) if frame.is_vrrp]


def test_late_wake_takes_the_address_off_before_its_lease_ends(lan: Lan) -> None:
    """Late is from 1.02 s after the last advertisement on; the lease ends 2 s after it."""
    with LoneSpeaker(lan) as speaker:
        speaker.become_active(router(1, 200, (), speaker.peer, advertisementInterval="340ms"))
        since_ns = time.monotonic_ns()
        eventually(lambda: advertised_ns(speaker, since_ns), within_s=5)
        speaker.node.freeze()
        eventually(
            lambda: time.monotonic_ns() > advertised_ns(speaker, since_ns)[-1] + 1_150_000_000,
            within_s=5,
        )
        speaker.node.thaw()
        eventually(lambda: states(speaker.node) == {"r1": "Backup"}, within_s=5, every_s=0.002)
        assert not speaker.host.holds("10.9.0.1")


# As process 1: three grandchildren lose their parents and end together; collect once, look again.
_ORPHANS = """
import os, pathlib, signal
from vrrp_speaker.supervisor.child import reap_orphans
assert os.getpid() == 1
for _ in range(3):
    if not (child := os.fork()):
        if not os.fork():
            signal.pause()
        os._exit(0)
    os.waitpid(child, 0)
os.kill(-1, signal.SIGKILL)  # everybody in this namespace but process 1
children = pathlib.Path("/proc/self/task/1/children").read_text().split()
for pid in map(int, children):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
reap_orphans(set())
print(len(children), pathlib.Path("/proc/self/task/1/children").read_text().split())
"""


def test_all_orphans_that_ended_together_are_collected() -> None:
    unshared = ("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", _ORPHANS)
    done = subprocess.run(unshared, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3 []\n", "")
