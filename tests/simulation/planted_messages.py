"""Steps left out: edits to the operator that the simulator of messages must notice.

Each names a seed that notices; a fault that is noticed by many may name any of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``old`` occurs once in ``operator/vrrp_operator/membership/<module>.py``."""

    module: str
    old: str
    new: str
    why: str
    seeds: str = "0..15"


LEFT_OUT = (
    LeftOut(
        "facts",
        """        if seen.written is not None
        or seen.told is not None
        or (not seen.settled and name in listed)
""",
        "        if seen.written is not None\n",
        "who is told to leave is dropped at once",
    ),
    LeftOut(
        "steps",
        "waiting = [other for other in others if other.present and not self._awaits(other, node)]",
        "waiting: list[Seen] = []",
        "a newcomer gets its router at once",
    ),
    LeftOut(
        "steps",
        "not member.settled or member.moved:",
        "member.moved:",
        "a newcomer gets its router when it is written that others list it",
    ),
    LeftOut(
        "steps",
        "if member.written is None or",
        "if member.written is None:\n            return True\n        if",
        "a newcomer does not wait for a member that is told to leave and goes on",
    ),
    LeftOut(
        "steps",
        "        if not member.lists(self._facts[node]):\n            return False\n",
        "",
        "a newcomer gets its router before others are told of it",
    ),
    LeftOut(
        "facts",
        "        present=fresh or not (declared_off or silent),\n",
        "        present=fresh,\n",
        "nobody waits for a member that is out of reach for half a minute",
    ),
)
