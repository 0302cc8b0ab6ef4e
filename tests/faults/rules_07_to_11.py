"""Who lets go and when, what comes back, what is announced, two holders, strangers."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import (
    CHANGES,
    CONDITIONS,
    CONFLICT_JUDGE,
    DEFENCE,
    EXECUTOR,
    FRAME_SENDER,
    HEARING,
    KIN,
    LEASES,
    LISTENING,
    MACHINE,
    RIVALS,
    ROUTER_FAULTS,
    TABLE,
    WATCH,
    netns,
    unit,
)

_STOPPED = netns("speaker", "stopped_speaker_releases_at_once")
_REFUSED = (
    "tests/conformance/test_on_the_wire_changes.py"
    "::test_refused_address_is_not_announced_and_its_router_releases"
)
_WINNER = netns("announcements", "winner_of_two_active_routers_counts_and_announces_again")
_LOSER = netns("made_up_peer", "loser_of_two_active_routers_yields")
_STRANGER = netns("conflicts", "stranger_is_counted_and_answered_once_in_ten_seconds")

HANDOVER = (
    Fault(
        7,
        "who is stopped releases",
        MACHINE,
        "                return (release, *self._enter(replace(state, held_until_ns=held_until_ns),"
        " reason))\n",
        "                return self._enter(replace(state, held_until_ns=held_until_ns), reason)\n",
        _STOPPED,
    ),
    Fault(
        7,
        "addresses of an election that ended wait for no successor",
        TABLE,
        "router.can_hand_over and not ended",
        "router.can_hand_over",
        unit("engine/router_table", "addresses_of_an_election_that_ended_wait_for_no_successor"),
    ),
    Fault(
        7,
        "the address stays until a successor is heard",
        MACHINE,
        "            if hand_over:\n",
        "            if False:\n",
        netns("handover", "stop_keeps_the_address_until_the_successor_has_announced"),
    ),
    Fault(
        7,
        "it goes soon after a successor was heard",
        MACHINE,
        "            state = state.succeeded(now_ns + HANDOVER_GRACE_NS)\n",
        "            pass\n",
        netns("made_up_peer", "address_goes_as_soon_as_a_successor_is_heard"),
    ),
    Fault(
        7,
        "it goes in the end",
        MACHINE,
        "                return (UnbindAddresses(),)\n",
        "                return NOTHING\n",
        _STOPPED,
    ),
    Fault(
        7,
        "who yields keeps it until the other one has bound it",
        RIVALS,
        "Backup(interval_ns, down_ns, held_until_ns=now_ns + HANDOVER_GRACE_NS)",
        "Backup(interval_ns, down_ns, held_until_ns=now_ns)",
        unit(
            "vrrp/virtual_router_handover",
            "active_that_yields_keeps_its_addresses_for_the_grace",
        ),
    ),
    Fault(
        7,
        "a failed check takes the same path",
        ROUTER_FAULTS,
        "        hand_over = router.can_hand_over or router.keeps\n",
        "        hand_over = False\n",
        netns("handover", "failing_check_with_a_living_successor_loses_no_probe"),
    ),
)

RESTORED = (
    Fault(
        8,
        "an address that was taken away is put back",
        WATCH,
        "        self._executor.leases.bind(router, lost, now_ns)\n",
        "",
        netns("speaker", "address_taken_away_comes_back_without_a_transition") + "[192.0.2.50/32]",
    ),
    Fault(
        8,
        "it is announced",
        WATCH,
        "            self._executor.announce(router, now_ns)\n",
        "            pass\n",
        netns("announcements", "restored_address_is_announced"),
    ),
    Fault(
        8,
        "who cannot have its addresses steps down",
        LEASES,
        "        router.lease.retry_ns = now_ns + router.install_wait_ns()\n",
        "",
        _REFUSED,
    ),
)

ANNOUNCED = (
    Fault(
        9,
        "a new Active router announces",
        MACHINE,
        "            AnnounceAddresses(),\n            *self._enter(self._active(now_ns), reason),",
        "            *self._enter(self._active(now_ns), reason),",
        netns("announcements", "new_active_router_announces_an_ipv4_address"),
    ),
    Fault(
        9,
        "a link that comes up is announced",
        CHANGES,
        "            self._addresses.announce_sources(ifindex, now_ns)\n",
        "            pass\n",
        netns("announcements", "link_that_comes_up_announces_the_nodes_own_address"),
    ),
    Fault(
        9,
        "who was not alone announces again",
        RIVALS,
        "return Outcome(answered, (SendAdvertisement(mine.priority), AnnounceAddresses()))",
        "return Outcome(answered, (SendAdvertisement(mine.priority),))",
        _WINNER,
    ),
    Fault(
        9,
        "announcements go on for ever",
        FRAME_SENDER,
        "        return now_ns + refresh_ns - refresh_ns // 8 + spread_ns\n",
        "        return None\n",
        netns("announcements", "active_router_announces_for_ever"),
    ),
)

TWO_ACTIVE = (
    Fault(
        10,
        "an Active router yields to a better one",
        RIVALS,
        "    if heard.priority > mine.priority:\n"
        "        return _yield_to(heard, mine, TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT,"
        " now_ns)\n",
        "",
        f"{_LOSER}[better]",
    ),
    Fault(
        10,
        "and to the greater address of two that are equal",
        RIVALS,
        "    if heard.priority == mine.priority and heard.source > mine.source:\n"
        "        return _yield_to(heard, mine, TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS,"
        " now_ns)\n",
        "",
        f"{_LOSER}[equal-greater-address]",
    ),
    Fault(
        10,
        "but not to the lesser one",
        RIVALS,
        "heard.priority == mine.priority and heard.source > mine.source",
        "heard.priority == mine.priority",
        f"{_LOSER}[equal-lesser-address]",
    ),
    Fault(
        10,
        "the loser is heard before it steps down",
        RIVALS,
        "return Outcome(backup, (SendAdvertisement(mine.priority),), reason)",
        "return Outcome(backup, (), reason)",
        unit(
            "vrrp/virtual_router_handover",
            "active_that_yields_keeps_its_addresses_for_the_grace",
        ),
    ),
    Fault(
        10,
        "a release beside us is a sign of two as well",
        RIVALS,
        "(SendAdvertisement(mine.priority), *repaired.actions)",
        "(SendAdvertisement(mine.priority),)",
        unit(
            "vrrp/virtual_router_answers",
            "active_hearing_a_release_advertises_at_once_and_restarts_its_timer",
        ),
    ),
    Fault(
        10,
        "of two that offer one lets go",
        RIVALS,
        "    if released and not state.heard_before(heard.source, now_ns, mine):\n",
        "    if released:\n",
        unit(
            "vrrp/virtual_router_health",
            "of_two_that_offer_the_one_with_the_lesser_address_lets_go",
        ),
    ),
    Fault(
        10,
        "a release never makes a Backup wait longer",
        MACHINE,
        "            due_ns = min(due_ns, state.active_down_deadline_ns)\n",
        "",
        unit("vrrp/virtual_router_hearing", "release_never_makes_a_backup_wait_longer"),
    ),
    Fault(
        10,
        "the time of two is counted",
        HEARING,
        "        self._shared.add(router.offset + shm.S_DUAL_ACTIVE, both_ns)\n",
        "        pass\n",
        _WINNER,
    ),
    Fault(
        10,
        "the winner announces once more within the grace of a second loser",
        EXECUTOR,
        "            plan = replace(plan, burst=max(plan.burst, _REPAIRING_ROUNDS))\n",
        "            pass\n",
        unit(
            "engine/router_table", "winner_of_several_announces_again_within_the_grace_of_a_loser"
        ),
    ),
    Fault(
        10,
        "the status says SplitBrain",
        CONDITIONS,
        "    if len(active) > 1 or (active and heard):\n        strangers",
        "    if False:\n        strangers",
        unit("operator/conditions", "split_brain_names_the_nodes"),
    ),
)

STRANGERS = (
    Fault(
        11,
        "an added address is not bound before anybody was asked for it",
        CONFLICT_JUDGE,
        "                addition.wait_longer()\n",
        "                free.add(place)\n",
        unit("engine/conflicts_added", "address_is_not_bound_before_anybody_was_asked_for_it"),
    ),
    Fault(
        11,
        "who answers as the wait ends may be of the election",
        CONFLICT_JUDGE,
        "        if not self._settles(watched, stage, refused, now_ns):\n",
        "        if True:\n",
        unit(
            "engine/conflicts",
            "answer_just_before_the_wait_ends_is_listened_for_as_an_active_router_would",
        ),
    ),
    Fault(
        11,
        "an address that a stranger has is not bound",
        ROUTER_FAULTS,
        "        if self._conflicts.holds_back(program.name):\n"
        "            faults.add(EngineFault.ADDRESS_CONFLICT)\n",
        "",
        netns("conflicts", "address_of_a_stranger_is_bound_once_the_stranger_is_gone")
        + "[192.0.2.50/24]",
    ),
    Fault(
        11,
        "a stranger is counted and remembered when first seen",
        CONFLICT_JUDGE,
        "            self._note(watched.router, *found, now_ns)\n",
        "            pass\n",
        netns("conflicts", "stranger_that_is_seen_once_is_counted_once"),
    ),
    Fault(
        11,
        "a frame of a VLAN that the node has no interface for is no sighting",
        LISTENING,
        "        (bpf.JUMP_IF_EQUAL, 0, 1, bpf.PACKET_OTHERHOST),\n"
        "        (bpf.RETURN, 0, 0, 0),\n",
        "",
        netns("address_rules", "frame_of_a_vlan_that_is_not_ours_is_no_sighting"),
    ),
    Fault(
        11,
        "and every time after that",
        CONFLICT_JUDGE,
        "            self._note(watched.router, sighting, 1, now_ns)\n",
        "            pass\n",
        netns("conflicts", "stranger_with_the_ipv6_address_is_counted"),
    ),
    Fault(
        11,
        "a stranger is answered once in ten seconds",
        DEFENCE,
        "            due_ns = now_ns if after_ns is None else after_ns + DEFEND_INTERVAL_NS\n",
        "            due_ns = now_ns\n",
        _STRANGER,
    ),
    Fault(
        11,
        "the condition names the address and who has it",
        CONDITIONS,
        '            found.append(f"{node}: {conflict.address} at {conflict.mac}")\n',
        "            pass\n",
        unit("operator/conditions", "stranger_seen_within_a_minute_is_told_with_its_mac"),
    ),
    Fault(
        11,
        "a member that has an added address is no stranger",
        KIN,
        "        return self.whose(router, mac) is not None\n",
        "        return False\n",
        netns("kin", "address_that_a_member_has_yet_is_added_once_it_let_go") + "[six]",
    ),
    Fault(
        11,
        "nor is a dead one whose lease goes on",
        CONFLICT_JUDGE,
        "        if self._kin.has(watched.router, answer.mac):",
        "        if False:",
        netns("kin", "who_begins_as_another_one_dies_waits_for_its_lease_and_says_nothing")
        + "[four]",
    ),
)

FAULTS = HANDOVER + RESTORED + ANNOUNCED + TWO_ACTIVE + STRANGERS
