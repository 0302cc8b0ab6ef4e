"""Gratuitous ARP and unsolicited NA: queued, paced, never ahead of an advertisement.

A burst repeats at growing distances, because a switch or neighbour may lose the first frames;
after it a slow refresh goes on for as long as the router is Active.
"""

from __future__ import annotations

import errno
import heapq
import socket

from vrrp_speaker.engine.program import Announcement
from vrrp_speaker.shared_state import H_ANNOUNCED, H_QUEUE_LENGTH, KINDS, SharedState

_MS = 1_000_000
BURST_NS = (0, 50 * _MS, 200 * _MS, 1000 * _MS, 5000 * _MS)
"""When the rounds of one burst are due, from its beginning."""
REFRESH_NS = 60_000 * _MS
BATCH = 32
"""Frames sent in one turn of the loop, so that advertisements wait for few of them."""
_ETH_P_ALL = 0x0003


class Announcer:
    """One queue of due rounds for the node, keyed by router name.

    A round is (due, sequence, name, index of the next frame); rounds of a router that was
    cancelled or announced anew are recognised by their sequence and dropped.
    """

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self._queue: list[tuple[int, int, str]] = []
        self._current: dict[str, tuple[int, int, int, tuple[Announcement, ...]]] = {}
        self._sequence = 0

    def announce(self, name: str, frames: tuple[Announcement, ...], now_ns: int) -> None:
        """Begin a burst for a router that became Active; an earlier one is replaced."""
        if not frames:
            return
        self._sequence += 1
        self._current[name] = (self._sequence, 0, now_ns, frames)
        heapq.heappush(self._queue, (now_ns, self._sequence, name))

    def cancel(self, name: str) -> None:
        """Forget a router that is no longer Active."""
        self._current.pop(name, None)

    def next_deadline_ns(self) -> int | None:
        """Return when the next round is due."""
        self._drop_stale()
        return self._queue[0][0] if self._queue else None

    def run(self, now_ns: int) -> None:
        """Send what is due, at most ``BATCH`` frames and always whole rounds."""
        sent = 0
        while sent < BATCH:
            self._drop_stale()
            if not self._queue or self._queue[0][0] > now_ns:
                break
            _, _, name = heapq.heappop(self._queue)
            sequence, round_index, begun_ns, frames = self._current[name]
            for frame in frames:
                self._send(frame)
            sent += len(frames)
            round_index += 1
            if round_index < len(BURST_NS):
                due_ns = begun_ns + BURST_NS[round_index]
            else:
                due_ns = now_ns + REFRESH_NS
            self._current[name] = (sequence, round_index, begun_ns, frames)
            heapq.heappush(self._queue, (due_ns, sequence, name))
        self._shared.set(H_QUEUE_LENGTH, self._due(now_ns))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _due(self, now_ns: int) -> int:
        return sum(1 for due_ns, _, _ in self._queue if due_ns <= now_ns)

    def _drop_stale(self) -> None:
        while self._queue:
            _, sequence, name = self._queue[0]
            current = self._current.get(name)
            if current is not None and current[0] == sequence:
                return
            heapq.heappop(self._queue)

    def _send(self, announcement: Announcement) -> None:
        try:
            interface = socket.if_indextoname(announcement.ifindex)
            self._socket.sendto(announcement.frame, (interface, 0))
        except OSError as error:
            # The link is down or its queue is full; the next round comes.
            if error.errno in (
                errno.ENETDOWN,
                errno.ENXIO,
                errno.ENODEV,
                errno.ENOBUFS,
                errno.EAGAIN,
            ):
                return
            raise
        self._shared.add(H_ANNOUNCED + 8 * KINDS.index(announcement.kind))
