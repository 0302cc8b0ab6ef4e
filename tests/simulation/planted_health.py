"""Faults in what failing health checks make an Active Router do."""

from __future__ import annotations

from tests.simulation.planted_fault import in_rivals, in_router

HEALTH_FAULTS = (
    in_router(
        "changed.faulty and changed.hand_over and changed.keeps",
        "changed.faulty and now_ns < 0",
        "a check that fails everywhere takes the addresses from everybody",
    ),
    in_router(
        "changed.faulty and changed.hand_over and changed.keeps",
        "changed.faulty and changed.keeps",
        "offers addresses that are of no use",
    ),
    in_router(
        "PRIORITY_RELEASE if state.offers else mine.priority",
        "mine.priority",
        "whoever offers advertises as if it were well",
    ),
    in_rivals(
        "if released and not state.heard_before(heard.source, now_ns, mine):",
        "if now_ns < 0:",
        "an offer ends with one release",
    ),
    in_rivals(
        "if released and not state.heard_before(heard.source, now_ns, mine):",
        "if released:",
        "two that offer go on for ever",
    ),
    in_rivals(
        "if released and heard.source < mine.source:",
        "if now_ns < 0:",
        "of two that offer both let go",
    ),
    in_rivals(
        "return _repair(state, mine, now_ns)",
        "return Outcome(state)",
        "of two that offer the one that goes on tells its neighbours nothing",
    ),
    in_rivals(
        "return Outcome(lets_go, (SendAdvertisement(PRIORITY_RELEASE),), TransitionReason.FAULT)",
        "return Outcome(lets_go, (), TransitionReason.FAULT)",
        "whoever offered lets go unheard",
    ),
    in_rivals(
        "lets_go = Fault(now_ns + HANDOVER_GRACE_NS)",
        "lets_go = Fault()",
        "whoever offered drops the addresses without grace",
    ),
    in_router(
        "if self._state.offers and not changed.faulty:",
        "if self._state.offers and now_ns < 0:",
        "whoever recovers goes on offering",
    ),
    in_router(
        "        if state.offers:\n            return NOTHING\n        self._state",
        "        self._state",
        "every word of the agent restarts the rhythm of an offer",
    ),
    in_router(
        "Fault() if self._faulty else self._listening(interval_ns, now_ns)",
        "self._listening(interval_ns, now_ns)",
        "a faulty router wakes late and listens",
    ),
    in_router(
        "if not (active and changed.unhealthy) or mine.preempt_mode:",
        "if now_ns:",
        "an unhealthy router that nobody may preempt stays",
    ),
    in_router(
        "if not (active and changed.unhealthy) or mine.preempt_mode:",
        "if not (active and changed.unhealthy):",
        "an unhealthy router leaves although others preempt",
    ),
    in_router(
        "due_ns = now_ns + mine.skew_ns(mine.adver_interval_ns)",
        "due_ns = now_ns + mine.down_ns(mine.adver_interval_ns)",
        "whoever stands anew waits like a stranger",
    ),
    in_router(
        "held_ns = now_ns + mine.successor_ns()",
        "held_ns = now_ns + 1",
        "whoever stands anew drops the addresses",
    ),
    in_router(
        "isinstance(self._state, Active) and not self._state.offers",
        "isinstance(self._state, Active)",
        "whoever offers stands anew",
    ),
)
