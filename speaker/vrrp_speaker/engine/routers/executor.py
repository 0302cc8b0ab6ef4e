"""What Virtual Routers ask for is done here, in order.

``Executor`` turns a machine's actions into advertisements, addresses and announcements, and writes
the shared state.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Set
from dataclasses import replace
from time import time_ns
from typing import assert_never

from vrrp.actions import (
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.authentication import SignatureClock
from vrrp.constants import PRIORITY_RELEASE, State, TransitionReason
from vrrp.events import Event
from vrrp_speaker.engine.addresses.leases import Leases
from vrrp_speaker.engine.neighbours.kin import member_places
from vrrp_speaker.engine.neighbours.questions import question
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import Frame, Pace, Place, RouterProgram
from vrrp_speaker.engine.programs.set_aside import RouterError
from vrrp_speaker.engine.recorder import Recorder
from vrrp_speaker.engine.routers.running_router import RunningRouter, last_heard_ns
from vrrp_speaker.engine.wire.frame_sender import FrameSender
from vrrp_speaker.engine.wire.transport import Transport
from vrrp_speaker.shared_state import FencingReason, SharedState
from vrrp_speaker.shared_state import layout as shm

_SOURCE_OF = "the node's address on interface"
"""Names the announcements that belong to no router; no VirtualIP has a name with spaces."""
_SOURCE_PLAN = Pace(burst=2, repeat_after_ns=0, refresh_ns=0)
_PROBES_OF, _DEFENCE_OF, _MEMBERS_OF = "probes of", "defence of", "members of"
_MAC_LENGTH = 6
_REPAIRING_ROUNDS = 3
"""At once, after 50 ms and after 200 ms: before and after the end of a loser's grace."""
_ONCE = Pace(burst=1, repeat_after_ns=0, refresh_ns=0)


TransitionListener = Callable[[str, StateChanged, int, int], None]
"""Told of every state change, after it was done: (router, change, its number, now)."""


class Executor:
    """Does what state machines ask for, in order."""

    def __init__(
        self,
        *,
        shared: SharedState,
        clock: SignatureClock,
        transport: Transport,
        leases: Leases,
        frames: FrameSender,
        network: NodeNetwork,
        recorder: Recorder,
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._transport = transport
        self.leases = leases
        self._frames = frames
        self._network = network
        self._recorder = recorder
        self.listeners: tuple[TransitionListener, ...] = ()
        """Told of every transition, in this order."""
        self.others_wait = False
        """Whether other routers wait to advertise: announcements are never ahead of them."""

    def handle(self, router: RunningRouter, event: Event, now_ns: int) -> bool:
        """Give one event to a router's machine and do what it asks for.

        Returns whether that was more than to advertise, so that others have to look what it means.

        Raises:
            RouterError: a fault of ours, or something of this router that we were not made for.
        """
        try:
            return self._handle(router, event, now_ns)
        except RouterError:
            raise
        except Exception as error:  # not by ``over``: this is done for every advertisement
            raise RouterError(router.program.name) from error

    def _handle(self, router: RunningRouter, event: Event, now_ns: int) -> bool:
        self._recorder.event(router.program.name, event, now_ns)
        more = False
        for action in router.machine.handle(event, now_ns):
            if isinstance(action, SendAdvertisement):
                self._send(router, action.priority, now_ns)
            else:
                self._perform(router, action, now_ns)
                more = True
        return more

    def begin(self, router: RunningRouter) -> None:
        """Note a router that events are about to reach."""
        self._recorder.began(router.program.name, router.machine)

    def _perform(
        self,
        router: RunningRouter,
        action: BindAddresses | UnbindAddresses | AnnounceAddresses | StateChanged,
        now_ns: int,
    ) -> None:
        match action:
            case BindAddresses():
                self.leases.bind(router, router.addresses, now_ns)
            case UnbindAddresses():
                self.leases.let_go(router)
                self.withhold(router, frozenset())
                self._note_handed_over(router, now_ns)
            case AnnounceAddresses():
                known = self._shared.get(router.offset + shm.S_STATE)
                again = known == shm.STATES.index(State.ACTIVE)
                at_once = not again and not self.others_wait
                if at_once:
                    self.leases.await_bound(router, now_ns)
                self.announce(router, now_ns, again=again)
                if at_once:
                    self._frames.run(now_ns)
            case StateChanged():
                self._record(router, action, now_ns)
            case unreachable:
                assert_never(unreachable)

    def withhold(self, router: RunningRouter, places: frozenset[Place]) -> None:
        """Bind these only when they were asked about; an heir of this engine does so as well."""
        router.withheld = places
        if not router.removed:
            self._shared.set(router.offset + shm.S_WITHHELD, len(places))
        self.leases.note_present(router)

    def bind_withheld(self, router: RunningRouter, free: Set[Place], now_ns: int) -> None:
        """Bind what nobody answered for."""
        self.withhold(router, router.withheld - free)
        added = (a for a in router.addresses if (a.ifindex, a.address) in free)
        self.leases.bind(router, tuple(added), now_ns)

    def announce(self, router: RunningRouter, now_ns: int, *, again: bool = False) -> None:
        """Begin a burst of gratuitous ARP and unsolicited NA for the addresses that answer.

        ``again``: the router is Active already, as a rule beside another one until now. A third may
        have been Active too and announce after us, so a round follows within its grace, always.

        Whoever was told of an address before the kernel has it in use would send into the void;
        ``AddressWatch`` announces what comes.
        """
        program = router.program
        frames, plan = self.announceable(router), program.announcement_plan
        if again:
            plan = replace(plan, burst=max(plan.burst, _REPAIRING_ROUNDS))
        self._frames.begin(program.name, frames, plan, now_ns)

    def keep_announcing(self, router: RunningRouter) -> None:
        """Go on with what is left after addresses were taken off."""
        self._frames.keep_only(router.program.name, self.announceable(router))

    def announce_source(self, program: RouterProgram, ifindex: int, now_ns: int) -> None:
        """Tell the peers where this node is; they may have forgotten while the link was down."""
        frames = tuple(f for f in program.source_announcements if f.ifindex == ifindex)
        self._frames.begin(f"{_SOURCE_OF} {ifindex}", frames, _SOURCE_PLAN, now_ns)

    def probe(self, router: RunningRouter, places: Container[Place], now_ns: int) -> None:
        """Ask once who has the addresses there, and the members who they are.

        A question that still waits for its turn keeps its place: where many ask at once, another
        in its stead would wait behind all of them, and nobody would have been asked in time.
        """
        for probe in router.program.probes:
            name = _question_name(router, probe.ifindex, probe.address)
            wanted = (probe.ifindex, probe.address) in places
            if wanted and not self._frames.under_way(name):
                self._frames.begin(name, (probe,), _ONCE, now_ns)
        self.ask_members(router, now_ns)

    def has_yet_to_ask(self, router: RunningRouter, place: Place) -> bool:
        """Return whether a question who has an address waits for its turn."""
        return self._frames.under_way(_question_name(router, *place))

    def ask_members(self, router: RunningRouter, now_ns: int) -> None:
        """Ask the members for their hardware addresses, as far as there is one to answer to."""
        program, name = router.program, f"{_MEMBERS_OF} {router.program.name}"
        mac = self._network.mac(program.ifindex)
        if len(mac) == _MAC_LENGTH and not self._frames.under_way(name):
            places = member_places(router)
            frames = tuple(question(on, mac, program.source, member) for on, member in places)
            self._frames.begin(name, frames, _ONCE, now_ns)

    def defend(self, router: RunningRouter, addresses: Container[bytes], now_ns: int) -> None:
        """Announce these addresses once, whatever else is announced."""
        frames = tuple(f for f in self.announceable(router) if f.address in addresses)
        self._frames.begin(f"{_DEFENCE_OF} {router.program.name}", frames, _ONCE, now_ns)

    def announceable(self, router: RunningRouter) -> tuple[Frame, ...]:
        """Return the frames of what is bound and answers."""
        return tuple(
            frame
            for frame in router.program.announcements
            if (frame.ifindex, frame.address) not in router.withheld
            and self._network.in_use(frame.ifindex, frame.address)
        )

    def _send(self, router: RunningRouter, priority: int, now_ns: int) -> None:
        shared, offset = self._shared, router.offset
        encoder = router.encoder
        copies = encoder.encode(priority, self._clock, now_ns, time_ns())
        failures = self._transport.send(encoder.route, copies)
        shared.set(shm.H_CLOCK_LAST, self._clock.last)
        if failures:
            shared.add(shm.H_SEND_ERRORS, failures)
        shared.add(offset + shm.S_SENT, len(copies) - failures)
        shared.set(offset + shm.S_LAST_SENT, now_ns)
        # The lease is renewed only here: by a loop that is on time, while Active, and once more for
        # the time in which a successor takes over. Before the first binding there is none to renew.
        renewing = router.machine.state is State.ACTIVE and router.lease_due(now_ns)
        handing_over = priority == PRIORITY_RELEASE and router.machine.holding
        if renewing or handing_over:
            self.leases.renew(router, now_ns)

    def _note_takeover(self, router: RunningRouter, now_ns: int) -> None:
        """Count how long the addresses were without a voice, if another node had them before.

        In Backup an advertisement means that another router was Active.
        """
        shared = self._shared
        heard_ns = last_heard_ns(shared, router.program)
        if heard_ns and heard_ns >= shared.get(router.offset + shm.S_SINCE):
            shared.note_duration(shm.H_TAKEOVERS, now_ns - heard_ns)

    def _note_handed_over(self, router: RunningRouter, now_ns: int) -> None:
        """Count how long a successor was waited for with the addresses in place."""
        if router.course.left_ns is not None:
            self._shared.note_duration(shm.H_HANDOVERS, now_ns - router.course.left_ns)
            router.course.left_ns = None

    def _record(self, router: RunningRouter, change: StateChanged, now_ns: int) -> None:
        shared = self._shared
        if router.course.was_backup:
            router.course.was_backup = False
            if change.after is State.BACKUP:
                return
        if change.before is State.ACTIVE:
            router.course.left_ns = now_ns  # addresses that went with it are gone by now
            self._frames.cancel(router.program.name)
            self._frames.cancel(f"{_DEFENCE_OF} {router.program.name}")
        if change.after is State.ACTIVE:
            router.course.left_ns = None
            if change.before is State.BACKUP:
                self._note_takeover(router, now_ns)
        if change.reason is TransitionReason.LATE_WAKE:
            shared.add(shm.H_FENCED + 8 * shm.FENCINGS.index(FencingReason.LATE_WAKE))
        sequence = shared.note_transition(router.program.slot, change, now_ns, time_ns())
        for tell in self.listeners:
            tell(router.program.name, change, sequence, now_ns)


def _question_name(router: RunningRouter, ifindex: int, address: bytes) -> str:
    return f"{_PROBES_OF} {router.program.name} {ifindex} {address.hex()}"
