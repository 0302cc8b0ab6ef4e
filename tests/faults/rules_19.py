"""Members whom no list names: they count, they are sent to, and what that may cost is bounded."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import AUTHENTICATION, ENGINE_MEMBERS, MEMBERS, PLACING, VALIDATION, unit

_COUNTS = unit("vrrp/members", "whoever_signs_with_the_elections_key_counts_and_is_learned")
_BELIEVED = unit("vrrp/members", "stage_decides_which_key_is_believed_of_whom")
_FLOOD = unit(
    "vrrp/members",
    "ten_thousand_senders_in_a_second_teach_nothing_and_cost_little",
)

MEMBERS_BY_SIGNATURE = (
    Fault(
        19,
        "whoever signs with the election's key is a member",
        VALIDATION,
        "            return self._climb_unlisted(datagram, wall_ns, now_ns)\n"
        "        if datagram.ttl",
        "            return RejectReason.UNKNOWN_SOURCE\n        if datagram.ttl",
        _COUNTS,
    ),
    Fault(
        19,
        "the shared key makes nobody a member",
        AUTHENTICATION,
        "    if listed and stage is not None",
        "    if stage is not None",
        _BELIEVED,
    ),
    Fault(
        19,
        "while a key is rolled out both count",
        AUTHENTICATION,
        "        if equal_digests(shared, trailer[12:]):\n            return sequence, None\n",
        "",
        _BELIEVED,
    ),
    Fault(
        19,
        "each election has a key of its own",
        PLACING,
        "election_key(bytes.fromhex(secret), election)",
        'election_key(bytes.fromhex(secret), "")',
        unit("agent/program", "keys_of_an_election_are_derived_here"),
    ),
    Fault(
        19,
        "a member is sent to",
        ENGINE_MEMBERS,
        "            place = self._shared.learn(router.program.slot, source, now_ns)\n"
        "        router.reach_members()\n",
        "            place = self._shared.learn(router.program.slot, source, now_ns)\n",
        unit("engine/members", "member_that_no_list_names_is_heard_sent_to_and_counted"),
    ),
    Fault(
        19,
        "whom the list drops is still sent to",
        ENGINE_MEMBERS,
        "        router.others.learned.keep("
        "sorted(heard, key=heard.__getitem__, reverse=True), now_ns)\n",
        "",
        unit("engine/members", "peer_that_the_list_drops_is_still_sent_to"),
    ),
    Fault(
        19,
        "the next engine knows the members",
        ENGINE_MEMBERS,
        "        router.others.learned.known_ns[source] = shared.get(place + shm.LEARNED_KNOWN)\n",
        "",
        unit("engine/members", "engine_that_goes_on_for_another_knows_its_members"),
    ),
    Fault(
        19,
        "strangers' signatures are verified at a bounded rate",
        VALIDATION,
        "        if not proved and not self.attempts.left(now_ns):\n"
        "            return RejectReason.UNVERIFIED\n",
        "",
        _FLOOD,
    ),
    Fault(
        19,
        "an election learns so many and no more",
        VALIDATION,
        "                return RejectReason.TOO_MANY_MEMBERS\n",
        "                pass\n",
        unit("vrrp/members", "members_beyond_the_bound_are_refused_unread"),
    ),
    Fault(
        19,
        "silent members are forgotten in the end",
        MEMBERS,
        "            del self.known_ns[source]\n        return bool(silent)",
        "            pass\n        return bool(silent)",
        unit("vrrp/members", "members_are_forgotten_when_they_were_silent_for_an_hour"),
    ),
    Fault(
        19,
        "a member by another address is the same one",
        VALIDATION,
        "        wrong = RejectReason.AUTH_REPLAYED  # a member by another of its addresses\n",
        "        pass\n",
        unit("vrrp/members", "member_with_two_addresses_is_one"),
    ),
)
