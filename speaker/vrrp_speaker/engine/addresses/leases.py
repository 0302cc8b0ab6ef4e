"""The addresses of this node's routers: asked for by the worker, known to be there by the kernel's
news, refused at times.

An address on an interface is a lease: it ends by itself unless it is renewed with an advertisement.
To be Active and to have the addresses are two things. In between lies the kernel, which may take
its time while others hold its rtnl lock; then a router says so for as long as others wait for an
Active Router, and after that leaves the addresses to a node whose kernel may be quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vrrp.constants import State
from vrrp_speaker.engine.addresses.worker import AddressWorker, Kind, Request
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.network.netlink import ADDRESS_PROTOCOL, AddressNews
from vrrp_speaker.engine.network.node_network import Digest, NodeNetwork
from vrrp_speaker.engine.programs.program import AddressProgram, Place
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_MOMENT_S = 0.0005
_IMPATIENCE_NS = 20_000_000
LEAST_PATIENCE_NS = 100_000_000
"""So long at least a router that became Active waits for the kernel."""


class Leases(Concern):
    """Binds, renews and unbinds for routers, and knows how that went."""

    def __init__(self, shared: SharedState, worker: AddressWorker, network: NodeNetwork) -> None:
        self._shared = shared
        self._worker = worker
        self._network = network
        self._waiting: dict[str, tuple[RunningRouter, int]] = {}
        """Routers that wait for the kernel to bind something, and since when."""
        self._given_up: set[str] = set()
        self._patient_at_ns = 0
        self._refused: dict[str, RunningRouter] = {}
        """The routers whose addresses the kernel refused, until that is to be tried again."""
        self.on_refusal: Callable[[RunningRouter, int], None] = lambda _router, _now_ns: None
        """Told of routers that cannot have their addresses, with the time."""

    def bind(
        self, router: RunningRouter, addresses: tuple[AddressProgram, ...], now_ns: int
    ) -> None:
        """Have addresses put on; a refusal becomes a fault (``settle``)."""
        self._worker.bind(router, addresses, now_ns)
        self._waiting.setdefault(router.program.name, (router, now_ns))
        self._renew_later(router, addresses, now_ns)
        self.note_present(router)

    def await_bound(self, router: RunningRouter, now_ns: int) -> None:
        """Give the kernel the moment that it takes to bind, so that announcements go out at once.

        Where others hold its lock that is too short, and for a while nobody waits again: its news
        tell then. They do so for IPv6 always, as it puts an address into use some time later.
        """
        if now_ns < self._patient_at_ns:
            return
        self._worker.await_bound(_MOMENT_S)
        if any(self._worker.binding((a.ifindex, a.address)) for a in router.addresses):
            self._patient_at_ns = now_ns + _IMPATIENCE_NS
        for a in router.addresses:
            if len(a.address) == 4 and self._worker.has_bound((a.ifindex, a.address)):
                bound = AddressNews(a.ifindex, a.address, a.prefix_length, ADDRESS_PROTOCOL, True)
                self._network.learn([bound], Digest())
        self.note_present(router)

    def renew(self, router: RunningRouter, now_ns: int) -> None:
        """Have all leases of a router begin anew."""
        self._worker.renew(router, router.addresses, now_ns)
        self._renew_later(router, router.addresses, now_ns)

    def unbind(self, router: RunningRouter, addresses: Iterable[AddressProgram]) -> None:
        """Have addresses taken off; one that is gone already is as good."""
        requests = [((a.ifindex, a.address), a.delete) for a in addresses]
        self._worker.unbind(router, requests)
        self._waiting.pop(router.program.name, None)

    def let_go(self, router: RunningRouter) -> None:
        """Have all addresses of a router taken off."""
        self.unbind(router, router.addresses)
        router.lease.renew_at_ns = None

    def try_anew(self, router: RunningRouter) -> None:
        """Forget what the kernel refused to a router whose addresses are others now."""
        router.lease.retry_ns = router.lease.failures = 0

    def is_binding(self, place: Place) -> bool:
        """Return whether the kernel has an address to bind yet."""
        return self._worker.binding(place)

    def note_present(self, router: RunningRouter) -> None:
        """Tell whether a router that holds its addresses has all of them."""
        if router.removed or not router.machine.holding:
            return
        there = [self._network.on_interface(a.ifindex, a.address) for a in router.addresses]
        present = bool(there) and all(there)
        self._shared.set(router.offset + shm.S_ADDRESS_PRESENT, int(present))
        if present:
            router.lease.failures = 0

    @property
    def unbinding(self) -> bool:
        """Whether the kernel has an address to take off yet."""
        return self._worker.unbinding

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return (self._worker.fileno(),)

    def receive(self, _descriptor: int, now_ns: int) -> None:
        """Take in what the kernel has done."""
        self.settle(now_ns)

    def settle(self, now_ns: int) -> None:
        """Take in what the kernel has done; a refusal becomes a fault."""
        for request in self._worker.take():
            router = request.router
            if router is None:
                continue
            if request.kind is Kind.UNBIND:
                self._unbound(router, now_ns)
            elif request.stale:
                self._ask_again(request, router, now_ns)
            elif request.error and self._is_wanted(request, router):
                self._refuse(router, now_ns)

    def run(self, now_ns: int) -> None:
        """Have routers give up for which the kernel binds nothing while others could hold."""
        for name, (router, since_ns) in list(self._waiting.items()):
            if not any(self._worker.binding((a.ifindex, a.address)) for a in router.addresses):
                del self._waiting[name]
            elif router.has_others and now_ns - since_ns >= self._patience_ns(router):
                del self._waiting[name]
                self._given_up.add(name)
                self._refuse(router, now_ns)

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do."""
        waits = (since_ns + self._patience_ns(r) for r, since_ns in self._waiting.values())
        return min(waits, default=None)

    def due_again(self, now_ns: int) -> list[RunningRouter]:
        """Return the routers for which the kernel may be asked again, each once."""
        due = [r for r in self._refused.values() if now_ns >= r.lease.retry_ns]
        for router in due:
            del self._refused[router.program.name]
            router.lease.retry_ns = 0
        return due

    def _patience_ns(self, router: RunningRouter) -> int:
        """Return how long others would wait for this router before they took over."""
        mine = router.machine.parameters
        return max(LEAST_PATIENCE_NS, mine.down_ns(mine.adver_interval_ns))

    def _renew_later(
        self, router: RunningRouter, addresses: tuple[AddressProgram, ...], now_ns: int
    ) -> None:
        """Note when to renew; the lease of addresses that are left out is due when it was."""
        due_ns = now_ns + router.renewal_ns()
        if router.lease.renew_at_ns is not None and len(addresses) != len(router.addresses):
            due_ns = min(due_ns, router.lease.renew_at_ns)
        router.lease.renew_at_ns = due_ns

    def _refuse(self, router: RunningRouter, now_ns: int) -> None:
        """Have a router that cannot have its addresses leave them to others for a while."""
        if now_ns < router.lease.retry_ns:
            return  # one of several that go the same way
        router.lease.retry_ns = now_ns + router.install_wait_ns()
        router.lease.failures += 1
        self._refused[router.program.name] = router
        self._shared.set(router.offset + shm.S_ADDRESS_PRESENT, 0)
        self.on_refusal(router, now_ns)

    def _is_wanted(self, request: Request, router: RunningRouter) -> bool:
        return router.machine.holding and any(
            (a.ifindex, a.address) == request.place for a in router.addresses
        )

    def _ask_again(self, request: Request, router: RunningRouter, now_ns: int) -> None:
        """Ask for what was too old to be done, of a router that is Active yet."""
        if router.machine.state is not State.ACTIVE or router.lease.renew_at_ns is None:
            return
        router.lease.renew_at_ns = now_ns  # with the next advertisement
        if request.kind is Kind.BIND:
            again = [a for a in router.addresses if (a.ifindex, a.address) == request.place]
            self._worker.bind(router, again, now_ns)

    def _unbound(self, router: RunningRouter, now_ns: int) -> None:
        """Note that the kernel took something off; where that was stuck, all may be well again."""
        name = router.program.name
        if name in self._given_up:
            self._given_up.discard(name)
            router.lease.retry_ns = min(router.lease.retry_ns, now_ns)
            router.lease.failures = 0
        if not router.removed and not router.machine.holding:
            self._shared.set(router.offset + shm.S_ADDRESS_PRESENT, 0)
