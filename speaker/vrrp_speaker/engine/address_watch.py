"""What becomes of addresses once they are bound: taken away, in use at last, links that return."""

from __future__ import annotations

from collections.abc import Mapping

from vrrp.constants import State
from vrrp_speaker.engine.netlink import AddressNews
from vrrp_speaker.engine.node_network import NodeNetwork
from vrrp_speaker.engine.program import AddressProgram
from vrrp_speaker.engine.routers import Executor, RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_ARRIVAL_NS = 5_000_000
"""The kernel tells of a new IPv6 address just before it routes packets to it."""


class AddressWatch:
    """Keeps the addresses of Active routers where they belong, and announced."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        network: NodeNetwork,
        routers: Mapping[str, RunningRouter],
    ) -> None:
        self._shared = shared
        self._executor = executor
        self._network = network
        self._routers = routers

    def restore(self, removed: AddressNews, now_ns: int) -> None:
        """Put back an address of an Active router that somebody else removed, and announce it."""
        if self._network.on_interface(removed.ifindex, removed.address):
            return  # it is there again: the removal was our own, before we became Active
        for router in self._routers.values():
            if router.machine.state is not State.ACTIVE:
                continue
            for address in router.program.addresses:
                if (address.ifindex, address.address) == (removed.ifindex, removed.address):
                    self._restore(router, address, now_ns)
                    return

    def announce_arrival(self, arrived: AddressNews, now_ns: int) -> None:
        """Announce an IPv6 address of an Active router, now that it answers.

        An IPv4 address answers as soon as it is bound, and was announced then.
        """
        if len(arrived.address) == 4:
            return
        for router in self._routers.values():
            if router.machine.state is State.ACTIVE and any(
                (address.ifindex, address.address) == (arrived.ifindex, arrived.address)
                for address in router.program.addresses
            ):
                self._executor.announce(router, now_ns + _ARRIVAL_NS)
                return

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
            for address in router.program.addresses
            if not self._network.on_interface(address.ifindex, address.address)
        ]

    def _restore(self, router: RunningRouter, address: AddressProgram, now_ns: int) -> None:
        if self._executor.bind(router, (address,), now_ns):
            self._executor.announce(router, now_ns)
            self._shared.add(router.offset + shm.S_RESTORED)
