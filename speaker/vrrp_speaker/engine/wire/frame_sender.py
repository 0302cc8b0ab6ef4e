"""Frames beside advertisements, queued and paced, and never ahead of one.

They are announcements, gratuitous ARP and unsolicited NA, and questions: who has an address. A
burst repeats at growing distances, because a switch or neighbour may lose the first frames; after
it a slow refresh goes on for as long as the router is Active.

Switches limit such frames, so each interface has a budget (a token bucket): what exceeds it waits
its turn, the longest due first, and the first round of a router that just became Active was due
before the second of any other.
"""

from __future__ import annotations

import errno
import heapq
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.programs.program import Frame, Pace
from vrrp_speaker.engine.programs.set_aside import over
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state.layout import (
    H_ANNOUNCED,
    H_QUEUE_LENGTH,
    H_SEND_ERRORS,
    KINDS,
    name_hash,
)

_MS = 1_000_000
_SECOND = 1_000_000_000
ROUNDS_NS = (0, 50 * _MS, 200 * _MS, 1000 * _MS)
"""When the first rounds of a burst are due, from its beginning; further ones a second apart."""
BATCH = 32
"""Frames sent in one turn of the loop, so that advertisements wait for few of them."""
FRAMES_PER_SECOND = 1000
BURST_FRAMES = 250
"""The budget of one interface: how fast it grows, and how much of it may be saved up."""

# The link is down or its queue is full: the next round comes.
_TRANSIENT = frozenset({errno.ENETDOWN, errno.ENXIO, errno.ENODEV, errno.ENOBUFS, errno.EAGAIN})


def round_offset_ns(plan: Pace, number: int) -> int | None:
    """Return when a round is due, from the burst's beginning; None once only refreshes follow.

    ``plan.burst`` rounds, and one ``plan.repeat_after_ns`` after the beginning if that is later.
    """
    if number < min(plan.burst, len(ROUNDS_NS)):
        return ROUNDS_NS[number]
    if number < plan.burst:
        return ROUNDS_NS[-1] + (number - len(ROUNDS_NS) + 1) * _SECOND
    last_ns = round_offset_ns(plan, plan.burst - 1) or 0
    if number == plan.burst and plan.repeat_after_ns > last_ns:
        return plan.repeat_after_ns
    return None


@dataclass(slots=True)
class _Schedule:
    """One router's announcements on one interface: what, since when, and how far it got."""

    name: str
    sequence: int
    plan: Pace
    frames: tuple[bytes, ...]
    kinds: tuple[int, ...]
    begun_ns: int
    round: int = 0
    position: int = 0
    """The next frame of the round; a batch or a budget may interrupt one."""

    def next_round_ns(self, now_ns: int) -> int | None:
        """Begin the next round and return when it is due; None when there is none."""
        self.round += 1
        self.position = 0
        offset_ns = round_offset_ns(self.plan, self.round)
        if offset_ns is not None:
            return self.begun_ns + offset_ns
        refresh_ns = self.plan.refresh_ns
        if not refresh_ns:
            return None
        # Spread by name and round, so that routers that began together do not stay together.
        spread_ns = name_hash(self.name) * self.round % (refresh_ns // 4)
        return now_ns + refresh_ns - refresh_ns // 8 + spread_ns


Send = Callable[[int, bytes, int], None]
"""Sends (interface, frame, index of its kind)."""


@dataclass(slots=True)
class _Interface:
    """The queue of one interface, ordered by when things became due, and its budget."""

    ifindex: int
    frames_left: float = BURST_FRAMES
    at_ns: int = 0
    entries: list[tuple[int, int, str]] = field(default_factory=list)
    current: dict[str, _Schedule] = field(default_factory=dict)

    def begin(self, schedule: _Schedule) -> None:
        """Queue a burst; an earlier one of this name is replaced."""
        self.current[schedule.name] = schedule
        heapq.heappush(self.entries, (schedule.begun_ns, schedule.sequence, schedule.name))

    def deadline_ns(self) -> int | None:
        """Return when the next frame may go."""
        if self._next() is None:
            return None
        short = max(0.0, 1 - self.frames_left)
        return max(self.entries[0][0], self.at_ns + int(short * _SECOND / FRAMES_PER_SECOND))

    def run(self, now_ns: int, batch: int, send: Send) -> int:
        """Send what is due and within the budget; return what is left of the batch."""
        self._grow(now_ns)
        while batch and self.frames_left >= 1:
            schedule = self._next()
            if schedule is None or self.entries[0][0] > now_ns:
                break
            send(
                self.ifindex, schedule.frames[schedule.position], schedule.kinds[schedule.position]
            )
            schedule.position += 1
            self.frames_left -= 1
            batch -= 1
            if schedule.position == len(schedule.frames):
                heapq.heappop(self.entries)
                with over(schedule.name):
                    due_ns = schedule.next_round_ns(now_ns)
                if due_ns is not None:
                    heapq.heappush(self.entries, (due_ns, schedule.sequence, schedule.name))
                else:
                    del self.current[schedule.name]
        return batch

    def due(self, now_ns: int) -> int:
        """Return how many routers wait for their turn."""
        if not self.entries or self.entries[0][0] > now_ns:
            return 0  # as in nearly every turn of the loop
        return sum(1 for due_ns, _, _ in self.entries if due_ns <= now_ns)

    def _grow(self, now_ns: int) -> None:
        grown = (now_ns - self.at_ns) * FRAMES_PER_SECOND / _SECOND
        self.frames_left, self.at_ns = min(float(BURST_FRAMES), self.frames_left + grown), now_ns

    def _next(self) -> _Schedule | None:
        """Return the schedule whose entry is first; stale entries are dropped."""
        while self.entries:
            _, sequence, name = self.entries[0]
            schedule = self.current.get(name)
            if schedule is not None and schedule.sequence == sequence:
                return schedule
            heapq.heappop(self.entries)
        return None


class FrameSender(Concern):
    """Sends frames for every router of the node, and for the node itself, by name."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self._interfaces: dict[int, _Interface] = {}
        self._sequence = 0

    def begin(self, name: str, frames: tuple[Frame, ...], plan: Pace, begun_ns: int) -> None:
        """Begin a burst, now or a little later; an earlier one of this name is replaced."""
        self.cancel(name)
        self._sequence += 1
        for ifindex, (data, kinds) in _by_interface(frames).items():
            interface = self._interfaces.setdefault(ifindex, _Interface(ifindex))
            interface.begin(_Schedule(name, self._sequence, plan, data, kinds, begun_ns))

    def under_way(self, name: str) -> bool:
        """Return whether anything of this name is still to be sent."""
        return any(name in interface.current for interface in self._interfaces.values())

    def keep_only(self, name: str, frames: tuple[Frame, ...]) -> None:
        """Go on with these frames instead; nothing is announced that is no longer ours."""
        kept = _by_interface(frames)
        for ifindex, interface in self._interfaces.items():
            schedule = interface.current.get(name)
            if schedule is None:
                continue
            if ifindex not in kept:
                del interface.current[name]
                continue
            schedule.frames, schedule.kinds = kept[ifindex]
            schedule.position = 0

    def cancel(self, name: str) -> None:
        """Forget a router that is no longer Active."""
        for interface in self._interfaces.values():
            interface.current.pop(name, None)

    def next_deadline_ns(self) -> int | None:
        """Return when the next frame may go."""
        deadlines = [i.deadline_ns() for i in self._interfaces.values()]
        return min((d for d in deadlines if d is not None), default=None)

    def run(self, now_ns: int) -> None:
        """Send what is due and within the budgets, at most ``BATCH`` frames."""
        batch = BATCH
        for interface in self._interfaces.values():
            batch = interface.run(now_ns, batch, self._send)
        due = sum(interface.due(now_ns) for interface in self._interfaces.values())
        self._shared.set(H_QUEUE_LENGTH, due)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, ifindex: int, frame: bytes, kind: int) -> None:
        try:
            self._socket.sendto(frame, (socket.if_indextoname(ifindex), 0))
        except OSError as error:
            # The link is down, its queue full, the frame too long for it: other frames go on.
            if error.errno not in _TRANSIENT:
                self._shared.add(H_SEND_ERRORS)
            return
        self._shared.add(H_ANNOUNCED + 8 * kind)


def _by_interface(
    frames: tuple[Frame, ...],
) -> dict[int, tuple[tuple[bytes, ...], tuple[int, ...]]]:
    """Return the frames of each interface, and the index of each one's kind."""
    found: dict[int, tuple[tuple[bytes, ...], tuple[int, ...]]] = {}
    for item in frames:
        data, kinds = found.get(item.ifindex, ((), ()))
        found[item.ifindex] = (*data, item.data), (*kinds, KINDS.index(item.kind))
    return found
