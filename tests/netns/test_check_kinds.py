"""Checks of a running speaker: what changes counts at once, and what hangs holds nobody up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.lone import LoneSpeaker, router

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
SLOW = {"interval": "1h", "panicThreshold": "Never"}
"""What is seen in time with this interval is seen without waiting for it."""


@pytest.fixture
def speaker(lan: Lan) -> Iterator[LoneSpeaker]:
    with LoneSpeaker(lan) as made:
        yield made


def run(speaker: LoneSpeaker, *checks: Mapping[str, Any]) -> None:
    """Configure one router for each check, named r1, r2 and so on."""
    speaker.configure(
        [
            router(vrid, 100, [(check["name"], 0, False)], speaker.peer)
            for vrid, check in enumerate(checks, 1)
        ],
        checks,
    )


def until(speaker: LoneSpeaker, *states: str) -> None:
    wanted = {f"r{vrid}": state for vrid, state in enumerate(states, 1)}
    eventually(lambda: speaker.states() == wanted, within_s=20, every_s=0.1)


def found(ready: str, endpoints: int) -> list[dict[str, Any]]:
    condition = {"type": "Ready", "status": "True", "observed": ready}
    service = {"namespace": "web", "name": "front", "readyEndpoints": endpoints}
    return [
        {"name": "condition", "nodeCondition": condition, **SLOW},
        {"name": "service", "service": service, **SLOW},
    ]


def test_findings_of_the_operator_count_with_the_configuration(speaker: LoneSpeaker) -> None:
    run(speaker, *found("True", 0))
    speaker.start()
    until(speaker, "Active", "Fault")
    run(speaker, *found("Unknown", 2))
    until(speaker, "Fault", "Active")


def test_what_the_kernel_tells_counts_without_an_interval(speaker: LoneSpeaker) -> None:
    namespace = speaker.host.namespace
    namespace.run("ip", "link", "add", "veth0", "up", "type", "veth", "peer", "name", "peer0")
    run(
        speaker,
        {"name": "interface", "interface": {"name": "veth0"}, **SLOW},
        {"name": "file", "file": {"path": f"{speaker.files}/fault"}, **SLOW},
        {"name": "process", "process": {"name": "kv-live"}, **SLOW},
    )
    speaker.start()
    until(speaker, "Fault", "Active", "Fault")
    namespace.run("ip", "link", "set", "peer0", "up")
    (speaker.files / "fault").write_text("1")
    program = speaker.folder / "kv-live"
    program.symlink_to("/bin/sleep")
    process = namespace.start([str(program), "600"])
    until(speaker, "Active", "Fault", "Active")
    process.kill()
    (speaker.files / "fault").unlink()
    until(speaker, "Active", "Active", "Fault")


def test_a_script_that_hangs_holds_nobody_up(speaker: LoneSpeaker) -> None:
    speaker.script("hang.sh", "trap '' TERM; while :; do sleep 600; done")
    speaker.script("fine.sh", "exit 0")
    timed = {"interval": "1s", "timeout": "300ms", "panicThreshold": "Never"}
    run(
        speaker,
        {"name": "hang", "exec": {"script": "hang.sh"}, **timed},
        {"name": "fine", "exec": {"script": "fine.sh"}, **timed},
        {"name": "answer", "ping": {"address": speaker.peer.address}, **timed},
        {"name": "nobody", "ping": {"address": "192.0.2.77"}, **timed},
        {"name": "unknown", "exec": {"script": "unknown.sh"}, **timed},
        {"name": "late", "exec": {"script": "fine.sh"}, "initialState": "Failing", **timed},
    )
    speaker.start()
    until(speaker, "Fault", "Active", "Active", "Fault", "Fault", "Active")
