"""Asks the kernel for what takes its rtnl lock: in a thread beside the loop, and in order.

Anybody on the machine may hold that lock for seconds: a CNI plugin, a driver, the end of many
namespaces. Whoever asks meanwhile sleeps in the kernel and cannot be woken, so the loop never asks
itself. A thread is enough, because it gives up the interpreter while it sleeps; its stack is all
the memory it costs.

Four kinds of requests, the first kind before the second, and so on: to *unbind* an address, to
*bind* one, a *call* (a dump, a membership), to *renew* a lease. Of one address the order is kept:
what is to be unbound is neither bound nor renewed any more by what was asked before, as far as the
kernel has not begun with it. Of one address at most one renewal waits. What was asked for by a loop
that may have stood still since is too old to be done: it comes back as *stale*.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic_ns
from typing import Any

from vrrp_speaker.engine.network.netlink import RequestSocket
from vrrp_speaker.engine.programs.program import AddressProgram, Place
from vrrp_speaker.engine.routers.running_router import RunningRouter

_STACK = 512 << 10
_BATCH = 32
"""How many requests the kernel is given at once while it is quick."""
_SLOW_NS = 5_000_000
"""From then on one at a time, so that an unbinding waits for one of them at most."""


class Kind(IntEnum):
    """What is asked for, in the order in which it is done."""

    UNBIND = 0
    BIND = 1
    CALL = 2
    RENEW = 3


@dataclass(slots=True, eq=False)
class Request:
    """One address of a router to be bound, renewed or unbound, and what became of it."""

    kind: Kind
    router: RunningRouter | None
    place: Place
    message: bytes
    asked_ns: int = 0
    valid_ns: int = 0
    """How long after it was asked for it may be done."""
    begun: bool = False
    withdrawn: bool = False
    done: bool = False
    stale: bool = False
    error: int = 0
    """Zero, or the errno with which the kernel refused it."""


@dataclass(slots=True, eq=False)
class Call:
    """Something else that takes the lock, and what to do with its result in the loop."""

    do: Callable[[RequestSocket], Any]
    then: Callable[[Any], None]
    result: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class _Lanes:
    """What waits, by kind; the thread's own."""

    unbind: deque[Request] = field(default_factory=deque)
    bind: deque[Request] = field(default_factory=deque)
    call: deque[Call] = field(default_factory=deque)
    renew: deque[Request] = field(default_factory=deque)

    def add(self, item: Request | Call) -> None:
        """Queue what the loop asked for."""
        if isinstance(item, Call):
            self.call.append(item)
        else:
            {Kind.UNBIND: self.unbind, Kind.BIND: self.bind}.get(item.kind, self.renew).append(item)


class AddressWorker:
    """Binds, renews and unbinds; everything but ``turn`` belongs to the loop."""

    def __init__(
        self,
        requests: RequestSocket,
        renewals: RequestSocket,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        """``renewals``: a socket of their own, so that the kernel can keep back their news."""
        self._requests, self._renewals, self._clock = requests, renewals, clock
        self._asked: deque[Request | Call] = deque()
        self._lanes = _Lanes()
        self._finished: deque[Request | Call] = deque()
        self._newest: dict[Place, Request] = {}
        self._wake = _thread.allocate_lock()
        self._wake.acquire()
        self._waits = False
        self._bound = _thread.allocate_lock()
        self._unbinding = 0
        self._tells = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._failure: BaseException | None = None
        self._batch = _BATCH

    def start(self) -> None:
        """Begin to work; not before the process is what it will be (forked, of its priority)."""
        before = _thread.stack_size(_STACK)
        try:
            _thread.start_new_thread(self._work, ())
        finally:
            _thread.stack_size(before)

    # Asking ----------------------------------------------------------------------------

    def bind(self, router: RunningRouter, addresses: Iterable[AddressProgram], now_ns: int) -> None:
        """Put addresses on, as soon as the kernel lets us."""
        self._bound.acquire(blocking=False)
        for address in addresses:
            place = address.ifindex, address.address
            newest = self._open(place)
            if newest is not None and newest.kind is not Kind.UNBIND:
                if newest.kind is Kind.BIND and newest.message == address.add:
                    newest.asked_ns = now_ns
                    continue  # asked twice, the kernel may tell of it before it is in use
                self._withdraw(newest)
            self._ask(Kind.BIND, router, place, address.add, now_ns)
        self.flush()

    def await_bound(self, seconds: float) -> None:
        """Wait until the kernel has bound something since ``bind``, or for so long."""
        self._bound.acquire(timeout=seconds)

    def has_bound(self, place: Place) -> bool:
        """Return whether the last that became of an address is that it was bound."""
        newest = self._newest.get(place)
        return newest is not None and newest.kind is Kind.BIND and newest.done and not newest.error

    def renew(
        self, router: RunningRouter, addresses: Iterable[AddressProgram], now_ns: int
    ) -> None:
        """Begin the leases anew; ``flush`` has it done."""
        for address in addresses:
            place = address.ifindex, address.address
            newest = self._open(place)
            if newest is None:
                self._ask(Kind.RENEW, router, place, address.add, now_ns)
            elif newest.kind is not Kind.UNBIND:
                newest.asked_ns = now_ns  # it is on its way, and wanted still

    def unbind(
        self, router: RunningRouter | None, addresses: Iterable[tuple[Place, bytes]]
    ) -> None:
        """Take addresses off with these requests, before anything else is done."""
        for place, message in addresses:
            newest = self._open(place)
            if newest is not None and newest.kind is not Kind.UNBIND:
                self._withdraw(newest)
            elif newest is not None and not newest.begun and newest.message == message:
                continue
            self._ask(Kind.UNBIND, router, place, message, 0)
            self._unbinding += 1
        self.flush()

    def call(self, do: Callable[[RequestSocket], Any], then: Callable[[Any], None]) -> None:
        """Have something else done that takes the lock; ``then`` gets its result from ``take``."""
        self._asked.append(Call(do, then))
        self._waits = True
        self.flush()

    def flush(self) -> None:
        """Have done what was asked for."""
        if self._waits:
            self._waits = False
            if self._wake.locked():
                self._wake.release()

    def binding(self, place: Place) -> bool:
        """Return whether the address is on its way to the interface."""
        newest = self._open(place)
        return newest is not None and newest.kind is Kind.BIND

    @property
    def unbinding(self) -> bool:
        """Whether an address is yet to be taken off."""
        return self._unbinding > 0

    def _open(self, place: Place) -> Request | None:
        """Return the newest request for an address, unless it is over."""
        newest = self._newest.get(place)
        return None if newest is None or newest.done or newest.withdrawn else newest

    def _withdraw(self, request: Request) -> None:
        # If the thread begins just now it is done all the same, before what is asked for next.
        request.withdrawn = True

    def _ask(
        self, kind: Kind, router: RunningRouter | None, place: Place, message: bytes, now_ns: int
    ) -> None:
        valid_ns = router.program.adver_interval_ns if router is not None else 0
        request = Request(kind, router, place, message, now_ns, valid_ns)
        self._newest[place] = request
        self._asked.append(request)
        self._waits = True

    # Results ---------------------------------------------------------------------------

    def fileno(self) -> int:
        """Return what becomes readable when ``take`` has something to return."""
        return self._tells

    def take(self) -> list[Request]:
        """Return what is over, without leases that were renewed; end calls that are over.

        Raises:
            OSError: what a call met with.
        """
        try:
            os.eventfd_read(self._tells)
        except BlockingIOError:
            if not self._finished:
                return []
        if self._failure is not None:
            raise self._failure
        over: list[Request] = []
        while self._finished:
            item = self._finished.popleft()
            if isinstance(item, Call):
                if item.error is not None:
                    raise item.error
                item.then(item.result)
                continue
            if item.kind is Kind.UNBIND:
                self._unbinding -= 1
                if self._newest.get(item.place) is item:
                    del self._newest[item.place]
            over.append(item)
        return over

    def wait(self, seconds: float) -> None:
        """Wait until there is something to take, or for so long."""
        poll = select.poll()
        poll.register(self._tells, select.POLLIN)
        poll.poll(max(0, int(seconds * 1000)))

    # The thread ------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            while True:
                self._wake.acquire()
                while self.turn():
                    pass
        except BaseException as error:
            self._failure = error  # the loop raises it: an engine without its worker must end
            os.eventfd_write(self._tells, 1)

    def turn(self) -> bool:
        """Do some of what waits; return whether there was anything."""
        lanes = self._lanes
        while self._asked:
            lanes.add(self._asked.popleft())
        if lanes.unbind or lanes.bind:
            first = lanes.unbind or lanes.bind
            self._request(first, self._requests)
        elif lanes.call:
            self._do(lanes.call.popleft())
        elif lanes.renew:
            self._request(lanes.renew, self._renewals)
        else:
            return False
        return True

    def _do(self, call: Call) -> None:
        try:
            call.result = call.do(self._requests)
        except Exception as error:
            call.error = error
        self._finished.append(call)
        os.eventfd_write(self._tells, 1)

    def _request(self, waiting: deque[Request], requests: RequestSocket) -> None:
        begun_ns = self._clock()
        batch: list[Request] = []
        over: list[Request] = []
        while waiting and len(batch) < self._batch:
            request = waiting.popleft()
            request.begun = True
            if request.withdrawn:
                continue
            if request.kind is not Kind.UNBIND and self._is_old(request, begun_ns):
                request.stale = request.done = True
                over.append(request)
                continue
            batch.append(request)
        errors = requests.request_all([request.message for request in batch])
        self._batch = _BATCH if self._clock() - begun_ns < _SLOW_NS else 1
        for request, request.error in zip(batch, errors, strict=True):
            request.done = True
            if request.error or request.kind is not Kind.RENEW:
                over.append(request)
        if batch and batch[-1].kind is Kind.BIND and self._bound.locked():
            self._bound.release()
        if over:
            self._finished.extend(over)
            os.eventfd_write(self._tells, 1)

    def _is_old(self, request: Request, now_ns: int) -> bool:
        return now_ns - request.asked_ns > request.valid_ns
