"""``python -m tests.netns.packets RATE SECONDS``: send frames at a bounded rate.

The frames come as hexadecimal lines on standard input and go round and round through eth0; at the
end the number sent is printed.
"""

from __future__ import annotations

import socket
import sys
import time

_BATCH_S = 0.01
_MOST_PER_S, _LONGEST_S = 50_000, 5.0


def main() -> None:
    """Send until the time is over; what was missed is not made up for."""
    rate = min(_MOST_PER_S, int(sys.argv[1]))
    frames = [bytes.fromhex(line) for line in sys.stdin]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("eth0", 0))
    begun_s = due_s = time.monotonic()
    sent = 0
    while time.monotonic() < begun_s + min(_LONGEST_S, float(sys.argv[2])):
        for _ in range(int(rate * _BATCH_S)):
            wire.send(frames[sent % len(frames)])
            sent += 1
        due_s = max(due_s + _BATCH_S, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
    print(sent)


if __name__ == "__main__":
    main()
