"""What the supervisor knows of its children."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from vrrp_speaker.supervisor import Child


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_child_is_over_once_its_pulse_has_ended_and_is_not_waited_for(
    sleeper: subprocess.Popen[bytes],
) -> None:
    pulse, pulse_end = os.pipe()
    child = Child("engine", 0.5)
    assert not child.is_over()
    child.started(sleeper.pid, pulse)
    assert not child.is_over()
    os.close(pulse_end)
    assert child.is_over()
    assert child.leave() == sleeper.pid
    assert sleeper.poll() is None
    assert (child.pid, child.descriptors, child.failures) == (0, [], 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pulse)


def test_child_without_a_pulse_is_over_when_it_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    child = Child("agent", 0.5)
    child.started(sleeper.pid, -1)
    assert not child.is_over()
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert child.is_over()
    child.started_s -= 1
    child.failures = 7
    child.leave()
    assert child.failures == 1
