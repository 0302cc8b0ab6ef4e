"""The engine process: put together, run, and leave nothing behind.

It runs in a child of the supervisor, forked with everything already imported.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic_ns, time_ns
from types import FrameType

from vrrp.actions import StateChanged
from vrrp.authentication import SignatureClock
from vrrp.constants import State
from vrrp_speaker.alarm import Alarm
from vrrp_speaker.engine.addresses.address_watch import AddressWatch
from vrrp_speaker.engine.addresses.worker import AddressWorker
from vrrp_speaker.engine.agent_link import AgentLink
from vrrp_speaker.engine.agent_messages import AgentMessages
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.loading import Loading
from vrrp_speaker.engine.loop import Loop
from vrrp_speaker.engine.neighbours.foreign import Observer
from vrrp_speaker.engine.neighbours.listening import Neighbours
from vrrp_speaker.engine.neighbours.resolution import Resolution
from vrrp_speaker.engine.network.changes import NetworkChanges
from vrrp_speaker.engine.network.interest import EVERYTHING, interest_of
from vrrp_speaker.engine.network.netlink import (
    ADDRESS_PROTOCOL,
    AddressNews,
    News,
    RequestSocket,
    delete_address_request,
)
from vrrp_speaker.engine.network.news import NewsSocket
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.known_program import KnownProgram
from vrrp_speaker.engine.programs.program import EngineProgram, Place
from vrrp_speaker.engine.programs.set_aside import note_end
from vrrp_speaker.engine.programs.stored_program import has_other_proved
from vrrp_speaker.engine.recorder import Recorder
from vrrp_speaker.engine.routers.assembly import RouterParts, World, assemble
from vrrp_speaker.engine.routers.resuming import left_active
from vrrp_speaker.engine.wire.frame_sender import FrameSender
from vrrp_speaker.engine.wire.transport import Transport
from vrrp_speaker.shared_state import FencingReason, SharedState
from vrrp_speaker.shared_state import layout as shm

_REAL_TIME_PRIORITY = 1
_START_NS = 1_000_000_000
"""The longest that a start waits for the kernel."""
UNFINISHED = 3
"""The exit status of an engine that had to leave addresses behind."""
_SWITCH_S = 0.0002
"""How long the worker may keep the loop from the interpreter, while it reads a dump."""
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # mlockall(2)


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """What the supervisor hands to an engine: shared state, program path, channel, and two ends.

    It learns of the supervisor's end, and the supervisor of its silence.
    """

    shared: SharedState
    program_path: str
    listener: socket.socket
    parent: int
    """Reads end-of-file once the supervisor is dead."""
    alarm: Alarm


class Engine:
    """Joins the parts, and runs them."""

    def __init__(self, files: EngineFiles) -> None:
        self._files = files
        shared = self._shared = files.shared
        clock = SignatureClock(shared.get(shm.H_CLOCK_OFFSET), shared.get(shm.H_CLOCK_LAST))
        clock.read(monotonic_ns(), time_ns())
        self._agent = AgentLink(files.listener, shared.get(shm.H_EVENTS_DROPPED))
        news, renewals = NewsSocket(), RequestSocket()
        news.pass_over_bound_by(renewals)
        world = World(
            shared=shared,
            clock=clock,
            transport=Transport(),
            worker=AddressWorker(RequestSocket(), renewals),
            network=NodeNetwork(),
            frames=FrameSender(shared),
            recorder=Recorder(self._agent),
            neighbours=Neighbours(),
            observer=Observer(),
        )
        self._worker, self._network = world.worker, world.network
        parts = assemble(world, self._report)
        self._leases, self._table = parts.leases, parts.table
        self._loop = Loop(world, parts, files.alarm)
        self._concerns = self._others(world, parts, news)

    def _others(self, world: World, parts: RouterParts, news: NewsSocket) -> tuple[Concern, ...]:
        """Return what the loop turns besides elections, in this order: the list of concerns."""
        shared, loop, routers = world.shared, self._loop, parts.table.routers
        addresses = AddressWatch(
            shared, parts.executor, RequestSocket(), world.network, parts.table
        )
        self._changes = NetworkChanges(
            news,
            world.worker,
            world.network,
            groups=parts.groups,
            faults=parts.faults,
            addresses=addresses,
            caught_up_ns=loop.caught_up_ns,
            tell_agent=self._tell_of_links,
        )
        self._loading = Loading(
            shared,
            self._files.program_path,
            parts.table,
            self._changes,
            caught_up_ns=loop.caught_up_ns,
            is_stopping=lambda: loop.stopping,
            tell_supervisor=self._files.alarm.ring,
            tell_agent=self._agent.send,
        )
        messages = AgentMessages(
            shared,
            self._agent,
            routers,
            loading=self._loading,
            inputs=parts.inputs,
            recorder=world.recorder,
            caught_up_ns=loop.caught_up_ns,
            is_stopping=lambda: loop.stopping,
        )
        held_back = world.transport.holds_back, parts.presence.holds_back
        return (
            parts.conflicts,
            parts.leases,
            self._changes,
            addresses,
            Resolution(world.worker, world.network, world.frames, held_back, routers),
            world.frames,
            parts.foreign,
            parts.presence,
            parts.hearing,
            parts.faults,
            self._loading,
            messages,
        )

    def rehearse(self, program: EngineProgram | None) -> None:
        """Do what ``run`` does before the loop, as far as nobody notices.

        On a shared state of its own: there no router was left Active, and who begins in Backup says
        and binds nothing before its loop turns.
        """
        self._changes.ask()
        while self._worker.turn():
            self._worker.take()
        if program is not None:
            self._table.load(program, monotonic_ns())

    def run(self, known: KnownProgram) -> None:
        """Resume or start what the program file says, then loop until SIGTERM."""
        with self._loading.patience():
            self._resume(known)
        # An heir had better advertise before it does what else there is to do.
        wakeup = self._catch_signals()
        self._shared.set(shm.H_MEMORY_LOCKED, int(lock_memory()))
        name_process("vrrp-engine")
        if not self._loop.run(self._concerns, wakeup, self._files.parent):
            os._exit(UNFINISHED)  # the supervisor sees to what is left

    def _resume(self, known: KnownProgram) -> None:
        self._worker.start()
        self._shared.set(shm.H_LOADED, 0)
        program = known.take()  # if none, the agent makes one
        self._loading.reader = known.reader
        self._changes.begin(EVERYTHING if program is None else interest_of(program))
        self._changes.ask(lambda found: self._remove_left_overs(found, program))
        self._await_network(program)
        if program is not None:
            # Not earlier: whether a router may go on is a matter of how long it was silent.
            self._loading.load(program, monotonic_ns())

    def _await_network(self, program: EngineProgram | None) -> None:
        """Wait for what the kernel tells of links and addresses, as long as nothing is due.

        Others may hold its lock. Whoever is to advertise goes on without, and so do all before the
        supervisor loses its patience: what was so when the program was compiled is believed then.
        """
        now_ns = monotonic_ns()
        due_ns = now_ns + _START_NS
        for router in program.routers if program else ():
            if left_active(self._shared, router, now_ns):
                sent_ns = self._shared.get(shm.slot_offset(router.slot) + shm.S_LAST_SENT)
                due_ns = min(due_ns, sent_ns + router.adver_interval_ns)
        while not self._network.known and (now_ns := monotonic_ns()) < due_ns:
            self._worker.wait((due_ns - now_ns) / 1e9)
            self._leases.settle(now_ns)

    def _catch_signals(self) -> int:
        readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self._loop.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(writable)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # see who forked us
        return readable

    def _remove_left_overs(self, found: list[News], program: EngineProgram | None) -> None:
        """Remove addresses with our mark, except those of routers that hold them or will resume."""
        now_ns, kept = monotonic_ns(), set[Place]()
        for router in self._table.routers.values():
            if router.machine.holding:
                kept.update((a.ifindex, a.address) for a in router.addresses)
        for unloaded in program.routers if program and not self._table.routers else ():
            if left_active(self._shared, unloaded, now_ns):
                kept.update((a.ifindex, a.address) for a in unloaded.addresses)
        for news in found:
            if not isinstance(news, AddressNews) or news.protocol != ADDRESS_PROTOCOL:
                continue
            place = news.ifindex, news.address
            if place not in kept:
                self._worker.unbind(None, [(place, delete_address_request(news))])
                self._shared.add(shm.H_FENCED + 8 * shm.FENCINGS.index(FencingReason.LEFT_OVER))

    def _tell_of_links(self) -> None:
        self._shared.add(shm.H_LINK_CHANGES)
        self._agent.send({"type": "links-changed"})

    def _report(self, name: str, change: StateChanged, sequence: int, now_ns: int) -> None:
        more = (change.after is State.ACTIVE) - (change.before is State.ACTIVE)
        before = self._shared.get(shm.H_ACTIVE)
        self._shared.set(shm.H_ACTIVE, max(0, before + more))
        if bool(before) != bool(self._shared.get(shm.H_ACTIVE)):
            self._files.alarm.ring()  # it keeps an heir ready for who holds addresses
        self._agent.send(
            {
                "type": "transition",
                "sequence": sequence,
                "name": name,
                "from": str(change.before),
                "to": str(change.after),
                "reason": str(change.reason),
                "monotonicNs": now_ns,
            }
        )


def run_engine(files: EngineFiles, known: KnownProgram | None = None) -> None:
    """Run the engine in this process until SIGTERM or the supervisor's death."""
    sys.setswitchinterval(_SWITCH_S)
    gc.disable()  # nothing here makes cycles in a steady state; a pause would cost deadlines
    shared = files.shared
    shared.set(shm.H_ENGINE_PID, os.getpid())
    files.alarm.ring()  # an heir goes on, and nothing else may tell the supervisor yet
    shared.add(shm.H_ENGINE_STARTS)
    shared.set(shm.H_SILENCE_LIMIT, 0)  # until a program is loaded
    shared.set(shm.H_HEARTBEAT, monotonic_ns())
    shared.set(shm.H_REAL_TIME, int(request_real_time()))
    try:
        Engine(files).run(known or KnownProgram(files.program_path))
    except Exception as error:
        path = files.program_path
        note_end(path, error, monotonic_ns(), proved=has_other_proved(path))
        raise


def lock_memory() -> bool:
    """Keep what was once in memory there; without the right to it a gauge shows that.

    Pages count when they are first touched, so that nothing becomes resident for the lock's sake.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def request_real_time() -> bool:
    """Ask for SCHED_RR for this process and return whether it was granted.

    Without the right to it the engine runs on, and a gauge shows it.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_REAL_TIME_PRIORITY))
    except OSError:
        return False
    return True


def name_process(name: str) -> None:
    """Have ``ps`` and ``top`` tell what this process is; without /proc they show Python."""
    with suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(name)
