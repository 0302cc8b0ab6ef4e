"""What is heard of each election: whose advertisement it is, and what it adds to the counters.

As a rule one sender speaks in an election and says the same for a long time. So what follows from
what it says is found out once; then hearing it costs a look-up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vrrp.constants import Family, State
from vrrp.observations import observe
from vrrp.packet import Advertisement
from vrrp.validation import Accepted, Elections
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.routers.members import Members
from vrrp_speaker.engine.routers.running_router import RunningRouter, election_of
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_OBSERVATIONS = {o: shm.H_OBSERVED + 8 * i for i, o in enumerate(shm.OBSERVATIONS)}


@dataclass(frozen=True, slots=True)
class _Voice:
    """Who spoke last in an election, and what that amounts to as long as it says the same."""

    said: Advertisement
    priority: int
    """Ours, on which some observations depend."""
    place: int
    """Where the sender's counters are in the shared state."""
    remembered: bool
    """Whether it is a member, listed or learned, whose mark is kept."""
    learned: bool
    """Whether it is one that no list names."""
    observations: tuple[int, ...]
    """Where the counters of what is odd about it are."""


class Hearing(Concern):
    """Takes note of accepted advertisements for the running routers."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self.elections = Elections()
        self.members = Members(shared)
        self._routers: dict[tuple[Family, int], RunningRouter] = {}
        self._places: dict[tuple[Family, int, bytes], int] = {}
        self._voices: dict[tuple[Family, int], _Voice] = {}

    def follow(self, routers: Collection[RunningRouter]) -> None:
        """Hear for these from now on, by their present programs."""
        self._routers = {(r.program.family, r.program.vrid): r for r in routers}
        attempts = self.elections.attempts
        self.elections = Elections(map(election_of, routers), attempts)
        self._places = {
            (r.program.family, r.program.vrid, peer.address): shm.peer_offset(r.program.slot, index)
            for r in routers
            for index, peer in enumerate(r.program.peers)
        }
        self._voices.clear()

    def run(self, now_ns: int) -> None:
        """Let go of learned members that were silent for too long."""
        if self.members.forget_silent(self._routers.values(), now_ns):
            self._voices.clear()

    def note(self, accepted: Accepted, now_ns: int) -> RunningRouter:
        """Take note of an advertisement: counters, marks, checksum form; return whose it is."""
        router = self._routers[accepted.family, accepted.advertisement.vrid]
        shared, voice = self._shared, self._voice(accepted, router, now_ns)
        place = voice.place
        if router.machine.state is State.ACTIVE and accepted.advertisement.priority:
            self._count_dual_active(router, place, now_ns)
        shared.note_heard(place, now_ns)
        if voice.remembered and accepted.sequence is not None:
            shared.set(place + shm.PEER_MARK, accepted.sequence)
            if voice.learned:
                shared.set(place + shm.LEARNED_KNOWN, now_ns)
        for observation in voice.observations:
            shared.add(observation)
        return router

    def _voice(self, accepted: Accepted, router: RunningRouter, now_ns: int) -> _Voice:
        said, source = accepted.advertisement, accepted.source
        identity, priority = (accepted.family, said.vrid), router.machine.parameters.priority
        known = self._voices.get(identity)
        if known is not None and known.said is said and known.priority == priority:
            return known
        place = self._places.get((*identity, source))
        learned = place is None and router.program.open
        if learned:
            place = self.members.place(router, source, now_ns)
        router.encoder.heard(source, accepted.checksum_form)
        observed = observe(accepted, self.elections.by_id[identity], priority)
        voice = self._voices[identity] = _Voice(
            said=said,
            priority=priority,
            place=router.offset + shm.S_UNLISTED if place is None else place,
            remembered=place is not None,
            learned=learned,
            observations=tuple(_OBSERVATIONS[observation] for observation in observed),
        )
        if known is None or known.place != voice.place:
            voices = router.offset + shm.S_VOICES
            self._shared.report(voices, self._shared.get(voices) + 1)
        return voice

    def _count_dual_active(self, router: RunningRouter, place: int, now_ns: int) -> None:
        silent_ns = now_ns - self._shared.get(place + shm.PEER_LAST)
        active_ns = now_ns - self._shared.get(router.offset + shm.S_SINCE)
        both_ns = min(silent_ns, active_ns, router.program.adver_interval_ns)
        self._shared.add(router.offset + shm.S_DUAL_ACTIVE, both_ns)
