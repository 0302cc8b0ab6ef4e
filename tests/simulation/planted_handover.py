"""Faults in what is handed over, in timers that follow, and in the clock of signatures."""

from __future__ import annotations

from tests.simulation.planted_fault import (
    in_authentication,
    in_rivals,
    in_router,
    in_states,
)

HANDOVER_FAULTS = (
    # Handing over
    in_router(
        "return (release, *self._enter(replace(state, held_until_ns=held_until_ns), reason))",
        "return (release, UnbindAddresses(), *self._enter(state, reason))",
        "the addresses are dropped at a release",
    ),
    in_router(
        "replace(state, held_until_ns=held_until_ns), reason)",
        "replace(state, held_until_ns=now_ns + 10**15), reason)",
        "after a release the addresses stay until somebody is heard, if ever",
    ),
    in_router(
        "            if hand_over:\n",
        "            if now_ns:\n",
        "handed over although the addresses are of no use",
    ),
    in_router(
        "if held_ns is not None and not hand_over:",
        "if held_ns is not None and now_ns < 0:",
        "addresses that are being handed over outlive the link",
    ),
    in_router(
        "return self._enter(replace(state, held_until_ns=held_ns), reason)",
        "return self._enter(state, reason)",
        "whoever leaves while handing over forgets the addresses",
    ),
    in_router(
        "state = state.succeeded(now_ns + HANDOVER_GRACE_NS)",
        "state = state.succeeded(now_ns)",
        "the addresses go as soon as a successor is heard: the grace is ignored",
    ),
    in_router(
        "state = state.succeeded(now_ns + HANDOVER_GRACE_NS)",
        "pass",
        "a successor is not noticed",
    ),
    in_router(
        "        if heard.priority != PRIORITY_RELEASE:\n            state = state.succeeded",
        "        if now_ns:\n            state = state.succeeded",
        "a release is taken for a successor",
    ),
    in_rivals(
        "held_until_ns=now_ns + HANDOVER_GRACE_NS)\n    return",
        "held_until_ns=None)\n    return",
        "whoever yields forgets the addresses",
    ),
    in_rivals(
        "held_until_ns=now_ns + HANDOVER_GRACE_NS)\n    return",
        "held_until_ns=now_ns + 40 * HANDOVER_GRACE_NS)\n    return",
        "whoever yields keeps the addresses for long",
    ),
    in_router(
        "            return (*outcome.actions, *self._enter(outcome.state, outcome.reason))",
        "            after = replace(outcome.state, held_until_ns=None)\n"
        "            gone = UnbindAddresses()\n"
        "            return (*outcome.actions, gone, *self._enter(after, outcome.reason))",
        "whoever yields drops the addresses before the successor has announced",
    ),
    in_router(
        "return (UnbindAddresses(),)\n",
        "return NOTHING\n",
        "at the end of the grace the addresses stay",
    ),
    in_router(
        "return deadline_ns if held_ns is None else min(deadline_ns, held_ns)",
        "return deadline_ns",
        "a Backup is not woken to let the addresses go",
    ),
    in_router(
        "held = () if state.held_until_ns is None else (UnbindAddresses(),)",
        "held = ()",
        "a Backup that woke late forgets the addresses it was handing over",
    ),
    in_router(
        "backup = replace(backup, held_until_ns=self._state.held_until_ns)",
        "backup = replace(backup, held_until_ns=None)",
        "a fault that ends forgets the addresses",
    ),
    in_router(
        "preempt_at_ns, state.held_until_ns\n",
        "preempt_at_ns\n",
        "a Backup that hears somebody forgets the addresses",
    ),
    in_router(
        "isinstance(self._state, Active) or self._state.held_until_ns is not None",
        "isinstance(self._state, Active)",
        "a node that shuts down ends before there is a successor",
    ),
    in_router(
        "return (UnbindAddresses(), *self._enter(after, TransitionReason.LATE_WAKE))",
        "return self._enter(after, TransitionReason.LATE_WAKE)",
        "a late wake keeps the addresses",
    ),
    in_states(
        "return self.adver_interval_ns + skew_time_ns(\n",
        "return skew_time_ns(\n",
        "a successor gets no more than its Skew_Time",
    ),
    in_states(
        "else min(held_until_ns, until_ns)", "else until_ns", "every advertisement renews the grace"
    ),
    # The named successor
    in_router(
        "                return self._take_over_now(now_ns)",
        "                return NOTHING",
        "the named successor waits",
    ),
    in_router(
        "        if isinstance(self._state, Backup):\n            return self._become_active",
        "        if not isinstance(self._state, Active):\n            return self._become_active",
        "a named successor takes over in spite of its fault",
    ),
    in_router(
        "        if isinstance(self._state, Backup):\n            return self._become_active",
        "        if now_ns:\n            return self._become_active",
        "an Active Router that is named announces again",
    ),
    # Answers and timers that follow
    in_rivals(
        "return Outcome(state.hurried(due_ns))",
        "return Outcome(state)",
        "a release answer that has to wait is lost",
    ),
    in_states(
        "PRIORITY_MAXIMUM, self.adver_interval_ns) // 2",
        "PRIORITY_MINIMUM, self.adver_interval_ns) // 2",
        "a release answer waits until Backups have acted",
    ),
    in_rivals(
        "replace(state, adver_deadline_ns=deadline_ns, release_answered_ns=now_ns)",
        "Active(deadline_ns, now_ns, now_ns)",
        "whoever answered a release does not answer a loser",
    ),
    in_states(
        "(after.version == VERSION_2 or after.adver_interval_ns > watched_ns)",
        "after.version == VERSION_2",
        "a Backup's timer does not follow a longer interval",
    ),
    in_states(
        "(after.version == VERSION_2 or after.adver_interval_ns > watched_ns)",
        "after.adver_interval_ns > watched_ns",
        "version 2 waits for the Active Router to tell a shorter interval, which it never does",
    ),
    in_states(
        "        ours = watched_ns == before.adver_interval_ns\n",
        "        ours = True\n",
        "one's own longer interval counts although the Active Router told another",
    ),
    in_states(
        "max(now_ns, self.active_down_deadline_ns + shift_ns)",
        "self.active_down_deadline_ns + shift_ns",
        "a timer that moves into the past is taken for a late wake",
    ),
    in_router(
        "if now_ns - state.active_down_deadline_ns > state.active_adver_interval_ns:",
        "if now_ns - state.active_down_deadline_ns > self._parameters.adver_interval_ns:",
        "a Backup's lateness is measured by its own interval",
    ),
    in_router(
        "                SendAdvertisement(PRIORITY_RELEASE),\n                UnbindAddresses(),",
        "                UnbindAddresses(),",
        "a replaced engine with a fault does not release",
    ),
    in_router(
        "            BindAddresses(),\n            AnnounceAddresses(),\n        )",
        "            BindAddresses(),\n        )",
        "a replaced engine does not announce",
    ),
    # The clock
    in_authentication(
        "if not self.offset_ns or now_ns < SETTLING_NS:",
        "if now_ns:",
        "the wall clock is followed wherever it steps",
    ),
    in_authentication(
        "if not self.offset_ns or now_ns < SETTLING_NS:",
        "if not self.offset_ns:",
        "a clock that is put right after boot is not followed",
    ),
    in_authentication(
        "self.offset_ns = max(0, wall_ns - now_ns)",
        "self.offset_ns = max(self.offset_ns, wall_ns - now_ns)",
        "a clock that was ahead at boot is not put right",
    ),
    in_authentication(
        "if ahead > 0 or put_right or not self.last:",
        "if ahead > 0 or not self.last:",
        "the sequence never goes back, however wrong the clock was",
    ),
    in_authentication(
        "if ahead > 0 or put_right or not self.last:",
        "if now_ns:",
        "the sequence goes back with a clock that is put right a little",
    ),
)
