"""Membership in steps: what the operator waits for, and for whom it does not."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import (
    ALLOCATOR,
    APPLY,
    LEADERSHIP,
    ORDER,
    PLANNER,
    ROUTERS,
    membership,
    unit,
)

_PARAMETERS, _ADDRESSES = "membership_parameters", "membership_addresses"


def _shown(function: str, module: str = "membership") -> str:
    return unit(f"operator/{module}", function)


FAULTS = (
    Fault(
        19,
        "a newcomer waits until all members list it",
        membership("steps"),
        "        if not member.lists(self._facts[node]):\n            return False\n",
        "",
        _shown("a_newcomer_is_listed_by_all_before_it_gets_its_router"),
    ),
    Fault(
        19,
        "who holds the addresses of what ended is told last",
        ORDER,
        "        return _LAST\n",
        "        return _FIRST\n",
        unit("operator/endings", "who_holds_the_addresses_is_told_the_end_last"),
    ),
    Fault(
        19,
        "no election comes to a node where another one has its VRID",
        ALLOCATOR,
        "        barred = self._claims.others(number, election.name, election.may_use)\n",
        "        barred: dict[str, str] = {}\n",
        unit(
            "operator/allocator",
            "a_running_election_keeps_its_number_and_passes_by_a_node_where_it_is_taken",
        ),
    ),
    Fault(
        19,
        "nor does one that is not accepted",
        PLANNER,
        "            and self.admissions.admits(name, router.virtual_router_id, node)\n",
        "",
        unit(
            "operator/allocator",
            "one_that_is_not_accepted_comes_to_no_node_where_its_number_is_taken",
        ),
    ),
    Fault(
        19,
        "a freed VRID rests on its node",
        ALLOCATOR,
        "        if election.pinned is not None or number not in self._rests:\n",
        "        if True:\n",
        unit("operator/allocator", "a_number_rests_where_it_was_freed"),
    ),
    Fault(
        19,
        "an election that others hear has its VRID for itself",
        ALLOCATOR,
        "            self._claims.take_alone(number, name)\n        barred ="
        " self._barred_from(election, number)\n        if not",
        "            pass\n        barred = self._barred_from(election, number)\n        if not",
        unit("operator/allocator", "nobody_gets_a_number_that_others_hear") + "[False]",
    ),
    Fault(
        19,
        "nobody is named the first holder where somebody held the addresses",
        ROUTERS,
        '    return never_held(record) and not record.status.get("nodes")\n',
        "    return True\n",
        _shown("nobody_is_named_where_somebody_held_the_addresses_before"),
    ),
    Fault(
        19,
        "and until they say that they do",
        membership("steps"),
        "not member.settled or member.moved:",
        "member.moved:",
        _shown("a_newcomer_is_listed_by_all_before_it_gets_its_router"),
    ),
    Fault(
        19,
        "a member that cannot be told is waited for",
        membership("facts"),
        "        present=fresh or not (declared_off or silent),\n",
        "        present=fresh,\n",
        _shown("a_newcomer_waits_for_a_member_that_cannot_be_told_and_says_for_whom"),
    ),
    Fault(
        19,
        "one that is heard is not gone",
        membership("facts"),
        "known.gone and not heard",
        "known.gone",
        _shown("a_silent_member_that_is_heard_is_not_gone"),
    ),
    Fault(
        19,
        "who joins without a member's knowing is below all others",
        membership("steps"),
        "min((o.lowest_priority - 1 for o in others), default=254) if deaf else 254",
        "254",
        _shown("who_joins_without_a_members_knowing_is_below_all_others"),
    ),
    Fault(
        19,
        "who leaves is listed until it says that it left",
        membership("facts"),
        "        or seen.told is not None\n        or (not seen.settled and name in listed)\n",
        "",
        _shown("a_backup_leaves_and_is_dropped_when_it_says_that_it_left"),
    ),
    Fault(
        19,
        "who has the addresses leaves after its successor has them",
        membership("leaving"),
        "    if seen.off or (seen.fresh and seen.state != ACTIVE):\n",
        "    if True:\n",
        _shown("who_is_active_leaves_once_its_successor_is"),
    ),
    Fault(
        19,
        "a leaver that cannot be told yields to a higher priority",
        membership("leaving"),
        "priority = _lead(successor, highest, given) if leads else given",
        "priority = given",
        _shown("who_cannot_be_told_to_leave_yields_by_priority_and_stays_listed"),
    ),
    Fault(
        19,
        "nobody leaves while no other node can hold the addresses",
        membership("leaving"),
        "goes = known & {seen.node for seen in asked if seen.off or _is_idle(seen)}",
        "goes = known & {seen.node for seen in asked}",
        _shown("nobody_leaves_before_another_one_can_hold_the_addresses"),
    ),
    Fault(
        19,
        "signatures are introduced in steps",
        membership("manner"),
        "    return way[0] if way else None\n",
        "    return wanted\n",
        _shown("signatures_come_in_steps_and_wait_for_everybody", _PARAMETERS),
    ),
    Fault(
        19,
        "each step of that waits for all",
        membership("changes"),
        "    if late and not begun:\n"
        "        return Change(current, waits=(_wait(current, goal, late),))\n",
        "",
        _shown(
            "its_own_key_comes_in_steps_once_the_last_speaker_knows_it", "membership_parameters"
        ),
    ),
    Fault(
        19,
        "what no two would hear is changed by one alone",
        membership("steps"),
        "            wanted = {node: wanted[node] for node in stays}\n",
        "            pass\n",
        _shown("what_no_two_would_hear_is_changed_by_one_alone", _PARAMETERS),
    ),
    Fault(
        19,
        "the election's own key goes before a newcomer that does not know it",
        membership("changes"),
        "    if step is not None:\n        return Change(step)\n",
        "",
        _shown("it_goes_in_steps_too_where_no_step_leads_to_what_is_wanted", _PARAMETERS),
    ),
    Fault(
        19,
        "who holds addresses of the other family leaves before others begin",
        membership("changes"),
        "        return Change(current, (), (wait,))\n",
        "        pass\n",
        _shown(
            "those_who_hold_the_old_family_leave_first_where_none_of_them_stays",
            "membership_families",
        ),
    ),
    Fault(
        19,
        "another address is taken outside of the elections",
        membership("addresses"),
        "        elif _is_known(node.name, family, snapshot):\n",
        "        elif False:\n",
        _shown("another_address_is_taken_outside_of_the_election", _ADDRESSES),
    ),
    Fault(
        19,
        "an address that vanishes from its Node is kept",
        membership("addresses"),
        "            kept += _of(own, family)\n",
        "            pass\n",
        _shown("addresses_that_vanish_are_kept", _ADDRESSES),
    ),
    Fault(
        19,
        "a VirtualIP's address is no node's",
        membership("addresses"),
        "        if address in virtual:\n",
        "        if False:\n",
        _shown("an_address_of_a_virtual_ip_is_no_nodes", _ADDRESSES),
    ),
    Fault(
        19,
        "what was decided from an older NodeConfig is not written over a newer one",
        APPLY,
        '        obj = {**obj, "metadata": {**obj["metadata"], **over}}\n',
        "",
        unit(
            "operator/reconcile",
            "a_node_config_that_changed_meanwhile_is_not_written_over_but_decided_on_again",
        ),
    ),
    Fault(
        19,
        "a NodeConfig that is made goes over none that is there by then",
        APPLY,
        'else {"resourceVersion": _NEW}',
        "else {}",
        unit("operator/standing_by", "what_is_not_known_is_made_and_never_written_over"),
    ),
    Fault(
        19,
        "a leader gives up before another operator may take over",
        LEADERSHIP,
        "        return now_s < self._leads_until_s\n",
        "        return self._leads_until_s > 0\n",
        unit("operator/leadership", "a_leader_gives_up_by_itself_before_anybody_may_take_over"),
    ),
    Fault(
        19,
        "an operator that stands by writes nothing",
        APPLY,
        "        if self._leader.term != self._term or not self._leader.leads():\n",
        "        if False:\n",
        unit("operator/standing_by", "who_leads_no_more_in_the_middle_of_a_cycle_writes_no_more")
        + "[3]",
    ),
    Fault(
        19,
        "what was decided in a former term is not written in a later one",
        APPLY,
        "self._leader.term != self._term or not",
        "not",
        unit(
            "operator/standing_by",
            "what_was_decided_in_a_former_term_is_not_written_in_a_later_one",
        ),
    ),
)
