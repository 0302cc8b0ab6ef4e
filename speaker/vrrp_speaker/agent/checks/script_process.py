"""What a forked process does to itself before it becomes a script: it gives everything away."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vrrp_speaker.agent.checks.script_folder import RefusedError

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_PR_SET_CHILD_SUBREAPER = 36
_CAPABILITY_VERSION = 0x20080522
_CAP_KILL, _CAP_SETGID, _CAP_SETUID = 5, 6, 7
_NEEDED = {"CAP_KILL": _CAP_KILL, "CAP_SETGID": _CAP_SETGID, "CAP_SETUID": _CAP_SETUID}
_MB = 1 << 20
ADDRESS_SPACE_MB, FILE_MB, OPEN_FILES, PROCESSES = 512, 1, 64, 64
"""Limits of a script; ``PROCESSES`` are those beside what its user runs already."""
_MAY_BE_IGNORED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGTSTP, signal.SIGXFSZ),
)
"""By Python, by the agent, or by who started the speaker; handlers end with exec anyway."""
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ScriptUser:
    """Whom a script runs as."""

    uid: int
    gid: int

    @property
    def changes(self) -> bool:
        """Whether that is somebody else than we are."""
        return os.geteuid() != self.uid


@dataclass(frozen=True, slots=True)
class Start:
    """Everything that a script is started with."""

    path: str
    args: Sequence[str]
    environment: Mapping[str, str]
    user: ScriptUser
    cpu_s: int
    processes: int


def find_user(name: str) -> ScriptUser:
    """Return the user that scripts run as.

    Raises:
        RefusedError: there is none, it is root, or we may not become it and end what it runs.
    """
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
        user = ScriptUser(entry.pw_uid, entry.pw_gid)
    except KeyError as error:
        if not name.isdecimal():
            raise RefusedError(f"--script-user {name}: no such user") from error
        user = ScriptUser(int(name), int(name))
    if user.uid == 0:
        raise RefusedError("--script-user: must not be root")
    if user.changes:
        held = _effective_capabilities()
        missing = [name for name, bit in _NEEDED.items() if not held >> bit & 1]
        if missing:
            raise RefusedError(f"the speaker lacks {', '.join(missing)} to run scripts as {name}")
    return user


def _effective_capabilities() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def become(start: Start, output: int) -> None:
    """Become the script; ``output`` is its standard output and error.

    Raises:
        OSError: a step failed; this process must end.
    """
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir("/")
    os.umask(0o077)
    for number in _MAY_BE_IGNORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _limit(start)
    _drop(start.user)
    # The last word on this: the change of user above has undone it.
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execve(start.path, [start.path, *start.args], dict(start.environment))


def _limit(start: Start) -> None:
    for what, most in (
        (resource.RLIMIT_CPU, start.cpu_s),
        (resource.RLIMIT_AS, ADDRESS_SPACE_MB * _MB),
        (resource.RLIMIT_FSIZE, FILE_MB * _MB),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, start.processes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")  # when memory ends, scripts go first


def _drop(user: ScriptUser) -> None:
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails without CAP_SETPCAP: no matter
    if user.changes:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)()):
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def become_reaper() -> None:
    """Get every descendant whose parent ends, however far it went from its session."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def prctl(operation: int, argument: int) -> None:
    """Call prctl(2).

    Raises:
        OSError: it failed.
    """
    if _libc.prctl(operation, ctypes.c_ulong(argument), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {operation}: {os.strerror(number)}")
