"""What an Active Router makes of others that speak: it yields, answers or ignores.

Two that were Active may have been so for long, cut off from each other; ``virtual_router`` has the
theory. A release has no priority, so of two that offer the one with the greater address goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from vrrp.actions import Action, AnnounceAddresses, SendAdvertisement
from vrrp.constants import PRIORITY_RELEASE, VERSION_3, TransitionReason
from vrrp.events import AdvertisementReceived
from vrrp.states import HANDOVER_GRACE_NS, Active, Backup, Fault, Parameters, RouterState


class Outcome(NamedTuple):
    """The state after what was heard, what to do, and why it is another state; None: it is not."""

    state: RouterState
    actions: tuple[Action, ...] = ()
    reason: TransitionReason | None = None


def hear_as_active(
    state: Active, heard: AdvertisementReceived, mine: Parameters, now_ns: int
) -> Outcome:
    """Return what one advertisement makes of an Active Router (RFC 9568 §6.4.3)."""
    if state.offers:
        return _hear_offering(state, heard, mine, now_ns)
    if heard.priority == PRIORITY_RELEASE:
        return _answer_release(state, mine, now_ns)
    if heard.priority > mine.priority:
        return _yield_to(heard, mine, TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT, now_ns)
    if heard.priority == mine.priority and heard.source > mine.source:
        return _yield_to(heard, mine, TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS, now_ns)
    answered_ns = state.loser_answered_ns
    if answered_ns is not None and now_ns - answered_ns < mine.adver_interval_ns:
        return Outcome(replace(state, repair_due=True))
    # Two are Active: repair the neighbours' caches, and tell the loser at once where the
    # version has it so (RFC 9568 §6.4.3; RFC 3768 §6.4.3 discards).
    answered = replace(state.repaired(now_ns), loser_answered_ns=now_ns)
    if mine.version == VERSION_3:
        return Outcome(answered, (SendAdvertisement(mine.priority), AnnounceAddresses()))
    return Outcome(answered, (AnnounceAddresses(),))


def _yield_to(
    heard: AdvertisementReceived, mine: Parameters, reason: TransitionReason, now_ns: int
) -> Outcome:
    """Step down, but be heard first: the other one may not know that there were two."""
    interval_ns = mine.heard_interval_ns(heard)
    down_ns = now_ns + mine.down_ns(interval_ns)
    backup = Backup(interval_ns, down_ns, held_until_ns=now_ns + HANDOVER_GRACE_NS)
    return Outcome(backup, (SendAdvertisement(mine.priority),), reason)


def _answer_release(state: Active, mine: Parameters, now_ns: int) -> Outcome:
    """Advertise at once, so that no Backup that heard the release takes over.

    Whoever releases was Active beside us, and the neighbours may know but him.
    """
    due_ns = state.release_answer_due_ns(mine)
    if now_ns < due_ns:
        return Outcome(state.hurried(due_ns))
    deadline_ns = now_ns + mine.adver_interval_ns
    answered = replace(state, adver_deadline_ns=deadline_ns, release_answered_ns=now_ns)
    repaired = _repair(answered, mine, now_ns)
    return Outcome(repaired.state, (SendAdvertisement(mine.priority), *repaired.actions))


def _repair(state: Active, mine: Parameters, now_ns: int) -> Outcome:
    """Tell the neighbours where the addresses are, once an interval; sooner ones wait for its end.

    Of three that were Active the second loser may announce after the first one was answered.
    """
    repaired_ns = state.repaired_ns
    if repaired_ns is not None and now_ns - repaired_ns < mine.adver_interval_ns:
        return Outcome(replace(state, repair_due=True))
    return Outcome(state.repaired(now_ns), (AnnounceAddresses(),))


def _hear_offering(
    state: Active, heard: AdvertisementReceived, mine: Parameters, now_ns: int
) -> Outcome:
    """Let go to a successor, or to another one that offers and has the greater address."""
    released = heard.priority == PRIORITY_RELEASE
    if released and heard.source < mine.source:
        return _repair(state, mine, now_ns)
    if released and not state.heard_before(heard.source, now_ns, mine):
        return Outcome(state.heard_once(heard.source, now_ns, mine))
    lets_go = Fault(now_ns + HANDOVER_GRACE_NS)
    return Outcome(lets_go, (SendAdvertisement(PRIORITY_RELEASE),), TransitionReason.FAULT)
