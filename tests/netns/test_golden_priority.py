"""What keepalived did with 216 combinations of trackers, by health checks and read off the wire.

Each recorded row becomes one Virtual Router with its trackers as health checks of the matching
kind: files, processes and interfaces as what they are, a script as an exec check where it is
keepalived 2.2.7's and as a TCP check where it is 2.4.3's. A router in FAULT is silent.
Source: tests/vectors/golden-priority.jsonl and golden-priority-steps.jsonl.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.lone import LoneSpeaker, router

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
VECTORS = Path(__file__).resolve().parents[1] / "vectors"
OWNER = 255
UP_PROCESS, DOWN_PROCESS = "golden-up", "golden-down"
UP_PORT, DOWN_PORT = 7001, 7002
FAULT = "FAULT"
_LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1000) as listener:
    while True:
        listener.accept()[0].close()
"""
Row = Mapping[str, Any]


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


EXPRESSIBLE = [row for row in rows("golden-priority.jsonl") if row["base"] != OWNER]
"""An owner's priority cannot be asked for: an address of a node's own is no VirtualIP."""
STEPS = rows("golden-priority-steps.jsonl")


def weight(tracker: Row) -> int:
    """Return the weight that counts: the line's, the tracker's own, keepalived's default."""
    default = 1 if tracker["kind"] == "file" else 0
    own = default if tracker["weight"] is None else tracker["weight"]
    return int(tracker.get("line_weight", own))


def kind(tracker: Row, name: str, speaker: LoneSpeaker, version: str) -> dict[str, Any]:
    up = tracker.get("state") == "up"
    match tracker["kind"]:
        case "file":
            return {"file": {"path": str(speaker.files / name)}}
        case "process":
            return {"process": {"name": UP_PROCESS if up else DOWN_PROCESS}}
        case "interface":
            return {"interface": {"name": "up0" if up else "down0"}}
        case "script" if version == "2.2.7":
            return {"exec": {"script": "exit.sh", "args": ["0" if up else "1"]}}
        case "script":
            return {"tcp": {"address": f"127.0.0.1:{UP_PORT if up else DOWN_PORT}"}}
        case other:
            raise AssertionError(other)


def health_check(tracker: Row, name: str, speaker: LoneSpeaker, version: str) -> dict[str, Any]:
    check = {"name": name, "interval": "1s", "weight": weight(tracker)}
    if weight(tracker) == 0:
        check["panicThreshold"] = "Never"
    return {**check, **kind(tracker, name, speaker, version)}


@pytest.fixture
def speaker(lan: Lan) -> Iterator[LoneSpeaker]:
    with LoneSpeaker(lan) as made:
        yield made


def furnish(speaker: LoneSpeaker) -> None:
    """Make what the trackers look at: a process, two interfaces, a script, a server."""
    namespace = speaker.host.namespace
    program = speaker.folder / UP_PROCESS
    shutil.copy("/bin/sleep", program)
    namespace.start([str(program), "infinity"])
    for name in ("up0", "down0"):
        namespace.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
    namespace.run("ip", "link", "set", "up0", "up")
    namespace.run("ip", "link", "set", "up0-peer", "up")
    speaker.script("exit.sh", 'exit "$1"')
    namespace.start([sys.executable, "-c", _LISTEN, str(UP_PORT)])


def test_every_row_that_can_be_expressed(speaker: LoneSpeaker) -> None:
    assert (len(EXPRESSIBLE), len(rows("golden-priority.jsonl"))) == (198, 216)
    furnish(speaker)
    routers, checks, expected = [], [], {}
    for vrid, row in enumerate(EXPRESSIBLE, 1):
        used = []
        for number, tracker in enumerate(row["trackers"]):
            name = f"r{vrid}-{number}"
            if tracker["kind"] == "file":
                (speaker.files / name).write_text(f"{tracker['value']}\n")
            checks.append(health_check(tracker, name, speaker, row["version"]))
            used.append((name, weight(tracker), tracker["reverse"]))
        routers.append(router(vrid, row["base"], used, speaker.peer))
        expected[vrid] = row["effective"]
    speaker.configure(routers, checks)
    speaker.start()
    silent = {vrid for vrid, effective in expected.items() if effective == FAULT}
    loud = {vrid: effective for vrid, effective in expected.items() if effective != FAULT}

    def said() -> bool:
        last = {vrid: said[-1] for vrid, said in speaker.advertised().items()}
        differing = {v: (last.get(v), loud[v]) for v in loud if last.get(v) != loud[v]}
        assert not differing, f"VRID: (advertised, expected): {differing}"
        return True

    eventually(said, within_s=60, every_s=0.5)

    def in_fault() -> bool:
        states = speaker.states()
        assert {vrid: states[f"r{vrid}"] for vrid in silent} == dict.fromkeys(silent, "Fault")
        return True

    eventually(in_fault, within_s=20, every_s=0.5)
    heard = speaker.advertised()
    assert not silent & heard.keys(), {vrid: heard[vrid] for vrid in silent & heard.keys()}
    print(f"{len(loud)} rows advertised, {len(silent)} rows silent, {len(checks)} health checks")


def test_every_row_of_steps(speaker: LoneSpeaker) -> None:
    """Files change under a running router; all sequences go on step by step, side by side.

    A peer is there to take over when a step makes a Fault: one that may have hit every node ends in
    a successor only. Then it goes, for a priority of 1 does not preempt another one.
    """
    routers, checks = [], []
    for vrid, row in enumerate(STEPS, 1):
        used = []
        for number, tracker in enumerate(row["trackers"]):
            name = f"r{vrid}-{number}"
            checks.append(health_check({"kind": "file", **tracker}, name, speaker, "2.2.7"))
            used.append((name, weight(tracker), tracker["reverse"]))
        routers.append(router(vrid, row["base"], used, speaker.peer))
    speaker.configure(routers, checks)
    speaker.start()
    eventually(lambda: len(speaker.advertised()) == len(STEPS), within_s=30, every_s=0.2)
    for number in range(max(len(row["steps"]) for row in STEPS)):
        wanted = {
            vrid: row["steps"][number]
            for vrid, row in enumerate(STEPS, 1)
            if number < len(row["steps"])
        }
        take_step(speaker, wanted)


def take_step(speaker: LoneSpeaker, wanted: Mapping[int, Row]) -> None:
    """Write the files of one step and wait until everything that it means is seen."""
    silent = {vrid for vrid, step in wanted.items() if step["effective"] == FAULT}
    if silent:
        speaker.start_peer(range(1, len(STEPS) + 1))
    before = speaker.runs()
    names = []
    for vrid, step in wanted.items():
        for number, value in enumerate(step["values"]):
            name = f"r{vrid}-{number}"
            fresh = speaker.files / "fresh"
            fresh.write_text(f"{value}")
            fresh.replace(speaker.files / name)
            names.append(name)

    def read() -> bool:
        now = speaker.runs()
        return all(now[name] >= before[name] + 2 for name in names)  # one began after the change

    eventually(read, within_s=20, every_s=0.1)

    def in_fault() -> bool:
        states = speaker.states()
        return {states[f"r{vrid}"] for vrid in silent} <= {"Fault"}

    eventually(in_fault, within_s=20, every_s=0.1)
    if silent:
        speaker.stop_peer()
    since_ns = time.monotonic_ns()
    loud = {vrid: step["effective"] for vrid, step in wanted.items() if vrid not in silent}

    def said() -> bool:
        heard = {vrid: said[-2:] for vrid, said in speaker.advertised(since_ns).items()}
        differing = {v: (heard.get(v), loud[v]) for v in loud if heard.get(v) != [loud[v]] * 2}
        assert not differing, f"VRID: (advertised, expected): {differing}"
        return True

    eventually(said, within_s=20, every_s=0.2)
    assert not silent & speaker.advertised(since_ns).keys()
