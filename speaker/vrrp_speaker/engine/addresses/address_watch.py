"""What becomes of addresses once they are bound: taken away, in use at last, links that return."""

from __future__ import annotations

from vrrp.constants import State
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.network.netlink import AddressNews, RequestSocket
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import Place
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.router_table import RouterTable
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

ASK_EVERY_NS = 1_000_000
LONGEST_WAIT_NS = 1_000_000_000
"""Then an address is announced whatever the kernel says: a routing rule may hide its answer."""


class AddressWatch(Concern):
    """Keeps the addresses of Active routers where they belong, and announced."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        requests: RequestSocket,
        network: NodeNetwork,
        table: RouterTable,
    ) -> None:
        self._shared = shared
        self._executor = executor
        self._requests = requests
        self._network = network
        self._table = table
        self._awaited: dict[Place, int] = {}
        self._restored: set[Place] = set()
        self._ask_at_ns = 0

    def restore(self, removed: AddressNews, now_ns: int) -> None:
        """Put back an address of an Active router that somebody else removed."""
        place = removed.ifindex, removed.address
        router = self._active(place)
        if router is None or self._network.on_interface(*place):
            return  # if it is there again the removal was our own, before we became Active
        self._executor.leases.note_present(router)
        if self._executor.leases.is_binding(place):
            return
        self._restored.add(place)
        lost = tuple(a for a in router.addresses if (a.ifindex, a.address) == place)
        self._executor.leases.bind(router, lost, now_ns)

    def await_use(self, arrived: AddressNews, now_ns: int) -> None:
        """Announce an address of an Active router as soon as it answers; ``run`` looks.

        The kernel tells of it when it is on the interface. An IPv4 address answers then. Packets to
        an IPv6 address are taken only once a worker of the kernel has come to it, which took up to
        12 ms.
        """
        place = arrived.ifindex, arrived.address
        router = self._active(place)
        if router is None:
            return
        self._executor.leases.note_present(router)
        if place in self._restored:
            self._restored.discard(place)
            self._shared.add(router.offset + shm.S_RESTORED)
        if len(arrived.address) == 16:
            self._network.await_use(*place)
        self._awaited[place] = now_ns + LONGEST_WAIT_NS
        self._ask_at_ns = now_ns

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do."""
        return self._ask_at_ns if self._awaited else None

    def run(self, now_ns: int) -> None:
        """Announce what answers by now."""
        if not self._awaited or now_ns < self._ask_at_ns:
            return
        self._ask_at_ns = now_ns + ASK_EVERY_NS
        to_announce: dict[str, RunningRouter] = {}
        for place, until_ns in list(self._awaited.items()):
            there = self._network.on_interface(*place)
            if there and now_ns < until_ns and not self._answers(place):
                continue
            del self._awaited[place]
            self._network.note_use(*place)
            router = self._active(place)
            if there and router is not None:
                to_announce[router.program.name] = router
        for router in to_announce.values():
            self._executor.announce(router, now_ns)

    def announce_sources(self, ifindex: int, now_ns: int) -> None:
        """Tell the peers where this node is, once for an interface that came up."""
        for router in self._table.routers.values():
            frames = router.program.source_announcements
            if any(frame.ifindex == ifindex for frame in frames):
                self._executor.announce_source(router.program, ifindex, now_ns)
                return

    def missing(self) -> list[AddressNews]:
        """Return what Active routers should hold and do not, as if its removal were news."""
        return [
            AddressNews(address.ifindex, address.address, address.prefix_length, 0, present=False)
            for router in self._table.routers.values()
            if router.machine.state is State.ACTIVE
            for address in router.addresses
            if not self._network.on_interface(address.ifindex, address.address)
        ]

    def _answers(self, place: Place) -> bool:
        return len(place[1]) == 4 or self._requests.delivers(*place)

    def _active(self, place: Place) -> RunningRouter | None:
        """Return the Active router whose address that is, unless it is to be without it yet."""
        router = self._table.by_place.get(place)
        if router is None or router.machine.state is not State.ACTIVE or place in router.withheld:
            return None
        return router
