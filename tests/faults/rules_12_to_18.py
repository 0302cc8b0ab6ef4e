"""Changes under running routers, both families, clocks, signatures, bounds, lost configuration."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import (
    AGENT_MESSAGES,
    ALLOCATOR,
    AUTHENTICATION,
    CHOICE,
    ELECTING,
    ELIGIBLE,
    ENCODER,
    ENGINE_MEMBERS,
    EXECUTOR,
    INPUTS,
    LEASES,
    LINK_TABLE,
    LOADING,
    LOOP,
    NODE_CONFIG,
    OTHER_CLOCKS,
    PLACEMENT,
    PLACING,
    PRIORITY,
    PROGRAM,
    RANKING,
    RECONCILE,
    ROUTERS,
    TABLE,
    TEMPLATES,
    VALIDATION,
    netns,
    unit,
)

_STEP = netns("clock", "clock_that_steps_and_steps_back_moves_nothing")
_UNSIGNED = netns("transports", "unsigned_advertisement_in_a_peers_name_is_refused")
_FORGED = netns(
    "transports", "replayed_and_forged_advertisements_change_a_counter_and_nothing_else"
)
_OWNER = netns("reconfiguration", "engine_refuses_the_priority_of_an_owner_and_of_a_release")

CHANGES = (
    Fault(
        12,
        "a router is read again when the templates of its link change",
        PROGRAM,
        "            if router.ifindex not in others\n"
        "            and not any(address.ifindex in others for address in router.addresses)\n",
        "",
        unit("engine/reading", "router_whose_links_templates_changed_is_read_again"),
    ),
    Fault(
        12,
        "and when another one of the same words is set aside",
        PROGRAM,
        "        if aside != self._aside:\n            return {}\n",
        "",
        unit("engine/reading", "router_that_was_set_aside_is_read_again"),
    ),
    Fault(
        12,
        "a template that does not give what the libraries build is not given out",
        TEMPLATES,
        "        if filled != build(example) or not _says(kind, filled, example):\n",
        "        if False:\n",
        unit("compiler/templates", "template_that_the_libraries_contradict_is_not_given_out")
        + "[gratuitous_arp-built_otherwise]",
    ),
    Fault(
        12,
        "a router that runs stays on its interface when another network appears",
        CHOICE,
        "        found = [link for link in on_subnet if link.index == running]\n",
        "        found = list[Link]()\n",
        unit("links/choice", "router_that_runs_stays_when_another_network_appears"),
    ),
    Fault(
        12,
        "and on one that has no address of the network any more",
        CHOICE,
        "        if link.index == running:\n            return link\n",
        "        pass\n",
        unit("links/choice", "holder_stays_while_its_interface_lacks_an_address_of_its_own"),
    ),
    Fault(
        12,
        "after an agent began anew as well",
        "speaker/vrrp_speaker/agent/programs/node_program.py",
        "        maker.go_on_from(self.document or {})\n",
        "",
        unit("agent/node_program", "agent_that_begins_leaves_routers_where_they_run"),
    ),
    Fault(
        12,
        "a link without a LAN is no choice",
        LINK_TABLE,
        "        if not link.nature.resolves or link.nature.kind in OF_THIS_NODE:\n"
        "            return False\n",
        "",
        unit("links/choice", "links_without_a_lan_are_no_choice"),
    ),
    Fault(
        12,
        "a router whose name and VRID stay is changed, not replaced",
        TABLE,
        "if name not in wanted or wanted[name].identity != router.program.identity:",
        "if name not in wanted or wanted[name] != router.program:",
        netns("configuration", "addresses_come_and_go_without_a_transition"),
    ),
    Fault(
        12,
        "routers that differ are replaced one in a turn",
        LOADING,
        "            yield\n        self._count()",
        "        self._count()",
        unit("engine/engine", "routers_that_differ_are_read_and_replaced_one_in_a_turn"),
    ),
    Fault(
        12,
        "what the agent says meanwhile is heard when its routers are there",
        AGENT_MESSAGES,
        "            if self._loading.under_way:\n                return\n",
        "",
        unit("engine/agent_messages", "what_follows_a_load_is_heard_when_that_is_done"),
    ),
    Fault(
        12,
        "a router that did not change is left alone",
        TABLE,
        "if name not in wanted or wanted[name].identity != router.program.identity:",
        "if True:",
        netns("configuration", "another_virtual_ip_comes_and_goes_beside_a_running_one"),
    ),
    Fault(
        12,
        "neither a new node nor another VirtualIP takes a first place",
        PLACEMENT,
        "for name, node in kept if node is not None",
        "for name, node in kept if False",
        unit(
            "operator/placement",
            "the_next_of_those_that_take_part_follows_a_leader_that_is_gone",
        ),
    ),
    Fault(
        12,
        "whose write comes through first has no first place for that",
        ELIGIBLE,
        "asked = {**_told_of(record.name, snapshot), **asked}",
        "pass",
        unit(
            "operator/first_writes",
            "who_is_first_does_not_depend_on_whose_write_comes_through",
        ),
    ),
    Fault(
        12,
        "a VRID stays for life",
        ALLOCATOR,
        "    for election in rest:\n        allocator.keep_recorded(election)\n",
        "",
        unit("operator/allocator", "what_the_status_remembers_stays"),
    ),
    Fault(
        12,
        "a VRID is not changed under a running election",
        ALLOCATOR,
        "                self.numbers[election.name] = running\n",
        "                pass\n",
        unit(
            "operator/allocator",
            "of_two_that_want_to_come_to_one_node_with_one_number_the_older_does",
        ),
    ),
    Fault(
        12,
        "what a VirtualIP ran goes on while its new spec is not accepted",
        ELECTING,
        "        wanted[node] = replace(router, base_priority=priority,"
        " peers=(), health_checks=used)\n",
        "        pass\n",
        unit("operator/planner", "what_ran_goes_on_when_its_new_spec_is_not_accepted"),
    ),
)

ALL_ADDRESSES = (
    Fault(
        13,
        "a takeover binds every address",
        EXECUTOR,
        "            case BindAddresses():\n"
        "                self.leases.bind(router, router.addresses, now_ns)\n",
        "            case BindAddresses():\n"
        "                self.leases.bind(router, router.addresses[:1], now_ns)\n",
        netns("handover", "stop_and_return_lose_no_probe"),
    ),
    Fault(
        13,
        "a release takes every address off",
        LEASES,
        "        self.unbind(router, router.addresses)\n",
        "        self.unbind(router, router.addresses[:1])\n",
        netns("speaker", "stopped_speaker_releases_at_once"),
    ),
)

CLOCKS = (
    Fault(
        14,
        "a node that was put back to a snapshot follows members and its own clock",
        OTHER_CLOCKS,
        "if clock_ns is not None and self._signing.put_forward(sequence, now_ns, clock_ns):",
        "if clock_ns is None:",
        netns("deaths", "node_that_was_put_back_to_a_snapshot_is_believed_again"),
    ),
    Fault(
        14,
        "but neither of them alone",
        AUTHENTICATION,
        "        if abs(_seconds_between(clock_ns // NS_PER_SECOND, sequence >> 32)) > WINDOW_S:\n"
        "            return False\n",
        "",
        unit(
            "vrrp/signature_clock",
            "clock_follows_neither_a_member_nor_another_clock_alone",
        ),
    ),
    Fault(
        14,
        "the loop lives on the monotonic clock",
        LOOP,
        "from time import monotonic_ns, time_ns\n",
        "from time import time_ns\nfrom time import time_ns as monotonic_ns\n",
        f"{_STEP}[3600-node-1]",
    ),
    Fault(
        14,
        "sequences are carried on by the monotonic clock",
        AUTHENTICATION,
        "        if not self.offset_ns or now_ns < SETTLING_NS:\n",
        "        if True:\n",
        f"{_STEP}[-3600-node-1]",
    ),
    Fault(
        14,
        "others' sequences are held against that time",
        LOOP,
        "            wall_ns = self._clock.read(now_ns, time_ns())\n",
        "            wall_ns = time_ns()\n",
        netns("clock", "node_whose_clock_stepped_believes_who_it_never_heard"),
    ),
)

SIGNED = (
    Fault(
        15,
        "elections that say nothing get the cluster's key",
        ROUTERS,
        '    return election.authenticated(Authentication("HMAC", default_key_ref))\n',
        "    return election.authenticated(PLAIN)\n",
        unit(
            "operator/planner",
            "authentication_is_as_given_else_the_default_key_inside_the_cluster",
        ),
    ),
    Fault(
        15,
        "speakers sign",
        ENCODER,
        "        if not isinstance(keys, HmacKeys) or keys.mode is Mode.RECEIVE_ONLY:\n",
        "        if True:\n",
        netns("lone_router", "election_with_a_key_signs"),
    ),
    Fault(
        15,
        "what is not signed is refused",
        VALIDATION,
        "        if keys.mode is Mode.ENFORCE:\n"
        "            raise DecodeError(RejectReason.AUTH_MISSING)\n",
        "",
        _UNSIGNED,
    ),
    Fault(
        15,
        "a wrong signature is refused",
        AUTHENTICATION,
        "    if equal_digests(_tag(key, message, source, trailer[:12]), trailer[12:]):\n",
        "    if key:\n",
        f"{_FORGED}[six]",
    ),
    Fault(
        15,
        "what was heard before is refused",
        VALIDATION,
        "    wrong = wrong or election.marks.check(source, sequence, wall_ns, keys.window_s)\n",
        "",
        f"{_FORGED}[six]",
    ),
    Fault(
        15,
        "a new engine knows what its predecessor heard",
        ENGINE_MEMBERS,
        "            router.others.marks.remember(peer.address, mark)\n",
        "            pass\n",
        unit("engine/members", "engine_that_goes_on_for_another_takes_no_replay_of_a_listed_peer"),
    ),
    Fault(
        15,
        "without its key an election does not run plain",
        PLACING,
        '        raise PlacementError(f"AuthenticationKeyMissing: {missing}")\n',
        '        return {"type": "None"}\n',
        netns("lone_router", "election_whose_key_is_missing_does_not_run_plain"),
    ),
)

BOUNDS = (
    Fault(
        16,
        "an election has as many nodes as candidates",
        RANKING,
        "sum(n.name not in absent for n in chosen) < asked.candidates",
        "True",
        unit("operator/planner", "candidates_bound_the_election"),
    ),
    Fault(
        17,
        "checks move a priority within 1 to 254",
        PRIORITY,
        "min(PRIORITY_MAXIMUM, max(PRIORITY_MINIMUM, base + sum(contributions)))",
        "base + sum(contributions)",
        netns("lone_router", "checks_move_a_priority_within_its_range"),
    ),
    Fault(
        17,
        "an engine refuses other ones in a program",
        PROGRAM,
        'fields.integer("basePriority", 1, PRIORITY_MAXIMUM)',
        'fields.integer("basePriority", 0, 255)',
        f"{_OWNER}[255]",
    ),
    Fault(
        17,
        "an engine refuses other ones from an agent",
        INPUTS,
        'fields.integer("effectivePriority", 1, PRIORITY_MAXIMUM)',
        'fields.integer("effectivePriority", 0, 255)',
        f"{_OWNER}[0]",
    ),
    Fault(
        17,
        "a hand-over gives no more than 254",
        RANKING,
        "min(MAXIMUM, ranking[0][1] + LARGEST_GAP)",
        "ranking[0][1] + LARGEST_GAP",
        unit(
            "operator/handover",
            "the_highest_priority_there_is_is_passed_on_and_the_order_below_kept",
        ),
    ),
)

DISAPPEARANCE = (
    Fault(
        18,
        "an empty list of nodes deletes nothing",
        RECONCILE,
        "if n not in kept and snapshot.nodes]",
        "if n not in kept]",
        unit("operator/reconcile", "an_empty_list_of_nodes_deletes_no_node_config"),
    ),
    Fault(
        18,
        "where all NodeConfigs are gone a node keeps its own",
        NODE_CONFIG,
        "            return\n        empty = NodeConfig(",
        "        empty = NodeConfig(",
        unit("agent/config_source", "absence_counts_only_while_other_nodes_have_theirs") + "[0]",
    ),
    Fault(
        18,
        "where their kind is gone a node says so",
        NODE_CONFIG,
        "            self._keep(absent)\n",
        "            pass\n",
        unit("agent/config_source", "deleted_kind_keeps_what_runs_and_says_so_once"),
    ),
)

FAULTS = CHANGES + ALL_ADDRESSES + CLOCKS + SIGNED + BOUNDS + DISAPPEARANCE
