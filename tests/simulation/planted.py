"""Faults that somebody could write into the protocol, each an edit the oracles must notice."""

from __future__ import annotations

from tests.simulation.planted_fault import (
    in_authentication,
    in_lease,
    in_packet,
    in_rivals,
    in_router,
    in_states,
    in_timers,
    in_validation,
)
from tests.simulation.planted_handover import HANDOVER_FAULTS
from tests.simulation.planted_health import HEALTH_FAULTS
from tests.simulation.planted_members import MEMBER_FAULTS

PLANTED = (
    # Hearing others
    in_rivals(
        "if heard.priority > mine.priority:",
        "if heard.priority > 254:",
        "Active never yields to a higher priority",
    ),
    in_rivals(
        "heard.source > mine.source:", "heard.source < mine.source:", "the tie-break is reversed"
    ),
    in_router(
        "interval_ns, now_ns + mine.down_ns(interval_ns), preempt_at_ns, state",
        "interval_ns, state.active_down_deadline_ns, preempt_at_ns, state",
        "Backup never re-arms its timer",
    ),
    in_router(
        "return replace(state, active_down_deadline_ns=due_ns)",
        "return state",
        "a release is ignored",
    ),
    in_router(
        "            due_ns = min(due_ns, state.active_down_deadline_ns)\n",
        "",
        "releases of two that offer keep everybody waiting",
    ),
    in_router(
        "mine.skew_ns(state.active_adver_interval_ns)",
        "mine.skew_ns(mine.adver_interval_ns)",
        "after a release Backup waits by its own interval, not the Active Router's",
    ),
    in_router(
        "if mine.preempt_mode and heard.priority < mine.priority:",
        "if heard.priority < mine.priority:",
        "preempts although it is told not to",
    ),
    in_router(
        "if mine.preempt_mode and heard.priority < mine.priority:",
        "if mine.preempt_mode and heard.priority > mine.priority:",
        "preempts the better and not the worse",
    ),
    in_router(
        "preempt_at_ns = now_ns + mine.preempt_delay_ns",
        "preempt_at_ns = now_ns",
        "the preemption delay is ignored",
    ),
    in_router(
        "preempt_at_ns = state.preempt_at_ns\n",
        "preempt_at_ns = None\n",
        "the preemption delay begins anew with every advertisement and never ends",
    ),
    in_rivals(
        "return _answer_release(state, mine, now_ns)",
        "return Outcome(state)",
        "an Active Router lets the others take over after a foreign release",
    ),
    in_rivals(
        "if answered_ns is not None and now_ns - answered_ns < mine.adver_interval_ns:",
        "if now_ns < 0:",
        "losers are answered without limit",
    ),
    in_rivals(
        "if now_ns < due_ns:",
        "if now_ns < 0:",
        "releases are answered without limit",
    ),
    in_rivals(
        "answered = replace(state.repaired(now_ns), loser_answered_ns=now_ns)",
        "answered = Active(now_ns + mine.adver_interval_ns, now_ns, repaired_ns=now_ns)",
        "a loser's advertisement pushes our next one back (keepalived's defect D1)",
    ),
    in_rivals(
        "return Outcome(backup, (SendAdvertisement(mine.priority),), reason)",
        "return Outcome(backup, (), reason)",
        "the loser steps down unheard (keepalived's hole after a cut)",
    ),
    in_rivals(
        "return Outcome(answered, (SendAdvertisement(mine.priority), AnnounceAddresses()))",
        "return Outcome(answered, (SendAdvertisement(mine.priority),))",
        "the winner of two tells its neighbours nothing",
    ),
    in_rivals(
        "(SendAdvertisement(mine.priority), *repaired.actions)",
        "(SendAdvertisement(mine.priority),)",
        "a release beside us is no reason to announce",
    ),
    in_rivals(
        "if repaired_ns is not None and now_ns - repaired_ns < mine.adver_interval_ns:",
        "if now_ns < 0:",
        "every release begins the announcements anew",
    ),
    # Time
    in_router(
        "if now_ns - state.adver_deadline_ns >= mine.late_wake_ns():",
        "if now_ns < 0:",
        "an Active Router that woke late goes on",
    ),
    in_states(
        "spare_ns = (self.down_advertisements - 1) * self.adver_interval_ns",
        "spare_ns = (self.down_advertisements + 1) * self.adver_interval_ns",
        "an Active Router believes in itself for too long",
    ),
    in_router(
        "if now_ns - state.active_down_deadline_ns > state.active_adver_interval_ns:",
        "if now_ns < 0:",
        "a Backup that woke late takes over before it listens",
    ),
    in_router(
        "now_ns + interval_ns + self._parameters.skew_ns(interval_ns)",
        "now_ns",
        "after a late wake nobody listens",
    ),
    in_router(
        "deadline_ns = max(state.adver_deadline_ns + interval_ns, now_ns + interval_ns // 2)",
        "deadline_ns = state.adver_deadline_ns + interval_ns",
        "missed advertisements are caught up on in a burst",
    ),
    in_router(
        "            SendAdvertisement(self._parameters.priority),\n"
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),\n"
        "            *self",
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),\n"
        "            SendAdvertisement(self._parameters.priority),\n"
        "            *self",
        "the advertisement waits for addresses and announcements",
    ),
    # Changes from outside
    in_states(
        "max(now_ns, self.active_down_deadline_ns + shift_ns)",
        "self.active_down_deadline_ns",
        "a change of priority leaves the running timer alone",
    ),
    in_router(
        "self._state = active.hurried(now_ns + after.adver_interval_ns)",
        "self._state = active",
        "a shorter interval waits for the end of the longer one",
    ),
    in_router(
        "if changed.faulty:",
        "if changed.faulty and not isinstance(self._state, Active):",
        "a node with a fault stays Active",
    ),
    in_router(
        "return self._enter(backup, TransitionReason.FAULT_CLEARED)",
        "return self._enter(self._active(now_ns), TransitionReason.FAULT_CLEARED)",
        "Active straight after a fault, without addresses or advertisement",
    ),
    in_router(
        "        if self._faulty:\n            return (\n",
        "        if now_ns < 0:\n            return (\n",
        "a replaced engine resumes in spite of a fault",
    ),
    in_router(
        "release = SendAdvertisement(PRIORITY_RELEASE)\n            if hand_over",
        "release = AnnounceAddresses()\n            if hand_over",
        "leaves without a release",
    ),
    in_router(
        "return (release, UnbindAddresses(), *self._enter(state, reason))",
        "return (release, *self._enter(state, reason))",
        "leaves and forgets the addresses",
    ),
    # Timers
    in_timers(
        "return (256 - priority) * scaled_ns // 256",
        "return (256 - priority) * scaled_ns // 256 // NS_PER_SECOND * NS_PER_SECOND",
        "Skew_Time is truncated to whole seconds",
    ),
    in_timers("return (256 - priority)", "return (1 + priority)", "the best waits longest"),
    in_timers(
        "scaled_ns = NS_PER_SECOND if version == VERSION_2 else active_adver_interval_ns",
        "scaled_ns = active_adver_interval_ns",
        "version 2 scales Skew_Time by the interval",
    ),
    in_timers(
        "return down_advertisements * active_adver_interval_ns",
        "return 3 * active_adver_interval_ns",
        "the number of advertisements that may be missed is ignored",
    ),
    in_lease("return -(-down_ns // NS_PER_SECOND)", "return 86_400", "the lease does not end"),
    in_lease(
        "return -(-down_ns // NS_PER_SECOND)",
        "return max(1, down_ns // NS_PER_SECOND)",
        "the lease ends before anybody takes over",
    ),
    # The ladder
    in_validation(
        "elif datagram.source not in election.peers:",
        "elif not datagram.source:",
        "a peer of another election may speak in this one",
    ),
    in_validation(
        "elif datagram.destination != election.source:",
        "elif not datagram.source:",
        "what was sent to somebody else is taken",
    ),
    in_validation(
        "if datagram.source == election.source:",
        "if not datagram.source:",
        "a member of the group hears itself",
    ),
    in_validation(
        "if datagram.ttl < election.ttl_minimum:\n        return RejectReason.TTL\n    if version",
        "if not datagram.source:\n        return RejectReason.TTL\n    if version",
        "what was routed is taken for a neighbour's",
    ),
    in_validation(
        "if version != election.version:", "if version == 0:", "the other version is taken"
    ),
    in_validation(
        "            election.marks.remember(result.source, result.sequence)",
        "            pass",
        "no mark is kept: whatever lies in the window can be played back",
    ),
    in_validation(
        "    if wrong is not None:\n        raise DecodeError(wrong)\n    return sequence",
        "    if wrong is not None:\n        raise DecodeError(wrong)\n"
        "    election.marks.remember(source, sequence)\n    return sequence",
        "the mark moves before the checksum is checked",
    ),
    in_validation(
        "    sequence, wrong = verify(keys, message, source, trailer, listed=listed)",
        "    sequence, wrong = verify(keys, message, source, trailer, listed=listed)\n"
        "    election.marks.remember(source, sequence)",
        "the mark moves for forgeries",
    ),
    in_validation(
        "if keys.mode is Mode.ENFORCE:", "if not source:", "Enforce takes unsigned messages"
    ),
    in_validation(
        "if advertisement.interval_cs == 0:", "if not datagram.source:", "interval 0 is accepted"
    ),
    in_validation(
        "if not advertisement.addresses:", "if not datagram.source:", "no addresses needed"
    ),
    in_validation(
        "election.version == VERSION_2 and advertisement.interval_cs != election.interval_cs",
        "not datagram.source",
        "version 2 takes another interval",
    ),
    in_validation(
        "if advertisement.auth_data != authentication.data:",
        "if not authentication.data:",
        "any password will do",
    ),
    # The message
    in_packet(
        "raise DecodeError(RejectReason.CHECKSUM)",
        "return ChecksumForm.MESSAGE_ONLY",
        "any checksum will do",
    ),
    in_packet(
        "last_word = advertisement.interval_cs & _INTERVAL_MASK",
        "last_word = advertisement.interval_cs // 10 & _INTERVAL_MASK",
        "the interval goes out in deciseconds",
    ),
    in_packet(
        "version_type, vrid, priority, count, last_word, _ =",
        "version_type, priority, vrid, count, last_word, _ =",
        "the VRID is read as the priority",
    ),
    # Authentication
    in_authentication(
        "self.last = (self.last + 1) & _SEQUENCE_MASK",
        "self.last = self.last",
        "two advertisements of one instant have one sequence",
    ),
    in_authentication(
        "return sequence, RejectReason.AUTH_UNKNOWN_KEY",
        "return sequence, None",
        "an unknown key is trusted",
    ),
    in_authentication(
        "if equal_digests(_tag(key, message, source, trailer[:12]), trailer[12:]):",
        "if key:",
        "the tag is not compared",
    ),
    in_authentication("return RejectReason.AUTH_REPLAYED", "return None", "replays are accepted"),
    in_authentication(
        "return None if near else RejectReason.AUTH_STALE",
        "return None",
        "what was captured long ago can be played to a node that knows nothing",
    ),
    in_authentication(
        "if mark is not None and _difference(sequence, mark) > 0:",
        "if mark is not None and _difference(sequence, mark) > 0 and abs(_seconds_between("
        "wall_ns // NS_PER_SECOND, sequence >> 32)) <= window_s:",
        "a known peer is lost when a clock steps",
    ),
    in_authentication(
        "if near and abs(_seconds_between(now_s, mark >> 32)) > window_s:",
        "if not source:",
        "a node that was ahead once is never heard again",
    ),
    in_authentication(
        "            message[:6],\n",
        "            message[:2],\n            bytes(4),\n",
        "the priority is not signed",
    ),
    in_authentication('source.ljust(16, b"\\0"),', "bytes(16),", "the source is not signed"),
    *HANDOVER_FAULTS,
    *HEALTH_FAULTS,
    *MEMBER_FAULTS,
)
