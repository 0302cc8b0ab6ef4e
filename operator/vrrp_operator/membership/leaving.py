"""Who leaves an election, and who has the addresses then (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vrrp_api.node_config import VirtualRouterConfig
from vrrp_operator.membership.facts import ACTIVE, BACKUP, Seen
from vrrp_operator.membership.waiting import Wait

GAP, MAXIMUM = 21, 254
"""A successor's lead. No rank or hand-over gives it, so ranking does not take it for a loan."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Who may give up its router now, and who is put above those who leave so that they yield.

    ``token`` has the successor take over at once, whatever the election says of preemption; it
    counts once the successor has more than ``highest``.
    """

    goes: frozenset[str] = frozenset()
    successor: str | None = None
    priority: int = 0
    highest: int = 0
    token: str | None = None
    waits: tuple[Wait, ...] = ()


def departures(wanted: Mapping[str, VirtualRouterConfig], running: Mapping[str, Seen]) -> Departure:
    """Return what becomes of the members that are not wanted, including those told to go."""
    leavers = [seen for node, seen in running.items() if node not in wanted]
    asked = [seen for seen in leavers if seen.written is not None]
    # One that nobody lists is a member only by what it is asked: it may take that in yet.
    known = {s.node for s in asked if s.off or _has_said(s) or _is_listed(s, wanted, running)}
    if not leavers or not wanted:
        return Departure(frozenset(known))
    unable = tuple(Wait.to_tell(seen) for seen in leavers if not seen.fresh and not seen.off)
    others = [running[node] for node in wanted if node in running]
    successor = _successor(others)
    if successor is None:
        goes = known & {seen.node for seen in asked if seen.off or _is_idle(seen)}
        staying = [seen.node for seen in asked if seen.node not in goes]
        waits = (Wait.for_successor(staying, others),) if staying else ()
        return Departure(frozenset(goes), waits=(*unable, *waits))
    in_the_way = _in_the_way(leavers, running)
    highest = max((seen.priority for seen in leavers if not seen.off), default=0)
    given = wanted[successor.node].base_priority
    # While another one that stays has the addresses, nobody is put above it.
    leads = in_the_way is not None or successor.is_active
    priority = _lead(successor, highest, given) if leads else given
    outranked = priority - _handicap(successor) > highest
    goes = {
        s.node for s in asked if _may_go(s, successor) or (s.holds and s.fresh and not outranked)
    }
    token = in_the_way.node if in_the_way is not None else None
    if _has_spent(successor, token) or (successor.is_active and not _has_token(successor, token)):
        token = None
    goes &= known
    unable += _under_way(in_the_way, successor)
    return Departure(frozenset(goes), successor.node, priority, highest, token, unable)


def _has_said(seen: Seen) -> bool:
    """Return whether a node said what it makes of what it was asked."""
    return seen.settled or seen.told is not None


def _is_listed(seen: Seen, staying: Iterable[str], running: Mapping[str, Seen]) -> bool:
    return any(running[node].lists(seen) for node in staying if node in running)


def _under_way(leaver: Seen | None, successor: Seen) -> tuple[Wait, ...]:
    """Return the wait for a successor that is to have the addresses of one who can say so."""
    if leaver is None or not leaver.is_active or successor.is_active:
        return ()
    return (Wait.to_yield(leaver, successor),)


def _in_the_way(leavers: list[Seen], running: Mapping[str, Seen]) -> Seen | None:
    """Return a leaver that has the addresses, or may have: it cannot say, and nobody else has."""
    able = [seen for seen in leavers if not seen.off]
    known = next((seen for seen in able if seen.holds), None)
    if known is not None or any(seen.holds for seen in running.values()):
        return known
    return next((seen for seen in able if not seen.fresh), None)


def _successor(others: list[Seen]) -> Seen | None:
    """Return the best that can have the addresses; one that has them already above all."""
    able = [s for s in others if s.written and s.fresh and s.state in (ACTIVE, BACKUP)]
    active = [seen for seen in able if seen.state == ACTIVE]
    return next(iter(active or able), None)


def _lead(successor: Seen, highest: int, given: int) -> int:
    """Return the base priority that puts a successor above those who leave."""
    if given - _handicap(successor) > highest:
        return given
    return min(MAXIMUM, highest + _handicap(successor) + GAP)


def _handicap(seen: Seen) -> int:
    """Return what a node's health checks take off its priority now."""
    if seen.written is None or seen.told is None or not seen.settled:
        return 0
    return max(0, seen.written.base_priority - seen.told.effective_priority)


def _has_token(successor: Seen, token: str | None) -> bool:
    return successor.written is not None and successor.written.take_over == token


def _has_spent(successor: Seen, token: str | None) -> bool:
    """Return whether a successor has what it is to be asked with, and did not take over.

    It booted with that, or had a fault: nothing changed for it afterwards. Without it for a moment,
    it can be asked anew. One that took over and yielded to a better one is not asked again.
    """
    last = successor.told.last_transition if successor.told is not None else None
    yielded = last is not None and last.before == ACTIVE
    waits = successor.settled and successor.state == BACKUP and not yielded
    return waits and _has_token(successor, token)


def _is_idle(seen: Seen) -> bool:
    """Return whether a leaver says that it could not hold the addresses."""
    return seen.fresh and seen.state not in (ACTIVE, BACKUP)


def _may_go(seen: Seen, successor: Seen) -> bool:
    """Return whether a leaver is not needed: it says so, or the successor is there, above it."""
    if seen.off or (seen.fresh and seen.state != ACTIVE):
        return True
    said = successor.told.effective_priority if successor.told is not None else 0
    return successor.is_active and said > seen.priority
