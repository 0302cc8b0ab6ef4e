"""What the speaker needs in its run directory before it starts anything: lock, memory, socket.

Standard library only: it belongs to process 1.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

from vrrp_speaker.options import Options
from vrrp_speaker.shared_state import SharedState


class CannotRunError(Exception):
    """The speaker cannot start here; the message is one line for the user."""


def prepare_directories(options: Options) -> None:
    """Make the state and run directories where they do not exist.

    Raises:
        CannotRunError: one is not to be had.
    """
    for path in (options.state_dir, options.run_dir):
        try:
            os.makedirs(path, mode=0o755, exist_ok=True)
        except OSError as error:
            raise CannotRunError(f"directory {path}: {error.strerror}") from error


def create_shared_state(options: Options) -> SharedState:
    """Map what supervisor, engine and agent share.

    Raises:
        CannotRunError: the file cannot be made.
    """
    try:
        return SharedState.create(options.shared_state_path)
    except OSError as error:
        raise CannotRunError(f"{options.shared_state_path}: {error.strerror}") from error


def lock(options: Options) -> int:
    """Make sure that one speaker owns the run directory; the lock dies with its processes.

    Raises:
        CannotRunError: another one owns it, or the lock cannot be made.
    """
    path = os.path.join(options.run_dir, "lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CannotRunError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotRunError(f"run directory {options.run_dir}: another speaker uses it") from error
    return descriptor


def listen(path: str) -> socket.socket:
    """Return the socket on which engines accept the agent; it outlives each of them.

    Raises:
        CannotRunError: it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        listener.bind(path)
    except OSError as error:
        raise CannotRunError(f"socket {path}: {error.strerror or error}") from error
    os.chmod(path, 0o600)
    listener.listen(4)
    return listener
