"""A kernel without IFA_PROTO is told from one that has it, and the speaker does not run on it."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrrp_speaker import __main__
from vrrp_speaker.engine.network.netlink import RequestSocket
from vrrp_speaker.supervisor.kernel import require_address_marks
from vrrp_speaker.supervisor.run_directory import CannotRunError


@pytest.mark.parametrize("answer", [errno.ERANGE, errno.EPERM, errno.ETIMEDOUT])
def test_kernel_that_knows_the_mark_or_does_not_tell_is_not_refused(answer: int) -> None:
    require_address_marks(lambda _request: answer)


def test_kernel_that_passes_over_the_mark_is_refused() -> None:
    with pytest.raises(
        CannotRunError, match=r"^kernel .*IFA_PROTO.*accepted: Linux 5\.18 or newer"
    ):
        require_address_marks(lambda _request: errno.ENODEV)


@pytest.fixture
def signals() -> Iterator[None]:
    """Lets this process have its signals again, which a speaker blocks as it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_speaker_on_such_a_kernel_says_so_and_touches_nothing(
    signals: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked: list[bytes] = []

    def answer_as_an_old_kernel(_socket: RequestSocket, message: bytes) -> int:
        asked.append(message)
        return errno.ENODEV

    monkeypatch.setattr(RequestSocket, "request", answer_as_an_old_kernel)
    run_dir = tmp_path / "run"
    flags = ["--node", "node-1", "--run-dir", str(run_dir), "--state-dir", str(tmp_path / "state")]
    monkeypatch.setattr(sys, "argv", ["vrrp-speaker", *flags])
    assert __main__.main() == 4
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("vrrp-speaker: kernel ")
    assert "update the node's kernel, or keep the speaker off the node" in line
    assert len(asked) == 1
    assert not run_dir.exists()
