"""Exec checks: real scripts, and what bad ones can do (the table in docs/health-checks.md)."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.unit.agent.checks import Heard, a_check, a_run, settings

from vrrp_api.check_kinds import ExecCheck
from vrrp_speaker.agent.checks.probes import Probes
from vrrp_speaker.agent.checks.process_table import process_ids
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.verdict import Result

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="scripts belong to root and run as nobody"
)
NOBODY = pwd.getpwnam("nobody")
PASSED = Result(True)


class Bench:
    """A folder of scripts, and the probes that run them."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder = folder / "scripts"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.scratch.chmod(0o777)
        self.heard = Heard()
        self.settings = settings(folder)
        self.probes = Probes(self.heard.inbox, self.settings)

    def write(self, text: str, name: str = "check.sh", mode: int = 0o755) -> Path:
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(mode)
        return path

    def begin(self, *args: str, script: str = "check.sh", timeout_ms: int = 5000) -> Run:
        run = a_run(a_check(ExecCheck(script, args), timeout_ms=timeout_ms, name="db"))
        self.probes.begin(run)
        return run

    def end(self, run: Run, within_s: float = 20) -> Result:
        self.heard.until(lambda: run.number in self.heard.ended, within_s=within_s)
        return self.heard.ended[run.number]

    def run(self, text: str, *args: str, timeout_ms: int = 5000) -> Result:
        self.write(text)
        return self.end(self.begin(*args, timeout_ms=timeout_ms))

    def pids(self, name: str) -> list[int]:
        """Return the pids that a script wrote into files of the scratch folder."""
        texts = [path.read_text() for path in sorted(self.scratch.glob(f"{name}*"))]
        return [int(text) for text in texts if text.endswith("\n")]


@pytest.fixture
def bench() -> Iterator[Bench]:
    # Not pytest's folder, where nobody may not go.
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-scripts-") as folder:
        made = Bench(Path(folder))
        yield made
        server = made.probes._scripts._server
        if server is not None:
            server.shutdown(2)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


# What a script is given --------------------------------------------------------------


def test_exit_status_0_passes_and_any_other_fails(bench: Bench) -> None:
    assert bench.run("echo fine") == PASSED
    assert bench.run("exit 3") == Result(False, "exit status 3")


def test_the_last_line_is_in_the_message(bench: Bench) -> None:
    said = bench.run("echo first\necho 'disk full' >&2\necho\nexit 1")
    assert said == Result(False, "exit status 1: disk full")


def test_the_last_line_is_bounded_and_printable(bench: Bench) -> None:
    said = bench.run("printf 'a\\033[31mb\\000c\\377'; printf '%01000d' 0; exit 1").message
    assert len(said) <= 220
    assert said.isprintable()
    assert bench.run("printf 'a\\033[31mb\\n'; exit 1").message == "exit status 1: a?[31mb"


def test_death_by_a_signal_is_a_failure(bench: Bench) -> None:
    assert bench.run("echo dying\nkill -SEGV $$") == Result(False, "ended by SIGSEGV: dying")


def test_arguments_are_words_and_no_shell_reads_them(bench: Bench) -> None:
    words = ("$(touch /tmp/owned)", "; exit 0", "a b")
    assert bench.run('printf "%s|" "$@"; exit 1', *words).message == (
        "exit status 1: $(touch /tmp/owned)|; exit 0|a b|"
    )


def test_its_environment_is_small(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/secret")
    bench.run(f"env | sort > {bench.scratch}/env; pwd > {bench.scratch}/pwd", timeout_ms=4000)
    found = dict(line.split("=", 1) for line in (bench.scratch / "env").read_text().splitlines())
    assert found.pop("KUBE_VRRP_CHECK") == "db"
    assert found.pop("KUBE_VRRP_NODE") == "node-1"
    assert 0 < int(found.pop("KUBE_VRRP_TIMEOUT_MS")) <= 4000
    assert set(found) <= {"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}
    assert (bench.scratch / "pwd").read_text() == "/\n"


def test_it_is_nobody_without_any_privilege(bench: Bench) -> None:
    bench.run(f"cat /proc/self/status > {bench.scratch}/status")
    lines = (bench.scratch / "status").read_text().splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    assert status["Uid"] == [str(NOBODY.pw_uid)] * 4
    assert status["Gid"] == [str(NOBODY.pw_gid)] * 4
    assert status["Groups"] == []
    assert status["NoNewPrivs"] == ["1"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name][0], 16) == 0, name
    # Signals from 32 on are the C library's; nobody else can set what becomes of them.
    assert int(status["SigIgn"][0], 16) & 0x7FFF_FFFF == 0
    assert int(status["SigBlk"][0], 16) == 0


def test_it_has_a_session_of_its_own_and_no_other_descriptors(bench: Bench) -> None:
    listed = bench.run("ls /proc/self/fd | tr '\\n' ' '; exit 1").message
    assert listed == "exit status 1: 0 1 2 3"  # 3 is the folder that ls reads
    assert bench.run("cat; exit 1").message == "exit status 1"  # nothing to read
    said = bench.run(
        "read _ _ _ _ group session _ < /proc/$$/stat; echo $$ $group $session; exit 1"
    )
    assert len(set(said.message.partition(": ")[2].split())) == 1


def test_its_limits_are_set(bench: Bench) -> None:
    bench.run(
        f"cat /proc/$$/limits > {bench.scratch}/limits\n"
        f"cat /proc/$$/oom_score_adj > {bench.scratch}/oom"
    )
    limits = (bench.scratch / "limits").read_text()
    for name, value in (
        ("Max cpu time", 6),
        ("Max address space", 512 << 20),
        ("Max file size", 1 << 20),
        ("Max open files", 64),
        ("Max core file size", 0),
        ("Max locked memory", 0),
    ):
        (line,) = [line for line in limits.splitlines() if line.startswith(name)]
        assert line[len(name) :].split()[:2] == [str(value)] * 2, name
    (line,) = [line for line in limits.splitlines() if line.startswith("Max processes")]
    assert 64 <= int(line.split()[2]) < 5000
    assert (bench.scratch / "oom").read_text() == "1000\n"


# What is refused ---------------------------------------------------------------------


def refused(bench: Bench) -> str:
    result = bench.end(bench.begin())
    assert not result.passed
    return result.message


def test_an_unknown_script_is_named(bench: Bench) -> None:
    assert refused(bench) == f"{bench.folder}/check.sh: No such file or directory"


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_script_that_others_can_write_is_refused(bench: Bench, mode: int) -> None:
    path = bench.write("exit 0", mode=mode)
    assert refused(bench) == f"{path}: must not be writable by group or others"


def test_a_script_of_another_owner_is_refused(bench: Bench) -> None:
    path = bench.write("exit 0")
    os.chown(path, NOBODY.pw_uid, 0)
    assert refused(bench) == f"{path}: must belong to root"


def test_a_script_that_nobody_can_run_is_refused(bench: Bench) -> None:
    path = bench.write("exit 0", mode=0o700)
    assert refused(bench) == f"{path}: must be executable by others (chmod 755)"


def test_a_folder_that_others_can_write_is_refused(bench: Bench) -> None:
    bench.write("exit 0")
    bench.folder.chmod(0o777)
    assert refused(bench) == (
        f"--scripts-dir {bench.folder}: must not be writable by group or others"
    )


def test_a_folder_of_another_owner_is_refused(bench: Bench) -> None:
    bench.write("exit 0")
    os.chown(bench.folder, NOBODY.pw_uid, 0)
    assert refused(bench) == f"--scripts-dir {bench.folder}: must belong to root"


def test_a_missing_folder_is_named(bench: Bench) -> None:
    bench.folder.rmdir()
    assert refused(bench) == f"--scripts-dir {bench.folder}: No such file or directory"


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(bench: Bench) -> None:
    path = bench.folder / "check.sh"
    path.symlink_to("/bin/true")
    assert refused(bench) == f"{path}: a symbolic link leads out of the folder"
    path.unlink()
    bench.write("exit 0", name="real.sh")
    path.symlink_to("real.sh")
    assert bench.end(bench.begin()) == PASSED


def test_a_program_that_cannot_run_says_why(bench: Bench) -> None:
    path = bench.write("")
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    assert refused(bench) == f"{path}: Exec format error"


@pytest.mark.parametrize(
    ("user", "message"),
    [("root", "--script-user: must not be root"), ("noone", "--script-user noone: no such user")],
)
def test_scripts_never_run_as_root(bench: Bench, user: str, message: str) -> None:
    bench.write("exit 0")
    bench.probes = Probes(bench.heard.inbox, settings(bench.folder.parent, script_user=user))
    assert refused(bench) == message


# What a bad script can do ------------------------------------------------------------


def test_one_that_hangs_is_killed_at_its_deadline(bench: Bench) -> None:
    said = bench.run(f"echo $$ > {bench.scratch}/pid\necho waiting\nsleep 600", timeout_ms=3_000)
    assert said == Result(False, "timed out, killed: waiting")
    eventually(lambda: not alive(bench.pids("pid")[0]), within_s=5)


def test_one_that_ignores_sigterm_is_killed_too(bench: Bench) -> None:
    said = bench.run(
        f"trap '' TERM INT HUP\necho $$ > {bench.scratch}/pid\nwhile :; do sleep 1; done",
        timeout_ms=3_000,
    )
    assert said == Result(False, "timed out, killed")
    eventually(lambda: not alive(bench.pids("pid")[0]), within_s=5)


def test_one_that_would_pass_after_its_deadline_fails(bench: Bench) -> None:
    assert bench.run("sleep 2; exit 0", timeout_ms=300) == Result(False, "timed out, killed")


def test_one_that_leaks_memory_hits_its_limit(bench: Bench) -> None:
    said = bench.run('x=aaaaaaaaaaaaaaaa\nwhile :; do x="$x$x"; done', timeout_ms=20_000)
    assert not said.passed
    assert "timed out" not in said.message


def test_one_that_only_computes_hits_its_limit_or_its_deadline(bench: Bench) -> None:
    assert bench.run("while :; do :; done", timeout_ms=3_000).message == "timed out, killed"


def test_a_flood_of_output_is_read_slowly(bench: Bench) -> None:
    """yes writes gigabytes a second if somebody reads them; it uses no CPU while nobody does."""
    bench.write(f"echo $$ > {bench.scratch}/pid\nexec yes")
    run = bench.begin(timeout_ms=2000)
    (pid,) = eventually(lambda: bench.pids("pid"), within_s=10)
    written = 0

    def ended() -> bool:
        nonlocal written
        with contextlib.suppress(OSError):
            written = max(written, _written(pid))
        return not alive(pid)

    eventually(ended, within_s=10)
    assert bench.end(run) == Result(False, "timed out, killed: y")
    assert 100_000 < written < 30_000_000  # 16 KB each 5 ms for 2 s are 6.5 MB


def test_a_lot_of_output_is_no_failure(bench: Bench) -> None:
    said = bench.run(
        "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890; i=$((i+1)); done"
    )
    assert said == PASSED


def test_closing_the_output_early_is_no_failure(bench: Bench) -> None:
    assert bench.run("exec >&- 2>&-; sleep 0.3; exit 0") == PASSED


def test_what_it_leaves_in_the_background_ends_with_it(bench: Bench) -> None:
    said = bench.run(f"sleep 600 &\necho $! > {bench.scratch}/pid\nexit 0")
    assert said == PASSED
    eventually(lambda: not alive(bench.pids("pid")[0]), within_s=5)


def test_daemons_that_leave_its_session_end_with_it(bench: Bench) -> None:
    daemon = f"setsid sh -c 'echo $$ > {bench.scratch}/pid$0; exec sleep 600'"
    said = bench.run(
        f"for i in 1 2 3; do ({daemon} $i &) & done\nwait\nsleep 0.3\nexit 0", timeout_ms=8000
    )
    assert said == PASSED
    eventually(lambda: len(bench.pids("pid")) == 3, within_s=5)
    eventually(lambda: not any(alive(pid) for pid in bench.pids("pid")), within_s=5)


def test_a_fork_bomb_stays_within_its_limit_and_ends(bench: Bench) -> None:
    bench.write(f"echo $$ > {bench.scratch}/pid$$\nwhile :; do setsid $0 2>&1 & sleep 0.01; done\n")
    said = bench.end(bench.begin(timeout_ms=1000))
    assert not said.passed
    assert len(bench.pids("pid")) < 1000
    eventually(lambda: not any(_runs(pid, "check.sh") for pid in process_ids()), within_s=20)


def test_a_run_ends_while_others_hang(bench: Bench) -> None:
    bench.write("exec sleep 600", name="hang.sh")
    hanging = [bench.begin(script="hang.sh", timeout_ms=60_000) for _ in range(10)]
    assert bench.run("exit 0") == PASSED
    assert not any(run.number in bench.heard.ended for run in hanging)


def test_scripts_end_with_the_agent(bench: Bench) -> None:
    bench.write(f"echo $$ > {bench.scratch}/pid\nexec sleep 600")
    bench.begin(timeout_ms=60_000)
    (pid,) = eventually(lambda: bench.pids("pid"), within_s=10)
    server = bench.probes._scripts._server
    assert server is not None
    server.shutdown(2)  # as the kernel does for an agent that is gone
    eventually(lambda: not alive(pid), within_s=5)


def test_a_server_that_dies_fails_its_runs_and_is_replaced(bench: Bench) -> None:
    bench.write(f"echo $PPID > {bench.scratch}/keeper\nexec sleep 600", name="hang.sh")
    hanging = bench.begin(script="hang.sh", timeout_ms=60_000)
    (keeper,) = eventually(lambda: bench.pids("keeper"), within_s=10)
    server = int(Path(f"/proc/{keeper}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    assert bench.end(hanging) == Result(False, "the script server ended")
    assert bench.run("exit 0") == PASSED


def test_too_much_to_say_is_a_failure(bench: Bench) -> None:
    bench.write("exit 0")
    result = bench.end(bench.begin("x" * 10_000_000))
    assert not result.passed
    assert result.message.startswith("not started: ")


def _written(pid: int) -> int:
    fields = Path(f"/proc/{pid}/io").read_text().split()
    return int(fields[fields.index("wchar:") + 1])


def _runs(pid: int, name: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return alive(pid) and any(word.endswith(name.encode()) for word in words[:2])
