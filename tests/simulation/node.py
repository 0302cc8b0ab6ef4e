"""One simulated node: clocks, loop, addresses on lease, and the protocol's own code in between.

What the engine does around the core is done here in its simplest form (``engine.executor``,
``engine.loop``): deadlines before datagrams, an advertisement encoded and signed for each peer, the
lease renewed together with an advertisement of a loop that is on time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.holding import Addresses
from tests.simulation.node_clocks import NodeClocks
from tests.simulation.settings import SECOND, NodeConfig, version_of
from tests.simulation.timeline import OracleViolation
from tests.simulation.watch import Watch
from tests.simulation.wire import Encoder, elections, is_open

from vrrp.actions import (
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.authentication import SETTLING_NS, HmacKeys, Mode, ReplayMarks, SignatureClock
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
    TakeOver,
)
from vrrp.members import LearnedMembers
from vrrp.states import Parameters
from vrrp.validation import Datagram, Elections
from vrrp.virtual_router import Actions, VirtualRouter

if TYPE_CHECKING:
    from tests.simulation.lan import SimulatedLan

SOCKET_BUFFER = 200
"""Datagrams that wait for a frozen loop; the kernel drops what comes after."""


class SimulatedNode(NodeClocks):
    """A node, alive or not; every method takes the LAN's virtual time."""

    def __init__(self, lan: SimulatedLan, index: int, config: NodeConfig) -> None:
        self._rng = random.Random(f"{lan.settings.seed} node {index}")
        super().__init__(SETTLING_NS + self._rng.randrange(10**6 * SECOND))
        self.lan = lan
        self.index = index
        self.address = lan.cluster.addresses[index]
        self.config = self.wanted = config
        self.router: VirtualRouter | None = None
        self.watch: Watch | None = None
        self.elections = Elections()
        self.marks = ReplayMarks()
        self.learned = LearnedMembers()
        self.leaving = False
        """Shut down, and turning still because it holds addresses that nobody took over yet."""
        self.faulty = False
        self.link_down = False
        self.when_gone: Callable[[int], None] | None = None
        """What follows the end of a node that leaves and still holds addresses."""
        self.frozen = False
        self.addresses = Addresses(lan.holding)
        self.last_sent_ns = 0
        self.rejected: set[RejectReason] = set()
        """The reasons for which it ever rejected something."""
        self.injected: set[int] = set()
        """Identities of datagrams an attacker made; each has to be rejected."""
        self.on_accept: Callable[[SimulatedNode, Datagram], None] | None = None
        self._inbox: list[Callable[[int], None]] = []
        self._encoder = Encoder(lan.cluster, config, self.address, self.learned)
        self._queued_ns: int | None = None

    # Looking ---------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state; of a node that is down, Initialize."""
        return State.INITIALIZE if self.router is None else self.router.state

    @property
    def priority(self) -> int:
        """The effective priority; of a node that is down, its base."""
        return self.config.priority if self.router is None else self.router.parameters.priority

    @property
    def may_be_active(self) -> bool:
        """Whether nothing keeps this node from being Active."""
        alive = self.router is not None and not self.leaving
        return alive and not self.faulty and not self.frozen

    @property
    def can_hand_over(self) -> bool:
        """Whether addresses that stay until a successor has them are of use to anybody."""
        return bool(self.config.peers or self.learned.known_ns) and not self.link_down

    @property
    def signs(self) -> bool:
        """Whether its advertisements carry a sequence."""
        keys = self.config.authentication
        return isinstance(keys, HmacKeys) and keys.mode is not Mode.RECEIVE_ONLY

    # Life and death --------------------------------------------------------------------

    def start(self, now_ns: int, *, resume: bool = False) -> None:
        """Begin with the newest configuration; what is remembered was left in place."""
        assert self.router is None
        self._relist(self.config, self.wanted, now_ns)
        mine, cluster = self.wanted, self.lan.cluster
        self.config, version = mine, version_of(cluster, mine)
        parameters = Parameters(
            version=version,
            priority=mine.priority,
            adver_interval_ns=mine.interval_ns,
            down_advertisements=mine.down_advertisements,
            preempt_mode=mine.preempt,
            preempt_delay_ns=mine.preempt_delay_ns,
            source=self.address,
        )
        self.router = VirtualRouter(parameters, faulty=self.faulty)
        self.watch = Watch(version, cluster.lateness_ns, mine, self.address, self.faulty)
        self.addresses.leftover = self.addresses.held(now_ns)
        # What outlives an engine is its clock (and the marks).
        self.clock = SignatureClock(self.clock.offset_ns, self.clock.last)
        self.clock.read(*self._clocks(now_ns))
        self._load(mine)
        self.handle(now_ns, Resume() if resume else Startup(mine.first))

    def crash(self, now_ns: int, *, power: bool = False) -> None:
        """End without a word; with the power the addresses go too, else at the lease's end."""
        self.lan.timeline.note(now_ns, self.index, "loses power" if power else "crashes")
        self._end()
        if power:
            self.addresses.unbind(now_ns)

    def forget(self, wall_offset_ns: int) -> None:
        """Lose what an earlier life knew; the next begins with this wall clock."""
        self.marks, self.learned = ReplayMarks(), LearnedMembers()
        self.clock = SignatureClock()
        self.wall_offset_ns = wall_offset_ns

    def boot(self, now_ns: int, uptime_ns: int) -> None:
        """Begin a new count of monotonic time; the next life starts with so much of it."""
        assert self.router is None
        self._monotonic_offset_ns = uptime_ns - now_ns

    def shut_down(self, now_ns: int, *, hand_over: bool = True) -> None:
        """End properly: release what is held, and go on turning until a successor has it."""
        self.leaving = True
        self.handle(now_ns, Shutdown(hand_over=hand_over and self.can_hand_over))

    def _leave(self, now_ns: int) -> None:
        """End for good, like the engine: whatever is held still goes now."""
        assert self.router is not None
        self.leaving = False
        self.handle(now_ns, Shutdown(hand_over=False))
        then = self.when_gone
        self._end()
        if then is not None:
            then(now_ns)

    def _end(self) -> None:
        self.router = self.watch = self.when_gone = None
        self.frozen = self.leaving = False
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
        waiting, self._inbox = self._inbox, []
        router = self.router
        self._run_deadline(now_ns)
        for item in waiting:
            if self.router is router:
                item(now_ns)
        self._schedule(now_ns)

    # News ------------------------------------------------------------------------------

    def set_fault(
        self, now_ns: int, faulty: bool, *, link: bool = False, keeps: bool = False
    ) -> None:
        """Make the node unable to hold the addresses, or able again; without a link at once.

        ``keeps``: it is a check that may be failing everywhere.
        """
        self.faulty, self.link_down = faulty, faulty and link
        words = "has lost its link" if link else "has a fault" if faulty else "has no fault"
        self.lan.timeline.note(now_ns, self.index, words)
        changed = FaultChanged(faulty, self.can_hand_over, keeps)
        self._tell(now_ns, lambda at_ns: self.handle(at_ns, changed))

    def set_priority(self, now_ns: int, priority: int, *, unhealthy: bool = False) -> None:
        """Move the effective priority; ``unhealthy``: a check is the reason."""
        if not self.leaving:
            changed = PriorityChanged(priority, unhealthy)
            self._tell(now_ns, lambda at_ns: self.handle(at_ns, changed))

    def apply_wanted(self, now_ns: int) -> None:
        """Take the newest configuration over, as a running router or at the next start."""
        self._tell(now_ns, self._apply)

    def _apply(self, now_ns: int) -> None:
        before, mine = self.config, self.wanted
        if before == mine or self.leaving:
            return
        self.lan.timeline.note(now_ns, self.index, "is told", mine)
        self._relist(before, mine, now_ns)
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
        if mine.take_over not in (0, before.take_over):
            self.handle(now_ns, TakeOver())

    def _tell(self, now_ns: int, item: Callable[[int], None]) -> None:
        if self.router is None:
            return
        if self.frozen:
            self._inbox.append(item)
        else:
            item(now_ns)

    def _load(self, mine: NodeConfig) -> None:
        cluster = self.lan.cluster
        self._encoder = Encoder(cluster, mine, self.address, self.learned)
        self.elections = elections(cluster, mine, self.address, self.marks, self.learned)

    def forget_silent(self, now_ns: int) -> None:
        """Let go of members that were silent for too long."""
        self.learned.forget_silent(now_ns + self._monotonic_offset_ns)

    def _relist(self, before: NodeConfig, mine: NodeConfig, now_ns: int) -> None:
        """Go on with members that the list drops, as ``engine.members`` does."""
        addresses, known = self.lan.cluster.addresses, self.learned.known_ns
        if not is_open(self.lan.cluster, mine):
            known.clear()
            return
        for peer in mine.peers:
            known.pop(addresses[peer], None)
        dropped = (addresses[peer] for peer in sorted(before.peers - mine.peers))
        self.learned.keep(dropped, now_ns + self._monotonic_offset_ns)

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
            if self.router is None:
                return
        wall_ns = self.clock.read(*self._clocks(now_ns))
        result = self.elections.validate(datagram, wall_ns, self._clocks(now_ns)[0])
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
        held = self.addresses.held(now_ns) and not self.addresses.leftover
        if held and not self.watch.holding:
            raise OracleViolation(f"node{self.index} is not Active and keeps the addresses")
        if self.leaving and not self.router.holding:
            self._leave(now_ns)
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
                    self.addresses.unbind(now_ns)
                    timeline.did(now_ns, self.index, "unbinds", "")
                case AnnounceAddresses():
                    timeline.did(now_ns, self.index, "announces", "")
                    self.lan.announced(self.index)
                case StateChanged(before=before, after=after, reason=reason):
                    timeline.did(now_ns, self.index, "becomes", f"{before} → {after}, {reason}")
                    for watcher in self.lan.watchers:
                        watcher(now_ns, self.index, action)

    def _bind(self, now_ns: int) -> None:
        lease_ns = self.addresses.bind(now_ns, self.lan.cluster, self.config)
        self.lan.timeline.did(now_ns, self.index, "binds for", lease_ns)

    def _send(self, now_ns: int, priority: int) -> None:
        self.lan.timeline.did(now_ns, self.index, "sends priority", priority)
        self.last_sent_ns = now_ns
        self._transmit(now_ns, priority)
        assert self.router is not None
        handing_over = priority == PRIORITY_RELEASE and self.router.holding
        if handing_over or (self.state is State.ACTIVE and self.addresses.is_due(now_ns)):
            self._bind(now_ns)

    def _transmit(self, now_ns: int, priority: int) -> None:
        lan = self.lan
        copies = self._encoder.encode(priority, self.clock, *self._clocks(now_ns))
        for receiver, datagram in copies:
            if receiver >= 0:
                lan.carry(self.index, lan.nodes[receiver], datagram)
                continue
            # The group's own member hears itself, and has to know.
            for node in lan.nodes:
                lan.carry(self.index, node, datagram)
