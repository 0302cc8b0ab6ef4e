"""Who held the addresses when: the takeovers that all nodes tell, in one order (pure).

Every node reports its own newest transitions, again and again, so nothing is lost while the API
server or the operator is away, and merging what is known with what is told adds nothing twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from vrrp_api.node_status import RouterStatus, Transition
from vrrp_api.times import is_date_time

Entry = Mapping[str, str]
"""{time, from, to, reason}, as in the status of a VirtualIP."""


def past_of(router: RouterStatus) -> tuple[Transition, ...]:
    """Return what a node tells of a router's past, in the order it happened.

    By sequence, because a node's clock may step. A speaker of an earlier version tells the last
    transition only.
    """
    if router.history:
        return tuple(sorted(router.history, key=lambda past: past.sequence))
    return (router.last_transition,) if router.last_transition is not None else ()


def takeovers(
    known: Sequence[Entry], told: Iterable[tuple[str, RouterStatus]]
) -> list[dict[str, str]]:
    """Return every takeover that is known or told, oldest first.

    The order between nodes rests on their clocks; of one node it is the true one. ``from`` is the
    node of the takeover before.

    Args:
        known: the history so far.
        told: (node, what it reports of the router).
    """
    own = {
        node: [(past.time, node, past.reason) for past in past_of(router) if _takes_over(past)]
        for node, router in told
    }
    listed = {(time, node) for entries in own.values() for time, node, _ in entries}
    before = {_key(entry): entry.get("from", "") for entry in known}
    kept = [
        (*_key(entry), entry.get("reason", ""))
        for entry in known
        if _key(entry) not in listed and is_date_time(entry.get("time", ""))
    ]
    merged: list[dict[str, str]] = []
    for time, node, reason in heapq.merge(kept, *own.values(), key=lambda entry: entry[0]):
        earlier = merged[-1]["to"] if merged else before.get((time, node), "")
        merged.append({"time": time, "from": earlier, "to": node, "reason": reason})
    return merged


def newly_told(known: Sequence[Entry], held: Sequence[Entry], most: int) -> int:
    """Return how many takeovers were not counted before.

    Those that are not known and come after the oldest that is; before it are such as the history
    has dropped. While it has dropped none, all that are not known are new.

    Args:
        known: the history so far.
        held: what ``takeovers`` made of it and of what is told now.
        most: how many the history keeps.
    """
    keys = {_key(entry) for entry in known}
    awaited, found = set(keys), 0
    for entry in reversed(held):
        if not awaited and len(known) >= most:
            break
        awaited.discard(_key(entry))
        found += _key(entry) not in keys
    return found


def _takes_over(past: Transition) -> bool:
    # One without a time cannot be told, nor be known again.
    return past.after == "Active" and is_date_time(past.time)


def _key(entry: Entry) -> tuple[str, str]:
    return entry.get("time", ""), entry.get("to", "")
