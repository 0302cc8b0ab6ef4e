"""Steps left out: edits to operator and speaker that the simulator of messages must notice.

Each is played to the story that it names, of ``messages_scenarios``.
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
    story: str
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
        "a_cut_off_holder_that_is_to_leave_yields",
    ),
    LeftOut(
        "steps",
        "waiting = [other for other in others if other.present and not self._awaits(other, node)]",
        "waiting: list[Seen] = []",
        "a newcomer gets its router at once",
        "whoever_is_cut_off_for_ten_minutes_moves_nothing",
    ),
    LeftOut(
        "steps",
        "not member.settled or member.moved:",
        "member.moved:",
        "a newcomer gets its router when it is written that others list it",
        "who_was_alone_and_comes_back_is_not_forgotten",
    ),
    LeftOut(
        "steps",
        "if member.written is None or",
        "if member.written is None:\n            return True\n        if",
        "a newcomer does not wait for a member that is told to leave and goes on",
        "a_leaver_gives_its_key_up_for_a_successor_that_does_not_know_it",
    ),
    LeftOut(
        "steps",
        "        if not member.lists(self._facts[node]):\n            return False\n",
        "",
        "a newcomer gets its router before others are told of it",
        "a_node_that_may_join_yet_is_known_by_its_old_address",
    ),
    LeftOut(
        "facts",
        "        present=fresh or not (declared_off or silent),\n",
        "        present=fresh,\n",
        "nobody waits for a member that is out of reach for half a minute",
        "who_was_alone_and_cannot_be_told_is_known_by_its_old_address",
    ),
    LeftOut(
        "leaving",
        "priority = _lead(successor, highest, given) if leads else given",
        "priority = given",
        "a leaver that cannot be told does not yield",
        "a_cut_off_holder_that_is_to_leave_yields",
    ),
    LeftOut(
        "leaving",
        "leads = in_the_way is not None or successor.is_active",
        "leads = True",
        "another one is put above a holder that stays and cannot report",
        "a_backup_leaves_beside_a_holder_that_cannot_report",
    ),
    LeftOut(
        "leaving",
        "if s.off or _has_said(s) or _is_listed(s, wanted, running)}",
        "}",
        "who was asked, has said nothing, and is listed by nobody is forgotten",
        "who_was_alone_and_comes_back_is_not_forgotten",
    ),
    LeftOut(
        "changes",
        "    if late and not begun:\n"
        "        return Change(current, waits=(_wait(current, goal, late),))\n",
        "",
        "signatures go on before everybody took the last step",
        "signatures_wait_for_a_backup_that_cannot_be_told",
    ),
    LeftOut(
        "changes",
        "    if late and not begun:",
        "    if late:",
        "who left for a restart is let in again before all have left",
        "nobody_is_let_in_again_that_left_for_another_key",
    ),
    LeftOut(
        "manner",
        "    return way[0] if way else None\n",
        "    return wanted\n",
        "signatures come at once",
        "signatures_wait_for_a_backup_that_cannot_be_told",
    ),
    LeftOut(
        "addresses",
        "        elif _is_known(node.name, family, snapshot):\n",
        "        elif False:\n",
        "another address is taken at once",
        "who_was_told_to_leave_in_vain_is_known_by_its_old_address",
    ),
    LeftOut(
        "addresses",
        "len(running) == 1 and running[node].written is not None",
        "len(running) == 1",
        "another address is taken before the old one is given up",
        "who_was_told_to_leave_in_vain_is_known_by_its_old_address",
    ),
    LeftOut(
        "pace",
        "return self._there_mark == self._written_mark",
        "return True",
        "an older status that came late stays",
        "an_older_status_that_came_late_is_written_over",
        folder="speaker/vrrp_speaker/agent/status",
    ),
    LeftOut(
        "fences",
        "return [name for name in names if name not in self._fenced]",
        "return []",
        "a write that was given up arrives, and is done",
        "a_write_of_an_operator_that_ended_comes_too_late",
        folder="operator/vrrp_operator/write",
    ),
    LeftOut(
        "electing",
        "if wish.own_key and all(wish.facts[node].knows_keys for node in taking_part):",
        "if wish.own_key:",
        "an election comes to its own key before every speaker knows such keys",
        "the_key_of_its_own_waits_for_every_speaker",
        folder="operator/vrrp_operator/plan",
    ),
    LeftOut(
        "abilities",
        "time < before.time and",
        "time < '' and",
        "what an older speaker said, and came late, counts",
        "an_older_speakers_status_that_came_late_parts_nobody",
        folder="operator/vrrp_operator/model",
    ),
    LeftOut(
        "eligible",
        "if not node.gone or node.name in heard]",
        "if not node.gone]",
        "who is silent is replaced although members hear it",
        "a_holder_that_is_heard_is_not_replaced",
        folder="operator/vrrp_operator/plan",
    ),
    LeftOut(
        "facts",
        "    if known is None and not fresh:\n",
        "    if (known is None or known.gone) and not fresh:\n",
        "who is gone is dropped",
        "who_joins_beside_one_that_is_gone_is_not_put_above_it",
    ),
    LeftOut(
        "steps",
        "default=254) if deaf else 254",
        "default=254) if False else 254",
        "who joins is put above one that is gone and does not know it",
        "who_joins_beside_one_that_is_gone_is_not_put_above_it",
    ),
    LeftOut(
        "steps",
        "**staying} or dict(wanted)",
        "**staying}",
        "all leave for one that is on its way to another address",
        "nobody_leaves_for_one_that_is_on_its_way",
    ),
    LeftOut(
        "steps",
        "kept[:1]}",
        "kept[:0]}",
        "of nodes that all get other addresses nobody goes first",
        "nodes_that_all_get_other_addresses_take_them_in_turn",
    ),
    LeftOut(
        "steps",
        "        wanted = _without(leaving, wanted, running)\n",
        "        wanted = {n: r for n, r in wanted.items() if n not in leaving}\n",
        "nodes that all get other addresses leave at once",
        "nodes_that_all_get_other_addresses_take_them_in_turn",
    ),
    LeftOut(
        "steps",
        "self._change.followed(seen.written)",
        "seen.written",
        "a leaver goes on with a key that its successor does not know",
        "a_leaver_gives_its_key_up_for_a_successor_that_does_not_know_it",
    ),
    LeftOut(
        "leaving",
        "return successor.is_active and said > seen.priority",
        "return True",
        "who is Active gives up its router before another one has the addresses",
        "who_leaves_goes_when_another_one_has_the_addresses",
    ),
    LeftOut(
        "leaving",
        "if _has_spent(successor, token) or (",
        "if False or (",
        "a successor that booted with what it is asked is not asked anew",
        "a_successor_that_boots_into_what_it_is_asked_takes_over",
    ),
    LeftOut(
        "addresses",
        "        if router.family == family and any(peer.node == node for peer in router.peers)\n",
        "        if False\n",
        "another address is taken by a node that may join yet with the old one",
        "a_node_that_may_join_yet_is_known_by_its_old_address",
    ),
    LeftOut(
        "addresses",
        "if not alone or not running[node].fresh or not report.alive:",
        "if not alone:",
        "another address is taken for a node that cannot be told, and is alone yet",
        "who_was_alone_and_cannot_be_told_is_known_by_its_old_address",
    ),
    LeftOut(
        "addresses",
        " or not report.alive:",
        ":",
        "an operator that has just begun takes a node for one that reports, and is alone yet",
        "who_was_silent_before_the_operator_began_is_known_by_its_old_address",
    ),
    LeftOut(
        "manner",
        "        and mine.version == theirs.version\n",
        "",
        "another version comes as if everybody heard it",
        "the_version_changes_on_one_alone_and_waits_for_who_is_not_told",
    ),
    LeftOut(
        "changes",
        "    alone = len(running) == 1 and running.keys() <= wanted.keys()\n",
        "    alone = True\n",
        "another version comes everywhere at once",
        "the_version_changes_on_one_alone_and_waits_for_who_is_not_told",
    ),
    LeftOut(
        "validation",
        "election = self._open.get((datagram.family, datagram.message[:2]))",
        "election = None",
        "a member that was dropped and cannot be told does not exist",
        "who_is_dropped_and_cannot_be_told_is_a_member_by_its_signature",
        folder="speaker/vrrp",
    ),
    LeftOut(
        "leadership",
        "return now_s < self._leads_until_s",
        "return self._leads_until_s > float('-inf')",
        "a former leader writes on after its Lease",
        "who_cannot_renew_writes_no_more",
        folder="operator/vrrp_operator/lead",
    ),
    LeftOut(
        "leadership",
        "return max(self._next_s, self._seen_s + DURATION_S)",
        "return self._next_s",
        "a Lease is taken that is renewed",
        "who_cannot_renew_writes_no_more",
        folder="operator/vrrp_operator/lead",
    ),
)
