"""100 health checks a second on one node: what they cost, how late they are, whom they disturb."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.realtime import real_time
from tests.bench.report import Report
from tests.bench.samples import spread
from tests.eventually import eventually
from tests.netns.inside import engine, lateness_p99_s
from tests.netns.lone import LoneSpeaker, router

from vrrp_lab.lan import Lan

_COUNT, _FIRST_PORT = 100, 7100
_WATCHED_S, _WARM_UP_S = 30.0, 4.0
_PATIENCE_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_TEXT = f"""One node with an election at 20 ms and {_COUNT} checks with `interval: 1s`, watched for
{_WATCHED_S:.0f} s. CPU is that of one core. *Late*: how much later than its time a check's question
arrived, seen by who is asked; a check's earliest arrival counts as in time. *Deadlines*: of the
engine, 99 of 100. *Advertisements*: the time between two on the wire, 20 ms being right. Three
figures are p50 / p95 / max. Scripts run in processes of their own, whose CPU and memory are listed
apart."""
Kind = Callable[[int], dict[str, Any]]


def _http(number: int) -> dict[str, Any]:
    return {"http": {"url": f"http://127.0.0.1:{_FIRST_PORT + number}/healthz"}}


def _tcp(number: int) -> dict[str, Any]:
    return {"tcp": {"address": f"127.0.0.1:{_FIRST_PORT + number}"}}


def _exec(_number: int) -> dict[str, Any]:
    return {"exec": {"script": "exit.sh"}}


def _mixed(number: int) -> dict[str, Any]:
    local: list[dict[str, Any]] = [
        {"process": {"name": "sleep"}},
        {"interface": {"name": "eth0"}},
        {"file": {"path": f"{{files}}/f{number}"}},
    ]
    return [_http(number), _tcp(number), _exec(number), *local][number % 6]


_VARIANTS: Mapping[str, Kind | None] = {
    "no checks": None,
    "http": _http,
    "tcp": _tcp,
    "exec": _exec,
    "a sixth each of http, tcp, exec, process, interface, file": _mixed,
}


def measure_many_checks(report: Report) -> None:
    """Measure each kind in turn."""
    rows = [(name, *_measure(kind)) for name, kind in _VARIANTS.items()]
    report.section(f"{_COUNT} checks each second", _TEXT)
    report.table(
        (
            "checks",
            "agent CPU",
            "scripts' CPU",
            "agent RSS MB",
            "script server RSS MB",
            "late ms",
            "deadlines",
            "advertisements ms",
        ),
        rows,
    )


def _measure(kind: Kind | None) -> tuple[str, ...]:
    with Lan(2) as lan, LoneSpeaker(lan) as speaker:
        speaker.script("exit.sh", "exit 0")
        with real_time():
            target = speaker.host.namespace.start(
                [sys.executable, "-m", "tests.bench.check_target", str(_FIRST_PORT), str(_COUNT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert target.stdout is not None
        assert target.stdout.readline() == b"ready\n"
        names = [f"c{number}" for number in range(_COUNT)] if kind else []
        checks = [_check(number, kind, speaker.files) for number in range(len(names)) if kind]
        used = [(name, -1, False) for name in names]
        routers = [
            # A router has 16 checks at most; the election that is watched is the first one.
            router(n + 1, 100, used[n * 16 : n * 16 + 16], speaker.peer, **_interval(n))
            for n in range(max(1, -(-len(used) // 16)))
        ]
        speaker.configure(routers, checks)
        speaker.start()
        eventually(lambda: len(speaker.advertised()) == len(routers), within_s=_PATIENCE_S)
        time.sleep(_WARM_UP_S)
        return _watch(speaker, target)


def _check(number: int, kind: Kind, files: Path) -> dict[str, Any]:
    text = json.dumps(kind(number)).replace("{files}", str(files))
    return {"name": f"c{number}", "interval": "1s", "weight": -1, **json.loads(text)}


def _interval(number: int) -> dict[str, Any]:
    return {"advertisementInterval": "20ms" if number == 0 else "1s"}


def _watch(speaker: LoneSpeaker, target: subprocess.Popen[bytes]) -> tuple[str, ...]:
    # A script's keeper may be gone before it is looked at.
    agent = eventually(lambda: speaker.node.processes()["agent"], within_s=_PATIENCE_S)
    server = _child(agent)
    _arrivals(target)
    before, cpu_s, begun_ns = engine(speaker.node), _cpu_s(agent, server), time.monotonic_ns()
    time.sleep(_WATCHED_S)
    elapsed_s = (time.monotonic_ns() - begun_ns) / 1e9
    after, cpu_after_s = engine(speaker.node), _cpu_s(agent, server)
    arrivals = _arrivals(target)
    sent_ns = [
        frame.time_ns
        for frame in speaker.capture.frames(begun_ns)
        if frame.is_vrrp and frame.data[14 + (frame.data[14] & 0x0F) * 4 + 1] == 1
    ]
    shares = [
        f"{(late - early) / elapsed_s:.1%}" for early, late in zip(cpu_s, cpu_after_s, strict=True)
    ]
    return (
        shares[0],
        shares[1] if server else "–",
        f"{_resident_mb(agent):.1f}",
        f"{_resident_mb(server):.1f}" if server else "–",
        spread(_late_ns(arrivals), digits=1),
        lateness_p99_s(before, after),
        spread((b - a for a, b in itertools.pairwise(sent_ns)), digits=1),
    )


def _late_ns(arrivals: Mapping[str, Sequence[int]]) -> list[float]:
    """Return each arrival's lateness: behind the earliest of its check's one-second beats."""
    found: list[float] = []
    for times in arrivals.values():
        beats = [at_ns - number * 1e9 for number, at_ns in enumerate(times)]
        found += [beat - min(beats) for beat in beats]
    return found


def _arrivals(target: subprocess.Popen[bytes]) -> dict[str, list[int]]:
    assert target.stdin is not None
    assert target.stdout is not None
    target.stdin.write(b"\n")
    target.stdin.flush()
    found: dict[str, list[int]] = json.loads(target.stdout.readline())
    return found


def _child(parent: int) -> int | None:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for task in Path(f"/proc/{parent}/task").iterdir():
        children += (task / "children").read_text().split()
    return int(children[0]) if children else None


def _cpu_s(agent: int, server: int | None) -> tuple[float, float]:
    own = sum(_times(agent)[:2]) / _TICKS
    return own, (sum(_times(server)) / _TICKS if server else 0.0)


def _times(pid: int) -> list[int]:
    """Return user and system time, and those of children that ended (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[11:15]]


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"no VmRSS of {pid}")
