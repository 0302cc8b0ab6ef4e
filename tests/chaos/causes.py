"""What may happen only because something was planted: transitions, and engines that begin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.chaos.observed import Allowance, Struck
from tests.chaos.plan import ENDS_THE_SPEAKER, Kind

from vrrp.constants import State, TransitionReason

LEGAL = {
    (State.INITIALIZE, State.BACKUP): {TransitionReason.STARTUP},
    (State.INITIALIZE, State.FAULT): {TransitionReason.FAULT},
    (State.BACKUP, State.ACTIVE): {TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED},
    (State.BACKUP, State.INITIALIZE): {TransitionReason.SHUTDOWN},
    (State.BACKUP, State.FAULT): {TransitionReason.FAULT},
    (State.ACTIVE, State.BACKUP): {
        TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT,
        TransitionReason.LATE_WAKE,
    },
    (State.ACTIVE, State.INITIALIZE): {TransitionReason.SHUTDOWN},
    (State.ACTIVE, State.FAULT): {TransitionReason.FAULT},
    (State.FAULT, State.BACKUP): {TransitionReason.FAULT_CLEARED},
    (State.FAULT, State.INITIALIZE): {TransitionReason.SHUTDOWN},
}
"""RFC 9568 §6.4 with Fault; nobody is named a successor here, and priorities differ."""
CAUSES = {
    TransitionReason.STARTUP: (*ENDS_THE_SPEAKER, Kind.ENGINE),
    TransitionReason.SHUTDOWN: (Kind.STOP,),
    TransitionReason.FAULT: (Kind.CUT, Kind.POWER),
    TransitionReason.LATE_WAKE: (Kind.FREEZE,),
}
"""What has to have struck the node for such a transition."""
WHILE_STARTING = frozenset((TransitionReason.STARTUP, TransitionReason.FAULT))
"""A start takes time, and a machine that boots has no IPv6 source for a second (RFC 4862)."""
CONFLICT = "AddressConflict"
LEAVES_ADDRESSES = (Kind.KILL, Kind.FREEZE, Kind.STOP, Kind.CUT, Kind.POWER)
"""What lets another node's kernel answer for an address while nobody advertises it: a node that
never heard anybody cannot know whose it is."""


def unplanted_starts(
    starts: Iterable[tuple[int, int]],
    struck: Sequence[Struck],
    allowance: Allowance,
    zero_ns: int,
) -> list[str]:
    """Return the engines, as (when, node), that began without one having been killed or stopped."""
    causes = [
        [s.fault.node, s.begun_ns, s.mended_ns + allowance.start_ns]
        for s in sorted(struck, key=lambda s: s.begun_ns)
        if s.fault.kind in (*ENDS_THE_SPEAKER, Kind.ENGINE)
    ]
    found = []
    for at_ns, node in sorted(starts):
        fits = [cause for cause in causes if cause[0] == node and cause[1] <= at_ns <= cause[2]]
        if fits:
            causes.remove(fits[0])
        else:
            found.append(
                f"{(at_ns - zero_ns) / 1e9:8.3f} s node-{node + 1}: an engine began unasked"
            )
    return found
