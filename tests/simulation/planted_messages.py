"""Steps left out: edits to operator and speaker that the simulator of messages must notice.

Each is played to the stories of ``messages_scenarios`` first, then to the seeds that it names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``old`` occurs once in ``<folder>/<module>.py``."""

    module: str
    old: str
    new: str
    why: str
    seeds: str = "0..2"
    folder: str = "operator/vrrp_operator/membership"


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
    LeftOut(
        "leaving",
        "priority = _lead(successor, highest, given) if leads else given",
        "priority = given",
        "a leaver that cannot be told does not yield",
    ),
    LeftOut(
        "leaving",
        "leads = in_the_way is not None or successor.is_active",
        "leads = True",
        "another one is put above a holder that stays and cannot report",
    ),
    LeftOut(
        "leaving",
        "if s.off or _has_said(s) or _is_listed(s, wanted, running)}",
        "}",
        "who was asked, has said nothing, and is listed by nobody is forgotten",
    ),
    LeftOut(
        "changes",
        "    if late and not begun:\n"
        "        return Change(current, waits=(_wait(current, goal, late),))\n",
        "",
        "signatures go on before everybody took the last step",
    ),
    LeftOut(
        "changes",
        "    if late and not begun:",
        "    if late:",
        "who left for a restart is let in again before all have left",
    ),
    LeftOut(
        "manner",
        "    return way[0] if way else None\n",
        "    return wanted\n",
        "signatures come at once",
    ),
    LeftOut(
        "addresses",
        "        elif _is_known(node.name, family, snapshot):\n",
        "        elif False:\n",
        "another address is taken at once",
    ),
    LeftOut(
        "addresses",
        "len(running) == 1 and running[node].written is not None",
        "len(running) == 1",
        "another address is taken before the old one is given up",
    ),
    LeftOut(
        "status_pace",
        "return self._there_time == self._written_time",
        "return True",
        "an older status that came late stays",
        folder="speaker/vrrp_speaker/agent",
    ),
    LeftOut(
        "fences",
        "return [name for name in names if name not in self._fenced]",
        "return []",
        "a write that was given up arrives, and is done",
        folder="operator/vrrp_operator",
    ),
    LeftOut(
        "planner",
        "if own_key and all(facts[node].knows_keys for node in taking_part):",
        "if own_key:",
        "an election comes to its own key before every speaker knows such keys",
        folder="operator/vrrp_operator",
    ),
)
