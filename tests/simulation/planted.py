"""Faults that somebody could write into the protocol, each an edit the oracles must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """``old`` occurs once in ``speaker/vrrp/<module>.py``; ``new`` in its place is wrong."""

    module: str
    old: str
    new: str
    why: str


def _router(old: str, new: str, why: str) -> PlantedFault:
    return PlantedFault("virtual_router", old, new, why)


def _timers(old: str, new: str, why: str) -> PlantedFault:
    return PlantedFault("timers", old, new, why)


def _ladder(old: str, new: str, why: str) -> PlantedFault:
    return PlantedFault("validation", old, new, why)


def _wire(old: str, new: str, why: str) -> PlantedFault:
    return PlantedFault("packet", old, new, why)


def _auth(old: str, new: str, why: str) -> PlantedFault:
    return PlantedFault("authentication", old, new, why)


PLANTED = (
    # Hearing others
    _router(
        "if heard.priority > mine.priority:",
        "if heard.priority > 254:",
        "Active never yields to a higher priority",
    ),
    _router(
        "heard.source > mine.source:", "heard.source < mine.source:", "the tie-break is reversed"
    ),
    _router(
        "return Backup(interval_ns, now_ns + mine.down_ns(interval_ns), preempt_at_ns)",
        "return replace(state, preempt_at_ns=preempt_at_ns)",
        "Backup never re-arms its timer",
    ),
    _router(
        "return replace(state, active_down_deadline_ns=now_ns + skew_ns)",
        "return state",
        "a release is ignored",
    ),
    _router(
        "mine.skew_ns(state.active_adver_interval_ns)",
        "mine.skew_ns(mine.adver_interval_ns)",
        "after a release Backup waits by its own interval, not the Active Router's",
    ),
    _router(
        "if mine.preempt_mode and heard.priority < mine.priority:",
        "if heard.priority < mine.priority:",
        "preempts although it is told not to",
    ),
    _router(
        "if mine.preempt_mode and heard.priority < mine.priority:",
        "if mine.preempt_mode and heard.priority > mine.priority:",
        "preempts the better and not the worse",
    ),
    _router(
        "preempt_at_ns = now_ns + mine.preempt_delay_ns",
        "preempt_at_ns = now_ns",
        "the preemption delay is ignored",
    ),
    _router(
        "preempt_at_ns = state.preempt_at_ns\n",
        "preempt_at_ns = None\n",
        "the preemption delay begins anew with every advertisement and never ends",
    ),
    _router(
        "return self._answer_release(state, now_ns)",
        "return NOTHING",
        "an Active Router lets the others take over after a foreign release",
    ),
    _router(
        "if now_ns - state.answered_ns < mine.adver_interval_ns:",
        "if now_ns < 0:",
        "losers are answered without limit",
    ),
    _router(
        "if now_ns - state.answered_ns < mine.adver_interval_ns // _RELEASE_ANSWERS_PER_INTERVAL:",
        "if now_ns < 0:",
        "releases are answered without limit",
    ),
    _router(
        "self._state = replace(state, answered_ns=now_ns)",
        "self._state = Active(now_ns + mine.adver_interval_ns, now_ns)",
        "a loser's advertisement pushes our next one back (keepalived's defect D1)",
    ),
    _router(
        "return (UnbindAddresses(), *self._enter(backup, reason))",
        "return self._enter(backup, reason)",
        "whoever yields keeps the addresses",
    ),
    # Time
    _router(
        "if now_ns - state.adver_deadline_ns >= mine.late_wake_ns():",
        "if now_ns < 0:",
        "an Active Router that woke late goes on",
    ),
    PlantedFault(
        "states",
        "spare_ns = (self.down_advertisements - 1) * self.adver_interval_ns",
        "spare_ns = (self.down_advertisements + 1) * self.adver_interval_ns",
        "an Active Router believes in itself for too long",
    ),
    _router(
        "if now_ns - state.active_down_deadline_ns > self._parameters.adver_interval_ns:",
        "if now_ns < 0:",
        "a Backup that woke late takes over before it listens",
    ),
    _router(
        "now_ns + interval_ns + self._parameters.skew_ns(interval_ns)",
        "now_ns",
        "after a late wake nobody listens",
    ),
    _router(
        "deadline_ns = max(state.adver_deadline_ns + interval_ns, now_ns + interval_ns // 2)",
        "deadline_ns = state.adver_deadline_ns + interval_ns",
        "missed advertisements are caught up on in a burst",
    ),
    _router(
        "            SendAdvertisement(self._parameters.priority),\n"
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),",
        "            BindAddresses(),\n"
        "            AnnounceAddresses(),\n"
        "            SendAdvertisement(self._parameters.priority),",
        "the advertisement waits for addresses and announcements",
    ),
    # Changes from outside
    _router(
        "deadline_ns = self._state.active_down_deadline_ns + shift_ns",
        "deadline_ns = self._state.active_down_deadline_ns",
        "a change of priority leaves the running timer alone",
    ),
    _router(
        "deadline_ns = min(self._state.adver_deadline_ns, now_ns + changed.adver_interval_ns)",
        "deadline_ns = self._state.adver_deadline_ns",
        "a shorter interval waits for the end of the longer one",
    ),
    _router(
        "if faulty and not isinstance(self._state, Fault):",
        "if faulty and isinstance(self._state, Backup):",
        "a node with a fault stays Active",
    ),
    _router(
        "return self._enter(self._own_backup(now_ns), TransitionReason.FAULT_CLEARED)",
        "return self._enter(self._active(now_ns), TransitionReason.FAULT_CLEARED)",
        "Active straight after a fault, without addresses or advertisement",
    ),
    _router(
        "        if self._faulty:\n            return (UnbindAddresses(),",
        "        if now_ns < 0:\n            return (UnbindAddresses(),",
        "a replaced engine resumes in spite of a fault",
    ),
    _router(
        "                SendAdvertisement(PRIORITY_RELEASE),\n                UnbindAddresses(),",
        "                UnbindAddresses(),",
        "leaves without a release",
    ),
    _router(
        "                SendAdvertisement(PRIORITY_RELEASE),\n                UnbindAddresses(),",
        "                SendAdvertisement(PRIORITY_RELEASE),",
        "leaves and forgets the addresses",
    ),
    # Timers
    _timers(
        "return (256 - priority) * scaled_ns // 256",
        "return (256 - priority) * scaled_ns // 256 // NS_PER_SECOND * NS_PER_SECOND",
        "Skew_Time is truncated to whole seconds",
    ),
    _timers("return (256 - priority)", "return (1 + priority)", "the best waits longest"),
    _timers(
        "scaled_ns = NS_PER_SECOND if version == VERSION_2 else active_adver_interval_ns",
        "scaled_ns = active_adver_interval_ns",
        "version 2 scales Skew_Time by the interval",
    ),
    _timers(
        "return down_advertisements * active_adver_interval_ns",
        "return 3 * active_adver_interval_ns",
        "the number of advertisements that may be missed is ignored",
    ),
    _timers(
        "return max(1, -(-down_ns // NS_PER_SECOND))", "return 86_400", "the lease does not end"
    ),
    _timers(
        "return max(1, -(-down_ns // NS_PER_SECOND))",
        "return max(1, down_ns // NS_PER_SECOND)",
        "the lease ends before anybody takes over",
    ),
    # The ladder
    _ladder(
        "elif datagram.source not in election.peers:",
        "elif not datagram.source:",
        "a peer of another election may speak in this one",
    ),
    _ladder(
        "elif datagram.destination != election.source:",
        "elif not datagram.source:",
        "what was sent to somebody else is taken",
    ),
    _ladder(
        "if datagram.source == election.source:",
        "if not datagram.source:",
        "a member of the group hears itself",
    ),
    _ladder(
        "if datagram.ttl < election.ttl_minimum:",
        "if not datagram.source:",
        "what was routed is taken for a neighbour's",
    ),
    _ladder("if version != election.version:", "if version == 0:", "the other version is taken"),
    _ladder(
        "        election.marks.remember(datagram.source, sequence)",
        "        pass",
        "no mark is kept: whatever lies in the window can be played back",
    ),
    _ladder(
        "    if wrong is not None:\n        raise DecodeError(wrong)\n    return sequence",
        "    if wrong is not None:\n        raise DecodeError(wrong)\n"
        "    election.marks.remember(source, sequence)\n    return sequence",
        "the mark moves before the checksum is checked",
    ),
    _ladder(
        "    sequence, wrong = verify(keys, message, source, trailer)",
        "    sequence, wrong = verify(keys, message, source, trailer)\n"
        "    election.marks.remember(source, sequence)",
        "the mark moves for forgeries",
    ),
    _ladder("if keys.mode is Mode.ENFORCE:", "if not source:", "Enforce takes unsigned messages"),
    _ladder(
        "if advertisement.interval_cs == 0:", "if not datagram.source:", "interval 0 is accepted"
    ),
    _ladder("if not advertisement.addresses:", "if not datagram.source:", "no addresses needed"),
    _ladder(
        "election.version == VERSION_2 and advertisement.interval_cs != election.interval_cs",
        "not datagram.source",
        "version 2 takes another interval",
    ),
    _ladder(
        "if advertisement.auth_data != authentication.data:",
        "if not authentication.data:",
        "any password will do",
    ),
    # The message
    _wire(
        "raise DecodeError(RejectReason.CHECKSUM)",
        "return ChecksumForm.MESSAGE_ONLY",
        "any checksum will do",
    ),
    _wire(
        "last_word = advertisement.interval_cs & _INTERVAL_MASK",
        "last_word = advertisement.interval_cs // 10 & _INTERVAL_MASK",
        "the interval goes out in deciseconds",
    ),
    _wire(
        "version_type, vrid, priority, count, last_word, _ =",
        "version_type, priority, vrid, count, last_word, _ =",
        "the VRID is read as the priority",
    ),
    # Authentication
    _auth(
        "self.offset_ns = max(self.offset_ns, wall_ns - now_ns)",
        "self.offset_ns = wall_ns - now_ns",
        "the sequence goes back with the clock",
    ),
    _auth(
        "else (self._last + 1) & _SEQUENCE_MASK",
        "else self._last",
        "two advertisements of one instant have one sequence",
    ),
    _auth(
        "return sequence, RejectReason.AUTH_UNKNOWN_KEY",
        "return sequence, None",
        "an unknown key is trusted",
    ),
    _auth(
        "if not hmac.compare_digest(expected, trailer[12:]):",
        "if not expected:",
        "the tag is not compared",
    ),
    _auth("return RejectReason.AUTH_REPLAYED", "return None", "replays are accepted"),
    _auth(
        "return None if near else RejectReason.AUTH_STALE",
        "return None",
        "what was captured long ago can be played to a node that knows nothing",
    ),
    _auth(
        "if _difference(sequence, mark) > 0:",
        "if near and _difference(sequence, mark) > 0:",
        "a known peer is lost when a clock steps",
    ),
    _auth(
        "if near and abs(_seconds_between(now_s, mark >> 32)) > window_s:",
        "if not source:",
        "a node that was ahead once is never heard again",
    ),
    _auth(
        "            message[:6],\n",
        "            message[:2],\n            bytes(4),\n",
        "the priority is not signed",
    ),
    _auth('source.ljust(16, b"\\0"),', "bytes(16),", "the source is not signed"),
)
