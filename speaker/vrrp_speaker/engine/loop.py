"""The engine's loop: deadlines first, then what was received, then announcements.

One turn: write the heartbeat; handle every deadline that has passed; look around; wait; handle what
has passed meanwhile; take in a bounded batch of datagrams, netlink news and agent messages. To look
around is to do what is neither an election's deadline nor heard: announcements, questions,
retries. Most turns of a node with many elections send or hear one advertisement, which changes
nothing there, so they leave it out (``_look_around_ns``).
Nothing here waits for the agent, the API server or a disk.
"""

from __future__ import annotations

import heapq
import os
import select
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic_ns, time_ns

from vrrp.authentication import SignatureClock
from vrrp.constants import RejectReason, State
from vrrp.events import DeadlineReached, Event, Shutdown
from vrrp_speaker.engine.addresses.address_watch import AddressWatch
from vrrp_speaker.engine.addresses.announcer import Announcer
from vrrp_speaker.engine.agent_link import AgentLink
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.foreign import ForeignRouters
from vrrp_speaker.engine.neighbours.presence import Presence
from vrrp_speaker.engine.neighbours.resolution import Resolution
from vrrp_speaker.engine.network.netlink import News, NewsLostError, NewsSocket, RequestSocket
from vrrp_speaker.engine.network.node_network import Digest, NodeNetwork
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.router_table import RouterTable
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.wire.transport import Transport
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

STOP_NS = 20_000_000_000
"""The longest that a stop waits for successors; Kubernetes kills after 30 s by default."""
ORPHAN_STOP_NS = 2_000_000_000
"""The same where the supervisor is dead: no other speaker can start before the engine has ended."""
HEARTBEAT_NS = 100_000_000
"""The longest wait: /healthz expects a turn at least this often."""
LOOK_AROUND_NS = 20_000_000
"""A loop that turns looks around at least this often, whether anything asked for it or not."""
_TURNS_PER_LIMIT = 4
"""How often the loop turns at least while the supervisor would let it be silent."""
_BATCH = 64
_SIGNALS = 64
"""As many bytes of the wakeup descriptor are taken at once, one for each signal."""
_REJECTIONS = {reason: shm.H_REJECTED + 8 * i for i, reason in enumerate(shm.REJECTIONS)}


class Loop:
    """Runs the node's Virtual Routers until ``stop`` is called."""

    def __init__(
        self,
        *,
        shared: SharedState,
        clock: SignatureClock,
        transport: Transport,
        news: NewsSocket,
        requests: RequestSocket,
        announcer: Announcer,
        agent: AgentLink,
        executor: Executor,
        table: RouterTable,
        presence: Presence,
        conflicts: Conflicts,
        foreign: ForeignRouters,
        resolution: Resolution,
        network: NodeNetwork,
        handle_message: Callable[[dict[str, object], int], None],
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._transport = transport
        self._news = news
        self._requests = requests
        self._announcer = announcer
        self._agent = agent
        self._executor = executor
        self._table = table
        self._presence = presence
        self._conflicts = conflicts
        self._foreign = foreign
        self._resolution = resolution
        self._addresses = AddressWatch(shared, executor, requests, network, table.routers)
        self._asked: tuple[int, ...] = ()
        self._network = network
        self._handle_message = handle_message
        self._deadlines: list[tuple[int, int, RunningRouter]] = []
        self._look_around_ns = 0
        """When to look around; 0: in this turn, because something happened."""
        self._others_due_ns = self._longest_wait_ns = 0
        self._leaving: list[RunningRouter] = []
        self._stopping = False
        self._stop_within_ns = STOP_NS
        self._stop_begun_ns: int | None = None
        self._epoll = select.epoll()
        self._connection = -1

    def stop(self) -> None:
        """Begin to end: every Active router releases, and holds on until a successor is heard."""
        self._stopping = True

    def run(self, wakeup: int, parent: int) -> None:
        """Turn until stopped.

        Args:
            wakeup: a non-blocking descriptor that becomes readable when a signal arrived.
            parent: a descriptor that reads end-of-file when the supervisor died.
        """
        for descriptor in (
            *self._transport.filenos(),
            *self._conflicts.filenos(),
            *self._foreign.filenos(),
            self._news.fileno(),
            self._agent.listener.fileno(),
            wakeup,
            parent,
        ):
            self._epoll.register(descriptor, select.EPOLLIN)
        self._schedule_all()
        while not self._stopped():
            now_ns = monotonic_ns()
            self._shared.set(shm.H_HEARTBEAT, now_ns)
            self._run_deadlines(now_ns)
            if now_ns >= self._look_around_ns:
                self._look_around(now_ns)
            ready = {fd for fd, _ in self._epoll.poll(self._wait_s(), 16)}
            if parent in ready:
                self._epoll.unregister(parent)  # it stays readable
                self._stop_within_ns = ORPHAN_STOP_NS
                self.stop()
            if wakeup in ready:
                os.read(wakeup, _SIGNALS)  # left there, it would wake us for good
            now_ns = monotonic_ns()
            if now_ns >= self._look_around_ns:
                self._resolution.look(now_ns)
            # A deadline that passed while we waited comes before anything that was received.
            self._run_deadlines(now_ns)
            self._take_in(ready)
        self._release_all(monotonic_ns(), hand_over=False)
        self._epoll.close()

    def _stopped(self) -> bool:
        """Return whether the end has come; at the first call after ``stop`` it begins."""
        if not self._stopping:
            return False
        now_ns = monotonic_ns()
        if self._stop_begun_ns is None:
            self._stop_begun_ns = now_ns
            self._release_all(now_ns, hand_over=True)
        holding = any(router.machine.holding for router in self._everybody())
        return now_ns - self._stop_begun_ns >= self._stop_within_ns or not holding

    def _release_all(self, now_ns: int, *, hand_over: bool) -> None:
        """Priority 0 to the peers; the addresses go now, or once a successor has them."""
        for router in self._everybody():
            event = Shutdown(hand_over=hand_over and router.can_hand_over)
            self.handle(router, event, now_ns)
            assert router.machine.state is State.INITIALIZE

    def _everybody(self) -> list[RunningRouter]:
        """Return the routers of the program, and those removed from it that hold addresses yet."""
        self._leaving = [router for router in self._leaving if router.machine.holding]
        return [*self._table.routers.values(), *self._leaving]

    # Deadlines -------------------------------------------------------------------------

    def _wait_s(self) -> float:
        now_ns = monotonic_ns()
        due_ns = min(now_ns + self._longest_wait_ns, self._others_due_ns)
        if self._deadlines:
            due_ns = min(due_ns, self._deadlines[0][0])
        return max(0, due_ns - now_ns) / 1e9

    def _look_around(self, now_ns: int) -> None:
        """Do what is due besides elections, and find out when that is the case again."""
        self._shared.set(shm.H_CLOCK_OFFSET, self._clock.offset_ns)
        self._addresses.run(now_ns)
        self._resolution.run(self._table.routers.values(), now_ns)
        self._announcer.run(now_ns)
        self._foreign.run(now_ns)
        self._ask_candidates(now_ns)
        self._table.retry(now_ns)
        self._schedule_changed()
        self._shared.set(shm.H_EVENTS_DROPPED, self._agent.dropped)
        limit_ns = self._shared.get(shm.H_SILENCE_LIMIT) or HEARTBEAT_NS * _TURNS_PER_LIMIT
        self._longest_wait_ns = min(HEARTBEAT_NS, limit_ns // _TURNS_PER_LIMIT)
        watches = (self._addresses, self._presence, self._conflicts, self._foreign)
        others = (
            other.next_deadline_ns() for other in (self._announcer, self._resolution, *watches)
        )
        self._others_due_ns = min(
            (due_ns for due_ns in others if due_ns is not None), default=now_ns + HEARTBEAT_NS
        )
        self._look_around_ns = min(self._others_due_ns, now_ns + LOOK_AROUND_NS)

    def schedule(self, router: RunningRouter) -> None:
        """Queue the router's next deadline, unless an earlier entry will look at it anyway."""
        deadline_ns = router.machine.next_deadline_ns()
        if deadline_ns is None:
            return
        if router.queued_ns is None or deadline_ns < router.queued_ns:
            router.queued_ns = deadline_ns
            heapq.heappush(self._deadlines, (deadline_ns, id(router), router))

    def _schedule_all(self) -> None:
        for router in self._table.routers.values():
            self.schedule(router)

    def _run_deadlines(self, now_ns: int) -> None:
        # First, because a router whose addresses a stranger has is not to become Active.
        for router in self._conflicts.run(now_ns):
            self._table.refresh_faults(router, now_ns)
            self._look_around_ns = 0
        if not self._deadlines or self._deadlines[0][0] > now_ns:
            return  # as in most turns of a Backup
        waiting: deque[RunningRouter] = deque()
        while (due := self._pop_due(now_ns)) or waiting:
            if due is None:
                # Binding dozens of addresses takes milliseconds: what became due meanwhile is next.
                self._reach_deadline(waiting.popleft(), now_ns)
                now_ns = monotonic_ns()
            elif due.machine.state is State.ACTIVE:
                self._reach_deadline(due, now_ns)
            else:
                waiting.append(due)

    def _pop_due(self, now_ns: int) -> RunningRouter | None:
        """Return the next router whose deadline has come."""
        queue = self._deadlines
        while queue and queue[0][0] <= now_ns:
            queued_ns, _, router = queue[0]
            deadline_ns = router.machine.next_deadline_ns()
            if router.queued_ns == queued_ns and deadline_ns is not None and deadline_ns > now_ns:
                # It moved on meanwhile, as in a Backup that hears the Active Router.
                router.queued_ns = deadline_ns
                heapq.heapreplace(queue, (deadline_ns, id(router), router))
                continue
            heapq.heappop(queue)
            if router.queued_ns != queued_ns:
                continue  # a nearer entry replaced this one
            router.queued_ns = None
            if deadline_ns is not None:
                return router
        return None

    def _reach_deadline(self, router: RunningRouter, now_ns: int) -> None:
        deadline_ns = router.machine.next_deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            self._note_lateness(now_ns - deadline_ns)
            self.handle(router, DeadlineReached(), now_ns)

    def caught_up_ns(self) -> int:
        """Return the time, with every deadline handled that has passed by now.

        The process may have stood still since the loop looked: then whatever comes next is for a
        router that has to step down first.
        """
        now_ns = monotonic_ns()
        if self._deadlines and self._deadlines[0][0] <= now_ns:
            self._run_deadlines(now_ns)
        return now_ns

    def _note_lateness(self, late_ns: int) -> None:
        bucket = bisect_left(shm.LATENESS_BOUNDS_NS, late_ns)
        self._shared.add(shm.H_LATENESS + 8 * bucket)
        self._shared.add(shm.H_LATENESS_SUM, late_ns)

    def handle(self, router: RunningRouter, event: Event, now_ns: int) -> None:
        """Give one event to a router, do what it asks, and queue its next deadline."""
        if self._executor.handle(router, event, now_ns):
            self._look_around_ns = 0
        if router.install_retry_ns:
            self._table.refresh_faults(router, now_ns)
            self._look_around_ns = 0
        self.schedule(router)

    # What came in ----------------------------------------------------------------------

    def _take_in(self, ready: set[int]) -> None:
        for descriptor in self._transport.filenos():
            if descriptor in ready:
                ready.discard(descriptor)
                self._receive_advertisements(descriptor)
        if ready:
            self._take_in_others(ready)
            self._look_around_ns = 0
        self._schedule_changed()

    def _take_in_others(self, ready: set[int]) -> None:
        for descriptor in ready.intersection(self._conflicts.filenos()):
            self._conflicts.receive(descriptor, monotonic_ns())
        for descriptor in ready.intersection(self._asked):
            self._presence.receive(descriptor, monotonic_ns())
        if self._news.fileno() in ready:
            self._receive_news()
        for descriptor in ready.intersection(self._foreign.filenos()):
            self._foreign.receive(descriptor, monotonic_ns())
        if self._agent.listener.fileno() in ready:
            connection = self._agent.accept()
            if connection is not None:
                self._connection = connection.fileno()
                self._epoll.register(self._connection, select.EPOLLIN)
        if self._connection in ready:
            self._receive_messages()

    def _ask_candidates(self, now_ns: int) -> None:
        """Find out whether elections that want a majority have one; most nodes run none."""
        self._presence.run(now_ns)
        descriptors = self._presence.filenos()
        for descriptor in set(descriptors).difference(self._asked):
            self._epoll.register(descriptor, select.EPOLLIN)
        self._asked = descriptors
        if descriptors:
            self._table.refresh_majorities(now_ns)

    def _schedule_changed(self) -> None:
        """Queue the deadlines of routers that were changed by others than ``handle``."""
        for router in self._table.take_changed():
            self._look_around_ns = 0
            self.schedule(router)
            if router.removed:
                self._leaving.append(router)

    def _receive_advertisements(self, descriptor: int) -> None:
        for _ in range(_BATCH):
            datagram = self._transport.receive(descriptor)
            if datagram is None:
                return
            now_ns = self.caught_up_ns()
            wall_ns = self._clock.read(now_ns, time_ns())
            result = self._table.hearing.elections.validate(datagram, wall_ns, now_ns)
            if isinstance(result, RejectReason):
                self._shared.add(_REJECTIONS[result])
                self._foreign.refused(datagram, now_ns)
                continue
            self.handle(self._table.heard(result, now_ns), result.event, now_ns)

    def _receive_news(self) -> None:
        digest = Digest()
        try:
            self._network.learn(self._pending_news(), digest)
        except NewsLostError:
            # What is queued is older than a dump, and would be believed after it.
            self._news.discard()
            digest.links_gone += self._network.indexes()  # any of them may be another by now
            self._network.reset(self._requests.dump())
            digest.concerns_programs = digest.changed = True
            digest.gone, digest.arrived = self._addresses.missing(), self._network.ours()
        now_ns = self.caught_up_ns()
        for ifindex in digest.links_gone:
            self._table.memberships.forget(ifindex)
        if digest.concerns_programs:
            self._table.memberships.join()
        # Faults first: an address that went with its link is not to be put back.
        if digest.changed:
            self._table.refresh_all_faults(now_ns)
        for ifindex in digest.links_up:
            self._addresses.announce_sources(ifindex, now_ns)
        for address in digest.gone:
            self._addresses.restore(address, now_ns)
        for address in digest.arrived:
            self._addresses.await_use(address, now_ns)
        if digest.concerns_programs:
            self._agent.send({"type": "links-changed"})

    def _pending_news(self) -> Iterator[News]:
        for _ in range(_BATCH):
            batch = self._news.receive()
            if batch is None:
                return
            yield from batch

    def _receive_messages(self) -> None:
        for _ in range(_BATCH):
            message = self._agent.receive()
            if message is None:
                return
            if message and not self._stopping:
                self._handle_message(message, self.caught_up_ns())
