"""The engine's loop: deadlines of Active routers, then what was received, then what else is due.

One turn: write the heartbeat; handle every deadline that has passed; look around; wait; handle what
has passed meanwhile; take in a bounded batch of what came. To look around is to have every concern
do what is due besides elections (``concern``). Most turns of a node with many elections send or
hear one advertisement, which changes nothing there, so they leave it out (``_look_around_ns``).

An Active router's deadline comes before whatever was received: it may have slept, and then others
may be Active. A Backup's comes after it: what was received may be why it stays Backup.
Nothing here waits for the agent, the API server, a disk, or the kernel's rtnl lock.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from time import monotonic_ns, time_ns

from vrrp.authentication import sequence_of
from vrrp.constants import RejectReason, State
from vrrp.events import DeadlineReached, OthersAdvertise, Shutdown
from vrrp_speaker.alarm import Alarm
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.routers.assembly import RouterParts, World
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.waits import Waits
from vrrp_speaker.engine.wire.clocks import Clocks
from vrrp_speaker.shared_state import layout as shm

STOP_NS = 20_000_000_000
"""The longest that a stop waits for successors; Kubernetes kills after 30 s by default."""
ORPHAN_STOP_NS = 2_000_000_000
"""The same where the supervisor is dead: no other speaker can start before the engine has ended."""
UNBIND_NS = 2_000_000_000
"""How much longer the kernel may take to remove the addresses."""
HEARTBEAT_NS = 100_000_000
"""The longest wait: /healthz expects a turn at least this often."""
LOOK_AROUND_NS = 20_000_000
"""A loop that turns looks around at least this often, whether anything asked for it or not."""
_AHEAD = 8
"""An eighth of its interval before it is due an advertisement goes along with others."""
_TURNS_PER_LIMIT = 4
"""How often the loop turns at least while the supervisor would let it be silent."""
_BATCH = 64
_WAITING = 1024
"""As many datagrams as may have come within an interval are taken in before a Backup acts."""
_SIGNALS = 64
"""As many bytes of the wakeup descriptor are taken at once, one for each signal."""
_REJECTIONS = {reason: shm.H_REJECTED + 8 * i for i, reason in enumerate(shm.REJECTIONS)}


class Loop:
    """Runs the node's Virtual Routers until ``stop`` is called."""

    def __init__(self, world: World, parts: RouterParts, alarm: Alarm) -> None:
        self._shared = world.shared
        self._clock, self._clocks = world.clock, Clocks(world.clock)
        self._transport = world.transport
        self._worker = world.worker
        self._dispatcher = parts.dispatcher
        self._executor = parts.executor
        self._table = parts.table
        self._hearing = parts.hearing
        self._faults = parts.faults
        self._foreign = parts.foreign
        self._alarm = alarm
        self._concerns: Sequence[Concern] = ()
        self._owners: dict[int, Concern] = {}
        """Whose each descriptor is."""
        self._own: tuple[int, ...] = ()
        """The loop's own descriptors."""
        self._late: deque[RunningRouter] = deque()
        """Routers that are not Active and whose deadline has come, to be handled after hearing."""
        self._look_around_ns = 0
        """When to look around; 0: in this turn, because something happened."""
        self._others_due_ns = self._longest_wait_ns = 0
        self.stopping = False
        """Whether the end has begun; then the agent is not listened to any more."""
        self._stop_within_ns = STOP_NS
        self._stop_begun_ns: int | None = None
        self._waits = Waits()

    def stop(self) -> None:
        """Begin to end: every Active router releases, and holds on until a successor is heard."""
        self.stopping = True

    def run(self, concerns: Sequence[Concern], wakeup: int, parent: int) -> bool:
        """Turn until stopped; return whether the kernel removed every address.

        Args:
            concerns: what there is to do besides elections, in this order.
            wakeup: a non-blocking descriptor that becomes readable when a signal arrived.
            parent: a descriptor that reads end-of-file when the supervisor died.
        """
        self._concerns, self._own = concerns, (*self._transport.filenos(), wakeup, parent)
        self._follow_descriptors()
        while not self._stopped():
            now_ns = monotonic_ns()
            self._shared.set(shm.H_HEARTBEAT, now_ns)
            self._alarm.wind(now_ns)
            self._run_deadlines(now_ns)
            if self._is_to_look_around(now_ns):
                self._look_around(now_ns)
            self._worker.flush()
            ready = self._wait()
            if parent in ready:
                self._own = self._own[:-1]  # it stays readable
                self._stop_within_ns = ORPHAN_STOP_NS
                self.stop()
            if wakeup in ready:
                os.read(wakeup, _SIGNALS)  # left there, it would wake us for good
            now_ns = monotonic_ns()
            if self._is_to_look_around(now_ns):
                for concern in self._concerns:
                    concern.woken(now_ns)
            # A deadline that passed while we waited comes before anything that was received.
            self._run_active_deadlines(now_ns)
            self._take_in(ready)
        self._release_all(monotonic_ns(), hand_over=False)
        unbound = self._await_unbinding()
        self._waits.close()
        return unbound

    def _stopped(self) -> bool:
        """Return whether the end has come; at the first call after ``stop`` it begins."""
        if not self.stopping:
            return False
        now_ns = monotonic_ns()
        if self._stop_begun_ns is None:
            self._stop_begun_ns = now_ns
            self._release_all(now_ns, hand_over=True)
        holding = any(router.machine.holding for router in self._table.everybody())
        return now_ns - self._stop_begun_ns >= self._stop_within_ns or not holding

    def _release_all(self, now_ns: int, *, hand_over: bool) -> None:
        """Priority 0 to the peers; the addresses go now, or once a successor has them."""
        for router in self._table.everybody():
            event = Shutdown(hand_over=hand_over and router.can_hand_over)
            self._dispatcher.give(router, event, now_ns)
            assert router.machine.state is State.INITIALIZE

    def _await_unbinding(self) -> bool:
        """Wait for the kernel to remove what is to be removed; return whether it did."""
        leases, until_ns = self._executor.leases, monotonic_ns() + UNBIND_NS
        while leases.unbinding and (now_ns := monotonic_ns()) < until_ns:
            self._shared.set(shm.H_HEARTBEAT, now_ns)
            self._worker.wait(min(HEARTBEAT_NS, until_ns - now_ns) / 1e9)
            leases.settle(now_ns)
        return not leases.unbinding

    # Deadlines -------------------------------------------------------------------------

    def _wait(self) -> set[int]:
        """Wait for whatever is due or comes; return the descriptors with something to read."""
        if self._late:
            return self._waits.wait(0)
        now_ns, fine = monotonic_ns(), False
        due_ns = min(now_ns + self._longest_wait_ns, self._others_due_ns)
        nearest = self._dispatcher.nearest()
        if nearest is not None and nearest[0] < due_ns:
            due_ns, router = nearest
            # Backups take over in the order of their skews, as far as they did not hear meanwhile.
            fine = (
                router.machine.state is not State.ACTIVE
                and router.machine.next_deadline_ns() == due_ns
            )
        return self._waits.wait(max(0, due_ns - now_ns) / 1e9, fine=fine)

    def _is_to_look_around(self, now_ns: int) -> bool:
        """Return whether it is time, or a router did more than to advertise."""
        return self._dispatcher.acted or now_ns >= self._look_around_ns

    def _look_around(self, now_ns: int) -> None:
        """Do what is due besides elections, and find out when that is the case again."""
        self._shared.set(shm.H_CLOCK_OFFSET, self._clock.offset_ns)
        for concern in self._concerns:
            concern.run(now_ns)
        self._dispatcher.acted = False
        self._follow_descriptors()
        limit_ns = self._shared.get(shm.H_SILENCE_LIMIT) or HEARTBEAT_NS * _TURNS_PER_LIMIT
        self._longest_wait_ns = min(HEARTBEAT_NS, limit_ns // _TURNS_PER_LIMIT)
        others = (concern.next_deadline_ns() for concern in self._concerns)
        self._others_due_ns = min(
            (due_ns for due_ns in others if due_ns is not None), default=now_ns + HEARTBEAT_NS
        )
        self._look_around_ns = min(self._others_due_ns, now_ns + LOOK_AROUND_NS)

    def _follow_descriptors(self) -> None:
        """Wait on the descriptors that there are by now."""
        self._owners = {fd: concern for concern in self._concerns for fd in concern.filenos()}
        self._waits.follow((*self._own, *self._owners))

    def _run_deadlines(self, now_ns: int) -> None:
        """Handle every deadline that has passed; those of Backups once all was heard."""
        self._run_active_deadlines(now_ns)
        if not self._late:
            return
        for descriptor in self._transport.filenos():
            self._receive_advertisements(descriptor, _WAITING)
        while self._late:
            now_ns = monotonic_ns()
            # Dozens of takeovers take milliseconds: what became due meanwhile is next.
            self._run_active_deadlines(now_ns)
            router = self._late.popleft()
            self._executor.others_wait = bool(self._late)
            self._reach_deadline(router, now_ns)

    def _run_active_deadlines(self, now_ns: int) -> None:
        """Handle the deadlines of Active routers, and note the others'."""
        # First, because a router whose addresses a stranger has is not to become Active.
        if self._faults.judge_conflicts(now_ns):
            self._look_around_ns = 0
        intervals: set[int] = set()
        while due := self._dispatcher.pop_due(now_ns):
            if due.machine.state is State.ACTIVE:
                self._reach_deadline(due, now_ns)
                intervals.add(due.machine.parameters.adver_interval_ns)
            else:
                self._late.append(due)
        for interval_ns in intervals:
            self._take_along(interval_ns, now_ns)

    def _take_along(self, interval_ns: int, now_ns: int) -> None:
        """Have Active routers of the same interval advertise that are to do so soon.

        From then on they are due together: that wakes this node, and their peers, less often.
        """
        until_ns = now_ns + interval_ns // _AHEAD
        while (router := self._dispatcher.head(until_ns)) is not None:
            mine = router.machine
            if mine.state is not State.ACTIVE or mine.parameters.adver_interval_ns != interval_ns:
                return
            self._dispatcher.unqueue()
            self._dispatcher.give(router, OthersAdvertise(), now_ns)

    def _reach_deadline(self, router: RunningRouter, now_ns: int) -> None:
        deadline_ns = router.machine.next_deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            self._note_lateness(now_ns - deadline_ns)
            self._dispatcher.give(router, DeadlineReached(), now_ns)
        else:
            self._dispatcher.schedule(router)  # it moved on meanwhile

    def caught_up_ns(self) -> int:
        """Return the time, with every Active router's deadline handled that has passed by now.

        The process may have stood still since the loop looked: then whatever comes next is for a
        router that has to step down first.
        """
        now_ns = monotonic_ns()
        if self._dispatcher.is_due(now_ns):
            self._run_active_deadlines(now_ns)
        return now_ns

    def _note_lateness(self, late_ns: int) -> None:
        bucket = bisect_left(shm.LATENESS_BOUNDS_NS, late_ns)
        self._shared.add(shm.H_LATENESS + 8 * bucket)
        self._shared.add(shm.H_LATENESS_SUM, late_ns)

    # What came in ----------------------------------------------------------------------

    def _take_in(self, ready: set[int]) -> None:
        for descriptor in self._transport.filenos():
            if descriptor in ready:
                self._receive_advertisements(descriptor, _BATCH)
        for descriptor, concern in self._owners.items():
            if descriptor in ready:
                concern.receive(descriptor, monotonic_ns())
                self._look_around_ns = 0

    def _receive_advertisements(self, descriptor: int, most: int) -> None:
        for _ in range(most):
            datagram = self._transport.receive(descriptor)
            if datagram is None:
                return
            now_ns = self.caught_up_ns()
            wall_ns = self._clock.read(now_ns, time_ns())
            result = self._hearing.elections.validate(datagram, wall_ns, now_ns)
            if isinstance(result, RejectReason):
                self._shared.add(_REJECTIONS[result])
                self._foreign.refused(datagram, now_ns)
                if result is RejectReason.AUTH_STALE:  # its signature is good
                    self._clocks.heard(sequence_of(datagram.message), now_ns)
                continue
            if result.sequence is not None:
                self._clocks.heard(result.sequence, now_ns)
            router = self._hearing.note(result, now_ns)
            self._faults.heard(router, now_ns)
            self._dispatcher.give(router, result.event, now_ns)
