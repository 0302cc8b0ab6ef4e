"""Process checks against real processes, with the connector where it speaks, and by scans."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.agent.checks import Heard

from vrrp_api.check_kinds import ProcessCheck
from vrrp_speaker.agent.checks import processes
from vrrp_speaker.agent.checks.process_events import ProcessEvents
from vrrp_speaker.agent.checks.process_table import Pattern, matching
from vrrp_speaker.agent.checks.processes import Processes, quorum

SHORT, LONG = "kv-test-short", "kv-test-name-longer-than-15"


def refuse_connector() -> ProcessEvents:
    raise PermissionError(1, "Operation not permitted")


def connector_speaks() -> bool:
    try:
        ProcessEvents().close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["connector", "scans"])
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How births are found."""
    if request.param == "scans":
        monkeypatch.setattr(processes, "ProcessEvents", refuse_connector)
        monkeypatch.setattr(processes, "_SCAN_S", 0.02)
    elif not connector_speaks():
        pytest.skip("the process connector speaks in the initial network namespace, to root")
    else:
        monkeypatch.setattr(processes, "_CONTROL_SCAN_S", 3600.0)
    return str(request.param)


class Bench:
    """Real programs, and a source that watches them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.heard = Heard()
        self.source = Processes(self.heard.inbox)
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a copy of sleep under a name."""
        program = self._folder / name
        if not program.exists():
            shutil.copy("/bin/sleep", program)
        process = subprocess.Popen([str(program), *(words or ("60",))])
        self.started.append(process)
        return process

    def command(self, name: str, *words: str) -> str:
        return " ".join([str(self._folder / name), *words])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.source.stop()
    for process in made.started:
        process.kill()
        process.wait()


def by_name(name: str, minimum: int = 1, maximum: int | None = None) -> ProcessCheck:
    return ProcessCheck(name, False, minimum, maximum)


def test_birth_death_and_rebirth_are_seen(bench: Bench, watching: str) -> None:
    bench.source.watch({"a": by_name(SHORT)})
    assert bench.heard.until_last("a", False).message == "0 running, at least 1 must"
    for _ in range(3):
        process = bench.start(SHORT)
        bench.heard.until_last("a", True)
        process.kill()
        bench.heard.until_last("a", False)
        process.wait()


def test_what_runs_already_is_found(bench: Bench, watching: str) -> None:
    bench.start(SHORT)
    bench.start(LONG)
    bench.source.watch({"a": by_name(SHORT), "b": by_name(LONG), "c": by_name(LONG[:-1])})
    bench.heard.until(lambda: len(bench.heard.news) == 3)
    results = {name: news[-1].passed for name, news in bench.heard.news.items()}
    assert results == {"a": True, "b": True, "c": False}


def test_a_zombie_does_not_count(bench: Bench, watching: str) -> None:
    process = bench.start(SHORT)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert matching(process.pid, [Pattern(SHORT, False)])
    bench.source.watch({"a": by_name(SHORT)})
    bench.heard.until_last("a", False)
    assert len(bench.heard.news["a"]) == 1


def test_a_whole_command_line_matches_word_by_word(bench: Bench, watching: str) -> None:
    bench.start(SHORT, "1000", "1")
    kinds = {
        "exact": ProcessCheck(bench.command(SHORT, "1000", "1"), True, 1, None),
        "part": ProcessCheck(bench.command(SHORT, "1000"), True, 1, None),
        "name": ProcessCheck(SHORT, True, 1, None),
    }
    bench.source.watch(kinds)
    bench.heard.until_last("exact", True)
    assert not bench.heard.until_last("part", False).passed
    assert not bench.heard.until_last("name", False).passed


def test_quorum_has_two_sides(bench: Bench, watching: str) -> None:
    bench.source.watch({"a": by_name(SHORT, 2, 3)})
    for _ in range(2):
        bench.start(SHORT)
    bench.heard.until_last("a", True)
    for _ in range(2):
        bench.start(SHORT)
    assert bench.heard.until_last("a", False).message == "4 running, at most 3 must"
    bench.started[0].kill()
    bench.heard.until_last("a", True)


def test_a_copy_of_a_process_counts_as_it_does(bench: Bench, watching: str) -> None:
    """A forked worker has its parent's name, and no program of its own is started."""
    program = bench._folder / SHORT
    reads = "(read line <&3) &\n"
    program.write_text(f"#!/bin/sh\nexec 3<&0\n{reads}{reads}read line <&3\n")
    program.chmod(0o755)
    bench.source.watch({"a": by_name(SHORT, 3, 3)})
    bench.heard.until_last("a", False)
    process = subprocess.Popen([str(program)], stdin=subprocess.PIPE)
    bench.started.append(process)
    bench.heard.until_last("a", True)
    assert process.stdin is not None
    process.stdin.close()
    bench.heard.until_last("a", False)


def test_a_process_that_becomes_another_program_no_longer_counts(
    bench: Bench, watching: str
) -> None:
    program = bench._folder / SHORT
    program.write_text("#!/bin/sh\nread line\nexec sleep 60\n")
    program.chmod(0o755)
    process = subprocess.Popen([str(program)], stdin=subprocess.PIPE)
    bench.started.append(process)
    bench.source.watch({"a": by_name(SHORT)})
    bench.heard.until_last("a", True)
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    bench.heard.until_last("a", False)


def test_another_set_of_checks_is_looked_for_anew(bench: Bench, watching: str) -> None:
    bench.start(SHORT)
    bench.source.watch({"a": by_name(LONG)})
    bench.heard.until_last("a", False)
    bench.source.watch({"a": by_name(LONG), "b": by_name(SHORT)})
    bench.heard.until_last("b", True)
    assert len(bench.heard.news["a"]) == 1


def test_beyond_the_most_pidfds_ends_are_found_by_scans(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ProcessEvents", refuse_connector)
    monkeypatch.setattr(processes, "_SCAN_S", 0.02)
    monkeypatch.setattr(processes, "_MOST_PIDFDS", 1)
    started = [bench.start(SHORT) for _ in range(3)]
    bench.source.watch({"a": by_name(SHORT, 3)})
    bench.heard.until_last("a", True)
    started[2].kill()  # not reaped: only its pidfd would tell at once
    bench.heard.until_last("a", False)


def test_a_name_that_nobody_has_yet_costs_no_scan_beyond_its_share(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ProcessEvents", refuse_connector)
    scans = 0

    def slow() -> Iterator[int]:
        nonlocal scans
        scans += 1
        clock[0] += 2.0
        return iter(())

    clock = [100.0]
    monkeypatch.setattr(processes, "process_ids", slow)
    monkeypatch.setattr("vrrp_speaker.agent.checks.processes.time.monotonic", lambda: clock[0])
    with contextlib.closing(processes.Table()) as table:
        list(table.turn({"a": by_name(SHORT)}))
        assert scans == 1
        assert table.wait_s() == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("minimum", "maximum", "count", "passes"),
    [(1, None, 0, False), (1, None, 1, True), (0, 0, 0, True), (0, 0, 1, False), (2, 3, 4, False)],
)
def test_quorum(minimum: int, maximum: int | None, count: int, passes: bool) -> None:
    assert quorum(by_name("x", minimum, maximum), count).passed is passes


_THREADS = """
import threading
stop = threading.Event()
for _ in range(50):
    threading.Thread(target=stop.wait).start()
stop.set()
"""


@pytest.mark.skipif(not connector_speaks(), reason="the process connector does not speak to us")
def test_the_connector_tells_of_processes_and_not_of_threads_or_exits() -> None:
    with contextlib.closing(ProcessEvents()) as events:
        process = subprocess.Popen([sys.executable, "-c", _THREADS])
        process.wait()
        began = [event for event in events.read() if event.pid == process.pid]
    assert 1 <= len(began) <= 3
    assert {event.parent for event in began} >= {None}


def test_out_of_the_initial_network_namespace_the_connector_refuses() -> None:
    code = (
        "from vrrp_speaker.agent.checks.process_events import ProcessEvents\n"
        "try: ProcessEvents()\n"
        "except OSError as error: print('refused')\n"
    )
    command = ["unshare", "--net", sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not permitted" in said.stderr:
        pytest.skip("needs the right to make a network namespace")
    assert said.stdout == "refused\n"
