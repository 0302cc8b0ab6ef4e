"""Learned members at run time: counted, sent to, and remembered across engines.

``vrrp.members`` says who is one; here it gets a place in the shared state, so that an engine's heir
knows it too, and becomes a receiver of what its election says. What the core knows leads: places
follow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vrrp.constants import NS_PER_SECOND
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_LOOK_EVERY_NS = NS_PER_SECOND
_COUNTERS = (shm.PEER_RECEIVED, shm.PEER_LAST, shm.PEER_MARK)


def recall_members(shared: SharedState, router: RunningRouter) -> None:
    """Go on with the members that an engine before us learned, and with the marks of theirs."""
    if not router.program.open:
        return
    for place, source in shared.learned(router.program.slot):
        router.others.learned.known_ns[source] = shared.get(place + shm.LEARNED_KNOWN)
        mark = shared.get(place + shm.PEER_MARK)
        if mark:
            router.others.marks.remember(source, mark)
    router.reach_members()


def recall_marks(shared: SharedState, router: RunningRouter) -> None:
    """Take over what a predecessor heard, so that nothing can be played back to its successor."""
    for index, peer in enumerate(router.program.peers):
        mark = shared.get(shm.peer_offset(router.program.slot, index) + shm.PEER_MARK)
        if mark:
            router.others.marks.remember(peer.address, mark)
    recall_members(shared, router)


class Members:
    """Keeps places and receivers in step with whom each router's election has learned."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._look_at_ns = 0

    def place(self, router: RunningRouter, source: bytes, now_ns: int) -> int:
        """Return where a learned member's counters are; it is sent to from now on."""
        places = self._follow(router)
        place = places.get(source)
        if place is None:
            place = self._shared.learn(router.program.slot, source, now_ns)
        router.reach_members()
        return place

    def relist(self, router: RunningRouter, before: RouterProgram, now_ns: int) -> None:
        """Follow a changed list: who was learned and is listed, and who is listed no more.

        Called before the places of listed peers are those of the new list.
        """
        shared, after = self._shared, router.program
        known, listed = router.others.learned.known_ns, {peer.address for peer in after.peers}
        if not after.open:
            known.clear()
        for source in listed.intersection(known):
            del known[source]
        marks, heard = {}, {}
        if after.open:
            for index, peer in enumerate(before.peers):
                place = shm.peer_offset(after.slot, index)
                if peer.address not in listed:
                    heard[peer.address] = shared.get(place + shm.PEER_LAST)
                    marks[peer.address] = shared.get(place + shm.PEER_MARK)
        router.others.learned.keep(sorted(heard, key=heard.__getitem__, reverse=True), now_ns)
        places = self._follow(router)
        for source in known.keys() - places.keys():
            place = shared.learn(after.slot, source, now_ns)
            shared.set(place + shm.PEER_MARK, marks.get(source, 0))
        router.reach_members()

    def counters(self, router: RunningRouter) -> dict[bytes, list[int]]:
        """Return what is counted of each learned member, by address."""
        shared = self._shared
        return {
            source: [shared.get(place + field) for field in _COUNTERS]
            for place, source in shared.learned(router.program.slot)
        }

    def forget_silent(self, routers: Iterable[RunningRouter], now_ns: int) -> bool:
        """Forget, now and then, who was silent for too long; return whether anybody was."""
        if now_ns < self._look_at_ns:
            return False
        self._look_at_ns = now_ns + _LOOK_EVERY_NS
        changed = [router for router in routers if router.others.learned.forget_silent(now_ns)]
        for router in changed:
            self._follow(router)
            router.reach_members()
        return bool(changed)

    def _follow(self, router: RunningRouter) -> dict[bytes, int]:
        """Free the places of whom the core knows no more; return those that are left."""
        places = {}
        for place, source in list(self._shared.learned(router.program.slot)):
            if source in router.others.learned.known_ns:
                places[source] = place
            else:
                self._shared.forget_learned(place)
        return places


def move_counters(
    shared: SharedState,
    before: RouterProgram,
    after: RouterProgram,
    learned: Mapping[bytes, list[int]],
) -> None:
    """Move each peer's counters to its new place; places that are left or new become zero.

    ``learned`` are those of members that were not listed before.
    """
    slot, fields = after.slot, range(0, shm.PEER_SIZE, 8)
    known = {
        peer.address: [shared.get(shm.peer_offset(slot, i) + field) for field in fields]
        for i, peer in enumerate(before.peers)
    }
    known.update(learned)
    nothing = [0 for _ in fields]
    for i in range(max(len(before.peers), len(after.peers))):
        counts = known.get(after.peers[i].address, nothing) if i < len(after.peers) else nothing
        for field, value in zip(fields, counts, strict=True):
            shared.set(shm.peer_offset(slot, i) + field, value)
