"""What is done in each stage of a conflict: asked, judged, told, and bound in the end."""

from __future__ import annotations

from collections.abc import Set
from typing import assert_never

from vrrp.events import Doubt
from vrrp_speaker.engine.neighbours.additions import Addition
from vrrp_speaker.engine.neighbours.conflict_stages import (
    IDLE,
    Asking,
    HeldBack,
    Holding,
    Idle,
    Verdict,
    Watched,
)
from vrrp_speaker.engine.neighbours.defence import Defence
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.neighbours.lookout import LookOut
from vrrp_speaker.engine.neighbours.probing import PROBES, Round, places, settling_ns
from vrrp_speaker.engine.programs.program import Place
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import Conflict, HeldByMember, SharedState
from vrrp_speaker.shared_state.layout import bytes_hash


class ConflictJudge:
    """Does for one watched router at a time what is due in its stage."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        dispatcher: Dispatcher,
        lookout: LookOut,
    ) -> None:
        self._shared = shared
        self._executor = executor
        self._dispatcher = dispatcher
        self._lookout = lookout
        self._kin = lookout.kin

    def judge(self, watched: Watched, now_ns: int) -> bool:
        """Ask and judge; return whether the router's faults are to be looked at anew."""
        match watched.stage:
            case Idle():
                changed = False
            case Asking():
                changed = self._ask(watched, watched.stage, now_ns)
            case HeldBack():
                changed = self._hold_back(watched, watched.stage, now_ns)
            case Holding():
                changed = False
                self._defend(watched, watched.stage.defence, now_ns)
                self._ask_for_additions(watched, watched.stage, now_ns)
            case unreachable:
                assert_never(unreachable)
        return self._tell(watched, now_ns) or changed

    def suspect(self, watched: Watched, defence: Defence, sighting: Sighting, now_ns: int) -> None:
        """Look again at who is seen beside an Active router, unless that is a known stranger."""
        if defence.suspect is None:
            self._ask_about(watched.router, frozenset(), now_ns)
        if defence.seen(sighting, settling_ns(watched.parameters), now_ns):
            self._note(watched.router, sighting, 1, now_ns)

    # Asking ----------------------------------------------------------------------------

    def _ask(self, watched: Watched, stage: Asking, now_ns: int) -> bool:
        """Probe; hold the router back at the end if a stranger answered."""
        refused = watched.refused(stage.round, now_ns)
        if refused is None:
            self._probe(watched, now_ns)
            return False
        if not self._settles(watched, stage, refused, now_ns):
            again_ns = max(now_ns, watched.lease_over_ns(stage.round))
            watched.stage = HeldBack(refused, again_ns)
            self._note(watched.router, refused, 1, now_ns)
        return True

    def _settles(self, watched: Watched, stage: Asking, answer: Sighting, now_ns: int) -> bool:
        """Return whether whoever answered may be of the election, and is listened for yet."""
        settling = settling_ns(watched.parameters)
        until_ns = stage.round.answered_ns + settling
        if self._kin.has(watched.router, answer.mac):
            # As if it had advertised then. The kernel of one that died answers until a lease ends.
            until_ns = stage.round.last_ns + settling
            if now_ns >= until_ns:
                watched.stage = IDLE
                return True
            stage.round = Round(now_ns, (until_ns - now_ns) // (PROBES + 1))
        if now_ns < until_ns:
            self._dispatcher.give(watched.router, Doubt(until_ns), now_ns)
        return now_ns < until_ns

    def _hold_back(self, watched: Watched, stage: HeldBack, now_ns: int) -> bool:
        """Ask again now and then; return whether nobody but a member has the address any more."""
        known = self._kin.has(watched.router, stage.sighting.mac)
        verdict = Verdict.GONE if known else stage.proceed(now_ns)
        if verdict is Verdict.SEEN_AGAIN:
            if self._kin.has(watched.router, stage.sighting.mac):
                verdict = Verdict.GONE
            else:
                self._note(watched.router, stage.sighting, 1, now_ns)
        if verdict is Verdict.GONE:
            watched.stage = IDLE
            return True
        self._probe(watched, now_ns)
        return False

    def _probe(self, watched: Watched, now_ns: int) -> None:
        """Ask about all addresses, if that is due."""
        asked = watched.asked
        if asked is not None and asked.take_due(now_ns):
            self._ask_about(watched.router, places(watched.router.program), now_ns)

    def _ask_about(self, router: RunningRouter, about: Set[Place], now_ns: int) -> None:
        """Ask who has the addresses there, and the members who they are; their answers count."""
        self._lookout.look_again()
        if about:
            self._executor.probe(router, about, now_ns)
        else:
            self._executor.ask_members(router, now_ns)

    # Holding ---------------------------------------------------------------------------

    def _defend(self, watched: Watched, defence: Defence, now_ns: int) -> None:
        suspect = defence.suspect
        member = suspect is not None and self._kin.has(watched.router, suspect.mac)
        found = defence.settle(now_ns, explained=member or watched.explained(now_ns))
        if found is not None:
            self._note(watched.router, *found, now_ns)
        disputed = defence.take_disputed(now_ns)
        if disputed:
            self._executor.defend(watched.router, disputed, now_ns)

    def _ask_for_additions(self, watched: Watched, stage: Holding, now_ns: int) -> None:
        """Probe, judge and bind."""
        router, settling = watched.router, settling_ns(watched.parameters)
        free = set[Place]()
        for place, addition in stage.additions.judged(now_ns, settling):
            if addition.seen_ns is None and self._executor.has_yet_to_ask(router, place):
                addition.wait_longer()
            elif addition.seen_ns is None:
                free.add(place)
            else:
                self._judge_addition(watched, addition, now_ns)
        if free:
            self._executor.bind_withheld(router, free, now_ns)
            stage.additions.keep(router.withheld, now_ns)
        due = stage.additions.take_due(now_ns)
        if due:
            self._ask_about(router, due, now_ns)

    def _judge_addition(self, watched: Watched, addition: Addition, now_ns: int) -> None:
        """Tell who answered for an added address, unless the election explains it."""
        router, stranger = watched.router, addition.stranger
        if stranger is not None and self._kin.has(router, stranger.mac):
            addition.member, stranger = stranger.mac, None
        elif watched.explained(now_ns):
            stranger = None
        if stranger is not None:
            self._note(router, stranger, 1, now_ns)
        addition.judge(stranger, now_ns)

    # Telling ---------------------------------------------------------------------------

    def _tell(self, watched: Watched, now_ns: int) -> bool:
        """Tell which address the router goes without, and whose it is; return whether that is news.

        The shared state is told of the member; faults are told by whoever looks at them anew.
        """
        lacks, found = watched.lacks(now_ns), watched.held_by_member(now_ns)
        held = None
        if found is not None:
            address, mac = found
            member = self._kin.whose(watched.router, mac)
            held = HeldByMember(address, bytes_hash(member)) if member is not None else None
        if held != watched.told_held:
            watched.told_held = held
            self._shared.note_held(watched.router.program.slot, held)
        before, watched.told = watched.told, lacks
        return before != lacks

    def _note(self, router: RunningRouter, sighting: Sighting, count: int, now_ns: int) -> None:
        conflict = Conflict(sighting.address, sighting.mac, now_ns)
        self._shared.note_conflict(router.program.slot, conflict, count)
