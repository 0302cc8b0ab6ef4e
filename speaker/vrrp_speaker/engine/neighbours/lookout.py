"""Whose addresses are looked out for on the LAN: those watched over, and the members' own."""

from __future__ import annotations

from collections.abc import Mapping

from vrrp_speaker.engine.neighbours.conflict_stages import Watched
from vrrp_speaker.engine.neighbours.kin import Kin
from vrrp_speaker.engine.neighbours.listening import Neighbours
from vrrp_speaker.engine.neighbours.probing import Place


class LookOut:
    """Has the sockets let pass what concerns the watched routers, and knows whom that is about."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._watched: Mapping[str, Watched] = {}
        self._began = False
        self.kin = Kin()
        self.by_place: dict[Place, Watched] = {}

    def follow(self, watched: Mapping[str, Watched], *, changed: bool) -> None:
        """Look out for these routers; ``changed``: some address is watched over that was not, or
        is no more."""
        self._watched = watched
        changed |= not self._began
        if changed:
            self._began = True
            self.by_place = {place: w for w in watched.values() for place in w.places}
        if self._knows_others_now() or changed:
            self._listen()

    def look_again(self) -> None:
        """Look out for the members that there are now, learned ones too."""
        if self._knows_others_now():
            self._listen()

    def _knows_others_now(self) -> bool:
        return self.kin.sync(watched.router for watched in self._watched.values())

    def _listen(self) -> None:
        self._neighbours.watch([*(a for _, a in self.by_place), *self.kin.addresses()])
