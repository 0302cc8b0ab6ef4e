"""What becomes of addresses once they are bound: taken away, in use at last, links that return."""

from __future__ import annotations

from collections.abc import Mapping

from vrrp.constants import State
from vrrp_speaker.engine.network.netlink import AddressNews, RequestSocket
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import AddressProgram
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

ASK_EVERY_NS = 1_000_000
LONGEST_WAIT_NS = 1_000_000_000
"""Then an address is announced whatever the kernel says: a routing rule may hide its answer."""


class AddressWatch:
    """Keeps the addresses of Active routers where they belong, and announced."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        requests: RequestSocket,
        network: NodeNetwork,
        routers: Mapping[str, RunningRouter],
    ) -> None:
        self._shared = shared
        self._executor = executor
        self._requests = requests
        self._network = network
        self._routers = routers
        self._awaited: dict[tuple[int, bytes], int] = {}
        self._ask_at_ns = 0

    def restore(self, removed: AddressNews, now_ns: int) -> None:
        """Put back an address of an Active router that somebody else removed, and announce it."""
        if self._network.on_interface(removed.ifindex, removed.address):
            return  # it is there again: the removal was our own, before we became Active
        for router in self._routers.values():
            if router.machine.state is not State.ACTIVE:
                continue
            for address in router.addresses:
                if (address.ifindex, address.address) == (removed.ifindex, removed.address):
                    self._restore(router, address, now_ns)
                    return

    def await_use(self, arrived: AddressNews, now_ns: int) -> None:
        """Announce an IPv6 address of an Active router as soon as it answers; ``run`` looks.

        The kernel tells of it when it is on the interface. Packets to it are taken only once a
        worker of the kernel has come to it, which took up to 12 ms. An IPv4 address answers as soon
        as it is bound, and was announced then.
        """
        key = (arrived.ifindex, arrived.address)
        if len(arrived.address) == 4 or self._active(*key) is None:
            return
        self._network.await_use(*key)
        self._awaited[key] = now_ns + LONGEST_WAIT_NS
        self._ask_at_ns = now_ns

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do."""
        return self._ask_at_ns if self._awaited else None

    def run(self, now_ns: int) -> None:
        """Announce what answers by now."""
        if not self._awaited or now_ns < self._ask_at_ns:
            return
        self._ask_at_ns = now_ns + ASK_EVERY_NS
        for key, until_ns in list(self._awaited.items()):
            there = self._network.on_interface(*key)
            if there and now_ns < until_ns and not self._requests.delivers(*key):
                continue
            del self._awaited[key]
            self._network.note_use(*key)
            router = self._active(*key)
            if there and router is not None:
                self._executor.announce(router, now_ns)

    def announce_sources(self, ifindex: int, now_ns: int) -> None:
        """Tell the peers where this node is, once for an interface that came up."""
        for router in self._routers.values():
            if router.program.ifindex == ifindex and router.program.source_announcements:
                self._executor.announce_source(router.program, now_ns)
                return

    def missing(self) -> list[AddressNews]:
        """Return what Active routers should hold and do not, as if its removal were news."""
        return [
            AddressNews(address.ifindex, address.address, address.prefix_length, 0, present=False)
            for router in self._routers.values()
            if router.machine.state is State.ACTIVE
            for address in router.addresses
            if not self._network.on_interface(address.ifindex, address.address)
        ]

    def _active(self, ifindex: int, address: bytes) -> RunningRouter | None:
        """Return the Active router whose address that is."""
        for router in self._routers.values():
            if router.machine.state is State.ACTIVE and any(
                (own.ifindex, own.address) == (ifindex, address) for own in router.addresses
            ):
                return router
        return None

    def _restore(self, router: RunningRouter, address: AddressProgram, now_ns: int) -> None:
        if self._executor.bind(router, (address,), now_ns):
            self._executor.announce(router, now_ns)
            self._shared.add(router.offset + shm.S_RESTORED)
