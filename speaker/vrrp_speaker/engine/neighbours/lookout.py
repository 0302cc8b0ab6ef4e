"""Whose addresses are looked out for on the LAN: those watched over, and the members' own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain

from vrrp_speaker.engine.neighbours.conflict_stages import Watched
from vrrp_speaker.engine.neighbours.kin import Kin
from vrrp_speaker.engine.neighbours.listening import Neighbours
from vrrp_speaker.engine.programs.program import Place

Change = tuple[Watched, frozenset[Place]]
"""A router, and the places that it watched over before; it may watch over none now."""


class LookOut:
    """Has the sockets let pass what concerns the watched routers, and knows whom that is about."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._watched: Mapping[str, Watched] = {}
        self._began = False
        self.kin = Kin()
        self.by_place: dict[Place, Watched] = {}

    def follow(self, watched: Mapping[str, Watched], changed: Collection[Change]) -> None:
        """Look out for these routers, of which some watch over other places than before."""
        self._watched = watched
        for router, before in changed:
            for place in before - router.places:
                if self.by_place.get(place) is router:
                    del self.by_place[place]
        for router, _ in changed:
            self.by_place.update(dict.fromkeys(router.places, router))
        if self._knows_others_now() or changed or not self._began:
            self._began = True
            self._listen()

    def look_again(self) -> None:
        """Look out for the members that there are now, learned ones too."""
        if self._knows_others_now():
            self._listen()

    def _knows_others_now(self) -> bool:
        return self.kin.sync(watched.router for watched in self._watched.values())

    def _listen(self) -> None:
        self._neighbours.watch(chain((a for _, a in self.by_place), self.kin.addresses()))
