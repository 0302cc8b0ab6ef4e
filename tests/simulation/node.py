"""One simulated node: clocks, loop, addresses on lease, and the protocol's own code in between.

What the engine does around the core is done here in its simplest form (``engine.routers``,
``engine.loop``): deadlines before datagrams, an advertisement encoded and signed for each peer, the
lease renewed together with an advertisement of a loop that is on time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.settings import SECOND, NodeConfig
from tests.simulation.timeline import OracleViolation
from tests.simulation.watch import Watch
from tests.simulation.wire import Encoder, elections

from vrrp.actions import (
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.authentication import HmacKeys, Mode, ReplayMarks, SequenceClock
from vrrp.constants import PRIORITY_RELEASE, RejectReason, State
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
)
from vrrp.states import Parameters
from vrrp.timers import lease_seconds
from vrrp.validation import Datagram, Elections
from vrrp.virtual_router import Actions, VirtualRouter

if TYPE_CHECKING:
    from tests.simulation.lan import SimulatedLan

EPOCH_NS = 1_780_000_000 * SECOND
SOCKET_BUFFER = 200
"""Datagrams that wait for a frozen loop; the kernel drops what comes after."""


class SimulatedNode:
    """A node, alive or not; every method takes the LAN's virtual time."""

    def __init__(self, lan: SimulatedLan, index: int, config: NodeConfig) -> None:
        self.lan = lan
        self.index = index
        self.address = lan.cluster.addresses[index]
        self.config = self.wanted = config
        self.router: VirtualRouter | None = None
        self.watch: Watch | None = None
        self.elections = Elections()
        self.marks = ReplayMarks()
        self.clock = SequenceClock()
        self.wall_offset_ns = 0
        """How far the node's wall clock is from the true time."""
        self._anchor_ns: int | None = None
        """With anchored clocks: what that was when this life, or its memory, began."""
        self.faulty = False
        self.frozen = False
        self.lease_end_ns = 0
        self.last_sent_ns = 0
        self.rejected: set[RejectReason] = set()
        """The reasons for which it ever rejected something."""
        self.injected: set[int] = set()
        """Identities of datagrams an attacker made; each has to be rejected."""
        self.on_accept: Callable[[SimulatedNode, Datagram], None] | None = None
        self._rng = random.Random(f"{lan.settings.seed} node {index}")
        self._monotonic_offset_ns = self._rng.randrange(10**6 * SECOND)
        self._inbox: list[Callable[[int], None]] = []
        self._encoder = Encoder(lan.cluster, config, self.address)
        self._leftover = False
        """Whether the addresses are those that an earlier life left on the interface."""
        self._queued_ns: int | None = None
        self._renew_at_ns = 0

    # Looking ---------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state; of a node that is down, Initialize."""
        return State.INITIALIZE if self.router is None else self.router.state

    @property
    def priority(self) -> int:
        """The effective priority; of a node that is down, its base."""
        if self.router is None:
            return self.config.priority
        return self.router.parameters.priority

    @property
    def may_be_active(self) -> bool:
        """Whether nothing keeps this node from being Active."""
        return self.router is not None and not self.faulty and not self.frozen

    @property
    def lease_ns(self) -> int:
        """The valid lifetime of its addresses."""
        mine = self.config
        return SECOND * lease_seconds(
            self.lan.cluster.version, mine.priority, mine.interval_ns, mine.down_advertisements
        )

    def holds_addresses(self, now_ns: int) -> bool:
        """Return whether the kernel still has the addresses."""
        return now_ns < self.lease_end_ns

    def wall_ns(self, now_ns: int) -> int:
        """Return the wall time that this node goes by."""
        anchor_ns = self._anchor_ns
        return EPOCH_NS + now_ns + (self.wall_offset_ns if anchor_ns is None else anchor_ns)

    @property
    def signs(self) -> bool:
        """Whether its advertisements carry a sequence."""
        keys = self.config.authentication
        return isinstance(keys, HmacKeys) and keys.mode is not Mode.RECEIVE_ONLY

    def next_sequence(self, now_ns: int) -> int:
        """Return the sequence it would sign with now."""
        clock = copy(self.clock)
        return clock.next(now_ns + self._monotonic_offset_ns, self.wall_ns(now_ns))

    # Life and death --------------------------------------------------------------------

    def start(self, now_ns: int, *, resume: bool = False) -> None:
        """Begin with the newest configuration; what is remembered was left in place."""
        assert self.router is None
        self.config = self.wanted
        mine = self.config
        parameters = Parameters(
            version=self.lan.cluster.version,
            priority=mine.priority,
            adver_interval_ns=mine.interval_ns,
            down_advertisements=mine.down_advertisements,
            preempt_mode=mine.preempt,
            preempt_delay_ns=mine.preempt_delay_ns,
            source=self.address,
        )
        self.router = VirtualRouter(parameters, faulty=self.faulty)
        self.watch = Watch(self.lan.cluster, mine, self.address, self.faulty)
        self._leftover = self.holds_addresses(now_ns)
        # What outlives an engine is the offset of its clock (and the marks).
        self.clock = SequenceClock(self.clock.offset_ns)
        if self.lan.settings.anchored_clocks and self._anchor_ns is None:
            self._anchor_ns = self.wall_offset_ns
        self._load(mine)
        self.handle(now_ns, Resume() if resume else Startup())

    def crash(self, now_ns: int, *, power: bool = False) -> None:
        """End without a word; with the power the addresses go too, else at the lease's end."""
        self.lan.timeline.note(now_ns, self.index, "loses power" if power else "crashes")
        self._end()
        if power:
            self._unbind(now_ns)

    def forget(self, wall_offset_ns: int) -> None:
        """Lose what an earlier life knew; the next begins with this wall clock."""
        self.marks = ReplayMarks()
        self.clock = SequenceClock()
        self._anchor_ns = None
        self.wall_offset_ns = wall_offset_ns

    def shut_down(self, now_ns: int) -> None:
        """End properly: release what is held."""
        self.handle(now_ns, Shutdown())
        self._end()

    def _end(self) -> None:
        self.router = self.watch = None
        self.frozen = False
        self._inbox.clear()
        self._queued_ns = None

    def freeze(self, now_ns: int) -> None:
        """Let the loop stand still."""
        self.lan.timeline.note(now_ns, self.index, "freezes")
        self.frozen = True

    def wake(self, now_ns: int) -> None:
        """Let the loop turn again: deadlines first, then what waited."""
        self.lan.timeline.note(now_ns, self.index, "wakes", f"with {len(self._inbox)} waiting")
        self.frozen = False
        self._run_deadline(now_ns)
        waiting, self._inbox = self._inbox, []
        for item in waiting:
            item(now_ns)
        self._schedule(now_ns)

    # News ------------------------------------------------------------------------------

    def set_fault(self, now_ns: int, faulty: bool) -> None:
        """Make the node unable to hold the addresses, or able again."""
        self.faulty = faulty
        self.lan.timeline.note(now_ns, self.index, "has a fault" if faulty else "has no fault")
        self._tell(now_ns, lambda at_ns: self.handle(at_ns, FaultChanged(faulty)))

    def set_priority(self, now_ns: int, priority: int) -> None:
        """Move the effective priority."""
        self._tell(now_ns, lambda at_ns: self.handle(at_ns, PriorityChanged(priority)))

    def apply_wanted(self, now_ns: int) -> None:
        """Take the newest configuration over, as a running router or at the next start."""
        self._tell(now_ns, self._apply)

    def _apply(self, now_ns: int) -> None:
        before, mine = self.config, self.wanted
        if before == mine:
            return
        self.lan.timeline.note(now_ns, self.index, "is told", mine)
        self.config = mine
        self._load(mine)
        self.handle(
            now_ns,
            ConfigurationChanged(
                mine.interval_ns,
                mine.down_advertisements,
                mine.preempt,
                mine.preempt_delay_ns,
                self.address,
            ),
        )
        if before.priority != mine.priority:
            self.handle(now_ns, PriorityChanged(mine.priority))

    def _tell(self, now_ns: int, item: Callable[[int], None]) -> None:
        if self.router is None:
            return
        if self.frozen:
            self._inbox.append(item)
        else:
            item(now_ns)

    def _load(self, mine: NodeConfig) -> None:
        cluster = self.lan.cluster
        self._encoder = Encoder(cluster, mine, self.address)
        self.elections = elections(cluster, mine, self.address, self.marks)

    # The loop --------------------------------------------------------------------------

    def receive(self, now_ns: int, datagram: Datagram) -> None:
        """Take a datagram from the wire, or leave it in the socket of a frozen loop."""
        if self.router is None:
            return
        if not self.frozen:
            self._take_in(datagram, now_ns)
        elif len(self._inbox) < SOCKET_BUFFER:
            self._inbox.append(partial(self._take_in, datagram))

    def _take_in(self, datagram: Datagram, now_ns: int) -> None:
        injected = id(datagram) in self.injected
        if not injected:
            self._run_deadline(now_ns)
        result = self.elections.validate(datagram, self.wall_ns(now_ns))
        if isinstance(result, RejectReason):
            self.rejected.add(result)
            if not injected:
                self.lan.timeline.note(now_ns, self.index, "rejects:", result)
            return
        if result.source == self.address:
            raise OracleViolation(f"node{self.index} heard itself")
        if injected:
            raise OracleViolation(f"node{self.index} accepted a forgery: {datagram}")
        if self.on_accept is not None:
            self.on_accept(self, datagram)
        heard = result.advertisement
        self.lan.timeline.note(now_ns, self.index, "hears", (heard.priority, result.source.hex()))
        self.handle(now_ns, AdvertisementReceived(result.source, heard.priority, heard.interval_cs))

    def handle(self, now_ns: int, event: Event) -> None:
        """Give the router an event, let the oracle see it, do what is asked."""
        assert self.router is not None
        assert self.watch is not None
        monotonic_ns = now_ns + self._monotonic_offset_ns
        actions = self.router.handle(event, monotonic_ns)
        wrong = self.watch.judge(event, monotonic_ns, actions, self.router.state)
        self._perform(now_ns, actions)
        if wrong:
            raise OracleViolation(f"node{self.index} at {type(event).__name__}: {wrong}")
        held = self.holds_addresses(now_ns) and not self._leftover
        if held and self.router.state is not State.ACTIVE:
            raise OracleViolation(f"node{self.index} is not Active and keeps the addresses")
        self._schedule(now_ns)

    def _run_deadline(self, now_ns: int) -> None:
        if self.router is None:
            return
        deadline_ns = self.router.next_deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns + self._monotonic_offset_ns:
            self.handle(now_ns, DeadlineReached())

    def _schedule(self, now_ns: int) -> None:
        """Queue the next look at the deadline, unless an earlier one will look anyway."""
        if self.router is None or self.frozen:
            return
        deadline_ns = self.router.next_deadline_ns()
        if deadline_ns is None:
            return
        due_ns = max(now_ns, deadline_ns - self._monotonic_offset_ns)
        if self._queued_ns is not None and self._queued_ns <= due_ns + self.lan.cluster.lateness_ns:
            return
        due_ns += int(self._rng.random() * self.lan.cluster.lateness_ns)
        self._queued_ns = due_ns
        self.lan.at(due_ns, self._turn)

    def _turn(self, now_ns: int) -> None:
        if self._queued_ns != now_ns:
            return  # replaced by a nearer one, or of an earlier life
        self._queued_ns = None
        if not self.frozen:
            self._run_deadline(now_ns)
            self._schedule(now_ns)

    # Doing -----------------------------------------------------------------------------

    def _perform(self, now_ns: int, actions: Actions) -> None:
        timeline = self.lan.timeline
        for action in actions:
            match action:
                case SendAdvertisement(priority=priority):
                    self._send(now_ns, priority)
                case BindAddresses():
                    self._bind(now_ns)
                case UnbindAddresses():
                    self._unbind(now_ns)
                    timeline.did(now_ns, self.index, "unbinds", "")
                case AnnounceAddresses():
                    timeline.did(now_ns, self.index, "announces", "")
                case StateChanged(before=before, after=after, reason=reason):
                    timeline.did(now_ns, self.index, "becomes", f"{before} → {after}, {reason}")
                    for watcher in self.lan.watchers:
                        watcher(now_ns, self.index, action)

    def _bind(self, now_ns: int) -> None:
        lease_ns = self.lease_ns
        self.lease_end_ns = now_ns + lease_ns
        self._leftover = False
        intervals_ns = (self.config.down_advertisements + 2) * self.config.interval_ns
        self._renew_at_ns = now_ns + max(0, min(lease_ns // 3, lease_ns - intervals_ns))
        self.lan.timeline.did(now_ns, self.index, "binds for", lease_ns)

    def _unbind(self, now_ns: int) -> None:
        self.lease_end_ns = min(self.lease_end_ns, now_ns)
        self._leftover = False

    def _send(self, now_ns: int, priority: int) -> None:
        self.lan.timeline.did(now_ns, self.index, "sends priority", priority)
        self.last_sent_ns = now_ns
        self._transmit(now_ns, priority)
        if (
            priority != PRIORITY_RELEASE
            and self.state is State.ACTIVE
            and now_ns >= self._renew_at_ns
        ):
            self._bind(now_ns)

    def _transmit(self, now_ns: int, priority: int) -> None:
        lan = self.lan
        monotonic_ns, wall_ns = now_ns + self._monotonic_offset_ns, self.wall_ns(now_ns)
        for receiver, datagram in self._encoder.encode(priority, self.clock, monotonic_ns, wall_ns):
            if receiver >= 0:
                lan.carry(self.index, lan.nodes[receiver], datagram)
                continue
            # The group's own member hears itself, and has to know.
            for node in lan.nodes:
                lan.carry(self.index, node, datagram)
