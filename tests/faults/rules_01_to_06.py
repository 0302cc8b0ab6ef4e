"""What may be heard, what is done in which order, what a lease is, who wakes, who resumes."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import (
    ALARM,
    CHANGING,
    CHILD,
    CHOICE,
    ENCODER,
    EXECUTOR,
    FRAME_SENDER,
    HEIR,
    KNOWN_PROGRAM,
    LAST_WILL,
    LOOP,
    MACHINE,
    MAIN,
    NODE_NETWORK,
    PLACING,
    PULSE,
    REQUESTS,
    RESUMING,
    SILENCE,
    STARTING,
    SUBNET_ROUTE,
    SUPERVISOR,
    VALIDATION,
    netns,
    unit,
)

_STRANGER = netns("speaker", "advertisement_of_a_stranger_changes_a_counter_and_nothing_else")
_ALONE = netns("alone", "a_node_without_peers_holds_the_address_and_sends_no_advertisement")
_LEASE = netns("speaker", "address_is_a_lease_with_our_mark")
_FROZEN = netns("speaker", "frozen_speaker_loses_the_address_and_wakes_as_backup")
_RESUMES = netns("speaker", "engine_that_ends_is_replaced_and_resumes_as_active")
_LAST_WILL = netns("deaths", "three_deaths_within_a_second_end_in_the_last_will")

MEMBERSHIP = (
    Fault(
        1,
        "strangers are turned away unless they may have signed",
        VALIDATION,
        "        if not _may_be_a_member(election, datagram):\n"
        "            return RejectReason.UNKNOWN_SOURCE\n",
        "",
        _STRANGER,
    ),
    Fault(
        1,
        "a peer of another election is a stranger to this one",
        VALIDATION,
        "    elif datagram.source not in election.peers:\n"
        "        return RejectReason.UNKNOWN_SOURCE\n",
        "",
        netns("made_up_peer", "peer_of_another_election_is_a_stranger"),
    ),
    Fault(
        1,
        "a node of another subnet is no candidate unless told",
        CHOICE,
        '    raise PlacementError(\n        f"NotInSubnet',
        '    return here[0]\n    raise PlacementError(\n        f"NotInSubnet',
        unit("links/choice", "node_of_another_subnet_is_no_candidate_unless_told"),
    ),
    Fault(
        1,
        "what was rejected is counted",
        LOOP,
        "                self._shared.add(_REJECTIONS[result])\n",
        "",
        _STRANGER,
    ),
)

ALONE = (
    Fault(
        2,
        "only elections of mode Multicast send to the group",
        ENCODER,
        "        if program.multicast:\n            receivers",
        "        if program.multicast or not program.peers:\n            receivers",
        _ALONE,
    ),
    Fault(
        2,
        "only elections that say so are of mode Multicast",
        PLACING,
        '"multicast": transport.multicast,',
        '"multicast": transport.multicast or not router.peers,',
        _ALONE,
    ),
)

ORDER = (
    Fault(
        3,
        "the advertisement goes before the addresses",
        MACHINE,
        "            SendAdvertisement(self._parameters.priority),\n"
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),\n"
        "            *self._enter(",
        "            BindAddresses(),\n"
        "            SendAdvertisement(self._parameters.priority),\n"
        "            AnnounceAddresses(),\n"
        "            *self._enter(",
        netns("announcements", "advertisement_leaves_before_any_address_answers"),
    ),
    Fault(
        3,
        "a new Active router advertises at once",
        MACHINE,
        "            SendAdvertisement(self._parameters.priority),\n"
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),\n"
        "            *self._enter(self._active(now_ns), reason),\n",
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),\n"
        "            *self._enter(self._active(now_ns), reason),\n",
        netns("speaker", "becoming_active_advertises_then_announces"),
    ),
    Fault(
        3,
        "announcements keep to the budget of an interface",
        FRAME_SENDER,
        "            self.frames_left -= 1\n",
        "",
        netns("announcements", "announcements_of_many_addresses_keep_to_the_budget"),
    ),
)

LEASE = (
    Fault(
        4,
        "an address is bound for a limited time",
        REQUESTS,
        '"ifa_valid": lease_s',
        '"ifa_valid": 0xFFFFFFFF',
        _LEASE,
    ),
    Fault(
        4,
        "its preferred lifetime is 0",
        REQUESTS,
        '"ifa_preferred": 0',
        '"ifa_preferred": lease_s',
        _LEASE,
    ),
    Fault(
        4,
        "it brings no prefix route",
        REQUESTS,
        "flags = _IFA_F_NOPREFIXROUTE | (_IFA_F_NODAD if address.family == 6 else 0)",
        "flags = _IFA_F_NODAD if address.family == 6 else 0",
        _LEASE,
    ),
    Fault(
        4,
        "a host prefix keeps it out of the kernel's primary and secondary addresses",
        SUBNET_ROUTE,
        "    return 128 if address.family == 6 else 32\n",
        "    return address.prefix_length\n",
        netns("address_rules", "own_addresses_come_and_go_whether_we_hold_one_or_not"),
    ),
    Fault(
        4,
        "the way to its subnet comes with it where the node has none",
        PLACING,
        "    if wants_route(address, link, table):\n",
        "    if False:\n",
        netns(
            "address_rules",
            "route_to_the_subnet_comes_with_the_address_where_nothing_else_brings_it",
        ),
    ),
    Fault(
        4,
        "an IPv6 route that nobody renews ends",
        SUBNET_ROUTE,
        "[(_EXPIRES, _WORD.pack(lease_s))] if address.family == 6 else []",
        "[]",
        netns(
            "address_rules",
            "route_to_the_subnet_comes_with_the_address_where_nothing_else_brings_it",
        )
        + "[six]",
    ),
    Fault(
        4,
        "each address of a subnet brings a route of its own",
        SUBNET_ROUTE,
        "    return _LEAST_METRIC | int(ipaddress.ip_address(address.address))"
        " & (1 << _METRIC_BITS) - 1\n",
        "    return _LEAST_METRIC\n",
        netns(
            "address_rules",
            "route_to_the_subnet_comes_with_the_address_where_nothing_else_brings_it",
        ),
    ),
    Fault(
        4,
        "a route to another network than the prefix's goes at once",
        CHANGING,
        "            and not wanted[_identity(address)].replaces_route_of(address)\n",
        "",
        unit("engine/added_addresses", "route_to_another_network_is_taken_off_first"),
    ),
    Fault(
        4,
        "an address whose netmask changes is there all along",
        NODE_NETWORK,
        "        if not held:\n            del self._addresses[key]\n",
        "        if self._addresses.pop(key) is not None:\n",
        unit("engine/node_network", "address_with_another_netmask_is_there_all_along"),
    ),
    Fault(
        4,
        "it has our protocol number",
        REQUESTS,
        '        ("IFA_PROTO", ADDRESS_PROTOCOL),\n',
        "",
        _LEASE,
    ),
    Fault(
        4,
        "an IPv4 address has our label",
        REQUESTS,
        '        message["attrs"].append(("IFA_LABEL", _label(link.name)))\n',
        "        pass\n",
        _LEASE,
    ),
    Fault(
        4,
        "an Active router renews it",
        EXECUTOR,
        "renewing = router.machine.state is State.ACTIVE and router.lease_due(now_ns)",
        "renewing = False",
        netns("speaker", "lease_is_renewed_before_it_ends"),
    ),
    Fault(
        4,
        "what another life left behind is removed at the start",
        MAIN,
        "                self._worker.unbind(None, [(place, delete_address_request(news))])\n",
        "",
        netns("speaker", "what_another_life_left_behind_is_removed_at_start"),
    ),
)

LATE_WAKE = (
    Fault(
        5,
        "an Active router that woke late steps down",
        MACHINE,
        "if now_ns - state.adver_deadline_ns >= mine.late_wake_ns():",
        "if now_ns < 0:",
        _FROZEN,
    ),
    Fault(
        5,
        "it removes its addresses first",
        MACHINE,
        "return (UnbindAddresses(), *self._enter(after, TransitionReason.LATE_WAKE))",
        "return self._enter(after, TransitionReason.LATE_WAKE)",
        netns("deaths", "late_wake_takes_the_address_off_before_its_lease_ends"),
    ),
    Fault(
        5,
        "who is named the first holder listens first",
        MACHINE,
        "            return self._listening(interval_ns, now_ns)\n        return Backup(",
        "            return Backup(interval_ns, now_ns)\n        return Backup(",
        unit(
            "vrrp/virtual_router_takeover",
            "first_holder_listens_for_one_interval_and_its_skew",
        ),
    ),
    Fault(
        5,
        "an engine heeds no first holder in what it begins with",
        STARTING,
        "program.take_over == FIRST_HOLDER and engine_runs",
        "program.take_over == FIRST_HOLDER",
        unit("engine/router_table", "engine_that_begins_with_a_first_holder_waits_as_ever"),
    ),
    Fault(
        5,
        "a Backup that woke late listens first",
        MACHINE,
        "if now_ns - state.active_down_deadline_ns > state.active_adver_interval_ns:",
        "if now_ns < 0:",
        unit(
            "vrrp/virtual_router_time",
            "backup_late_by_more_than_an_interval_listens_before_it_takes_over",
        ),
    ),
    Fault(
        5,
        "an engine resumes only where nobody can have taken over",
        RESUMING,
        "    silent_ns = now_ns - shared.get(offset + shm.S_LAST_SENT)\n"
        "    return 0 <= silent_ns < program.down_advertisements * program.adver_interval_ns\n",
        "    return True\n",
        netns("deaths", "engine_that_comes_too_late_does_not_resume"),
    ),
    Fault(
        5,
        "a Backup hears what it was told before it acts",
        LOOP,
        "            self._receive_advertisements(descriptor, _WAITING)\n",
        "            pass\n",
        unit("engine/loop_turn", "backup_that_is_late_hears_before_it_acts"),
    ),
)

RESUME = (
    Fault(
        6,
        "a dead engine is replaced at once",
        SUPERVISOR,
        "            engine.restart_at_s = 0.0\n            return\n",
        "            pass\n",
        netns("deaths", "engine_killed_every_700_ms_is_no_crash_loop"),
    ),
    Fault(
        6,
        "the heir goes on for a dead engine",
        HEIR,
        "        run_engine(files, known)\n",
        "        return\n",
        netns("heir", "heir_goes_on_for_a_dead_engine_and_another_one_waits"),
    ),
    Fault(
        6,
        "it runs no older program than that one did",
        KNOWN_PROGRAM,
        " or self._identity != _identity(self._path)",
        "",
        netns("heir", "heir_that_knows_an_older_program_runs_the_newest"),
    ),
    Fault(
        6,
        "it does not go on for an engine that is stopped",
        SUPERVISOR,
        "        self._dismiss_heir()\n        if not self._stop(",
        "        if not self._stop(",
        netns("heir", "heir_does_not_go_on_for_an_engine_that_is_stopped"),
    ),
    Fault(
        6,
        "it does not go on where the supervisor is gone",
        PULSE,
        "return all(descriptor != parent for",
        "return all(True for",
        netns("heir", "heir_does_not_outlive_its_supervisor"),
    ),
    Fault(
        6,
        "a silent engine is replaced",
        SUPERVISOR,
        "            self._engine.signal(signal.SIGKILL)\n",
        "",
        f"{_RESUMES}[silent]",
    ),
    Fault(
        6,
        "also one that never turned",
        SILENCE,
        "None if self._alarm.is_wound() else suspect_ns",
        "None",
        unit("speaker/silence", "engine_that_never_turned_is_found_too"),
    ),
    Fault(
        6,
        "who slept gives it its whole time",
        SILENCE,
        "            self._awake_since_ns = now_ns\n",
        "            pass\n",
        unit("speaker/silence", "who_slept_gives_the_engine_its_whole_time") + "[0]",
    ),
    Fault(
        6,
        "its supervisor is woken where it ceases to turn",
        ALARM,
        "        _libc.timerfd_settime(self._timer, 0, self._address, None)\n",
        "",
        unit("speaker/silence", "alarm_goes_off_once_it_is_wound_no_more"),
    ),
    Fault(
        6,
        "its death is noticed before it has ended",
        CHILD,
        "[self.pidfd] if self.pulse is None else [self.pidfd, self.pulse.fileno()]",
        "[self.pidfd]",
        unit("engine/supervisor", "child_is_over_once_its_pulse_has_ended_and_is_not_waited_for"),
    ),
    Fault(
        6,
        "its end is not waited for",
        SUPERVISOR,
        "os.waitpid(pid, os.WNOHANG)\n            if ended:",
        "os.waitpid(pid, 0)\n            if ended:",
        netns("deaths", "dead_engine_is_replaced_before_it_has_ended"),
    ),
    Fault(
        6,
        "addresses of who resumes stay",
        MAIN,
        "            if left_active(self._shared, unloaded, now_ns):\n",
        "            if False:\n",
        f"{_RESUMES}[dead]",
    ),
    Fault(
        6,
        "the new engine goes on as Active",
        STARTING,
        "Resume() if resume else Startup(first)",
        "Startup(first)",
        f"{_RESUMES}[dead]",
    ),
    Fault(
        6,
        "where no engine lives, the last will is executed",
        SUPERVISOR,
        "            execute_last_will(self._shared, self._options.program_path, is_obsolete)\n",
        "            pass\n",
        _LAST_WILL,
    ),
    Fault(
        6,
        "the last will releases",
        LAST_WILL,
        "            transport.send(router.encoder.route, copies)\n",
        "",
        _LAST_WILL,
    ),
    Fault(
        6,
        "the last will takes the addresses off",
        LAST_WILL,
        "                requests.request(delete_address_request(news))\n",
        "",
        _LAST_WILL,
    ),
    Fault(
        6,
        "an engine without a supervisor ends",
        LOOP,
        "                self.stop()\n            if wakeup in ready",
        "            if wakeup in ready",
        netns("speaker", "dead_supervisor_takes_the_address_along"),
    ),
)

FAULTS = MEMBERSHIP + ALONE + ORDER + LEASE + LATE_WAKE + RESUME
