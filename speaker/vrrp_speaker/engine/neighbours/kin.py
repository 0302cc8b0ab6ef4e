"""Hardware addresses of an election's members: who has one of them is no stranger.

They are learned from answers to questions for the members' own addresses, which go out together
with those for the election's. A member may have an address of the election before it is heard: it
was not told of us yet, or its engine died and its kernel keeps the lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.programs.program import Place
from vrrp_speaker.engine.routers.running_router import RunningRouter


class Kin:
    """Remembers which hardware address each member had last; of members only."""

    def __init__(self) -> None:
        self._macs: dict[Place, bytes] = {}

    def sync(self, routers: Iterable[RunningRouter]) -> bool:
        """Know the members of these routers and no others; return whether that is news."""
        places = {place for router in routers for place in member_places(router)}
        if places == self._macs.keys():
            return False
        self._macs = {place: self._macs.get(place, b"") for place in places}
        return True

    def addresses(self) -> Iterator[bytes]:
        """Yield the packed addresses to look out for."""
        return (address for _, address in self._macs)

    def see(self, sighting: Sighting) -> None:
        """Take in who has an address, if it is a member's."""
        place = sighting.ifindex, sighting.address
        if place in self._macs:
            self._macs[place] = sighting.mac

    def has(self, router: RunningRouter, mac: bytes) -> bool:
        """Return whether a hardware address is that of one of the router's members."""
        return self.whose(router, mac) is not None

    def whose(self, router: RunningRouter, mac: bytes) -> bytes | None:
        """Return the own address of the router's member with a hardware address; None: nobody."""
        places = (place for place in member_places(router) if self._macs.get(place) == mac)
        return next((address for _, address in places), None)


def member_places(router: RunningRouter) -> Iterator[Place]:
    """Yield where each member of the cluster has its own address, those that were learned too."""
    program = router.program
    listed = (peer.address for peer in program.peers if not peer.external)
    for address in (*listed, *router.others.learned.known_ns):
        yield program.ifindex, address
