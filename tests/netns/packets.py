"""``python -m tests.netns.packets RATE SECONDS``: send frames at a bounded rate.

The frames come as hexadecimal lines on standard input and go round and round through eth0; at the
end the number sent is printed. Many leave with one system call (sendmmsg(2)), which Python has not.
"""

from __future__ import annotations

import ctypes
import itertools
import socket
import sys
import time
from collections.abc import Iterable

_BATCH_S = 0.01
_MOST_PER_S, _LONGEST_S = 50_000, 5.0


class _Buffer(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("buffers", ctypes.POINTER(_Buffer)),
        ("buffer_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


def _messages(frames: Iterable[bytes]) -> ctypes.Array[_Message]:
    buffers = [_Buffer(frame, len(frame)) for frame in frames]
    listed = [_Message(_Header(buffers=ctypes.pointer(b), buffer_count=1)) for b in buffers]
    return (_Message * len(listed))(*listed)


def main() -> None:
    """Send until the time is over; what was missed is not made up for."""
    rate = min(_MOST_PER_S, int(sys.argv[1]))
    frames = [bytes.fromhex(line) for line in sys.stdin]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("eth0", 0))
    libc = ctypes.CDLL(None, use_errno=True)
    batch = _messages(itertools.islice(itertools.cycle(frames), int(rate * _BATCH_S)))
    begun_s = due_s = time.monotonic()
    sent = 0
    while time.monotonic() < begun_s + min(_LONGEST_S, float(sys.argv[2])):
        sent += max(0, libc.sendmmsg(wire.fileno(), batch, len(batch), 0))
        due_s = max(due_s + _BATCH_S, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
    print(sent)


if __name__ == "__main__":
    main()
