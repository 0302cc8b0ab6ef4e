"""Everything this node knows of itself, for whoever has to find out what is wrong with it.

Fields are named one by one: what is not listed here cannot get out, keys and passwords above all.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from vrrp.timers import active_down_interval_ns, skew_time_ns
from vrrp_speaker import __version__
from vrrp_speaker.agent.status.builder import past_transition, rfc3339
from vrrp_speaker.agent.view import CheckView, NodeView, address_text, peers_heard
from vrrp_speaker.shared_state.values import EngineState, RouterState

Dump = dict[str, Any]


class Clock:
    """One moment on both clocks; turns monotonic times into ages."""

    def __init__(self, now_s: float, now_ns: int) -> None:
        self.now_s = now_s
        self._now_ns = now_ns

    def age_ms(self, at_ns: int) -> float | None:
        """Return how long ago a CLOCK_MONOTONIC time was; None for 0, which means never."""
        return round((self._now_ns - at_ns) / 1e6, 1) if at_ns else None


def node_dump(
    view: NodeView,
    ready: tuple[bool, str],
    log_level: str,
    clock: Clock,
) -> Dump:
    """Return the state of the node as a JSON object; ages are milliseconds before ``time``.

    Args:
        view: program, engine and checks.
        ready: the verdict of /readyz.
        log_level: the agent's, now.
        clock: when this is.
    """
    program = view.program or {"routers": ()}
    return {
        "time": rfc3339(clock.now_s),
        "node": view.node,
        "version": __version__,
        "platform": {"python": platform.python_version(), "kernel": platform.release()},
        "processes": {
            "supervisor": os.getppid(),
            "agent": os.getpid(),
            "engine": view.engine.engine_pid if view.engine else None,
        },
        "logLevel": log_level,
        "configuration": {
            "source": view.config_source,
            "desiredGeneration": view.desired_generation,
            "appliedGeneration": view.engine.generation if view.engine else None,
            "ready": ready[0],
            "message": ready[1],
        },
        "engine": _engine(view.engine, clock) if view.engine else None,
        "slots": {router["name"]: router["slot"] for router in program["routers"]},
        "virtualRouters": [_router(view, router, state, clock) for router, state in view.routers()],
        "checks": [_check(check) for check in view.checks],
    }


def _engine(engine: EngineState, clock: Clock) -> Dump:
    bounds = [*(bound / 1e6 for bound in engine.lateness_bounds_ns), None]
    return {
        "starts": engine.engine_starts,
        "heartbeatAgeMs": clock.age_ms(engine.heartbeat_ns),
        "programLoaded": engine.loaded,
        "realTime": engine.real_time,
        "memoryLocked": engine.memory_locked,
        "lateness": {
            "sumMs": engine.lateness_sum_ns / 1e6,
            "buckets": [
                {"upToMs": bound, "count": count}
                for bound, count in zip(bounds, engine.lateness_counts, strict=True)
            ],
        },
        "advertisementsRejected": engine.rejected,
        "advertisementsObserved": engine.observed,
        "announcementsSent": engine.announcements_sent,
        "announcementQueueLength": engine.announcement_queue_length,
        "fencing": engine.fencing,
        "eventsDropped": engine.events_dropped,
        "sendErrors": engine.send_errors,
    }


def _router(
    view: NodeView,
    router: Mapping[str, Any],
    state: RouterState,
    clock: Clock,
) -> Dump:
    return {
        "name": router["name"],
        "slot": router["slot"],
        "virtualRouterID": router["vrid"],
        "virtualIPGeneration": router["virtualIPGeneration"],
        "version": router["version"],
        "interface": router["interface"],
        "source": router["source"],
        "multicast": router["multicast"],
        "authentication": _authentication(router["authentication"]),
        "addresses": [f"{a['address']}/{a['prefixLength']}" for a in router["addresses"]],
        "state": state.state,
        "stateAgeMs": clock.age_ms(state.since_ns),
        "addressPresent": state.address_present,
        "basePriority": state.base_priority,
        "effectivePriority": state.effective_priority,
        "faults": list(view.faults(router, state)),
        "timers": _timers(router, state, clock),
        "transitions": state.transitions,
        "history": [past_transition(past).to_object() for past in state.history],
        "transitionCounts": [
            {"from": before, "to": after, "reason": reason, "count": count}
            for before, after, reason, count in state.transition_counts
        ],
        "advertisementsSent": state.advertisements_sent,
        "addressesRestored": state.addresses_restored,
        "dualActiveMs": state.dual_active_ns / 1e6,
        "conflicts": _conflicts(state, clock),
        "peers": [
            {
                "node": peer["node"],
                "address": peer["address"],
                "external": peer["external"],
                "advertisementsReceived": heard.received,
                "heardAgeMs": clock.age_ms(heard.last_ns),
            }
            for peer, heard in peers_heard(router, state)
        ],
        "learnedMembers": [
            {
                "address": address_text(member.address),
                "advertisementsReceived": member.heard.received,
                "heardAgeMs": clock.age_ms(member.heard.last_ns),
            }
            for member in state.learned
        ],
        "unlistedPeers": {
            "advertisementsReceived": state.unlisted.received,
            "heardAgeMs": clock.age_ms(state.unlisted.last_ns),
        },
        "checks": [
            {"name": check["name"], "weight": check["weight"]} for check in router["checks"]
        ],
    }


def _timers(router: Mapping[str, Any], state: RouterState, clock: Clock) -> Dump:
    version, interval_ns = router["version"], router["advertisementIntervalNs"]
    priority = state.effective_priority
    learned = (member.heard for member in state.learned)
    heard_ns = max(peer.last_ns for peer in (*state.peers, state.unlisted, *learned))
    return {
        "advertisementIntervalMs": interval_ns / 1e6,
        "skewMs": skew_time_ns(version, priority, interval_ns) / 1e6,
        "activeDownIntervalMs": active_down_interval_ns(
            version, priority, interval_ns, router["downAdvertisements"]
        )
        / 1e6,
        "sentAgeMs": clock.age_ms(state.last_sent_ns),
        "heardAgeMs": clock.age_ms(heard_ns),
    }


def _authentication(authentication: Mapping[str, Any]) -> Dump:
    named = {
        key: authentication[key]
        for key in ("type", "keyRef", "mode", "electionKey")
        if key in authentication
    }
    if "keys" in authentication:
        named["keyIds"] = [key["id"] for key in authentication["keys"]]
        named["activeKeyId"] = authentication["active"]
    return named


def _conflicts(state: RouterState, clock: Clock) -> Dump:
    last = state.last_conflict
    return {
        "count": state.conflicts,
        "last": {
            "address": address_text(last.address),
            "mac": last.mac.hex(":"),
            "ageMs": clock.age_ms(last.seen_ns),
        }
        if last
        else None,
    }


def _check(check: CheckView) -> Dump:
    mean_ms = check.duration_sum_s * 1000 / check.duration_count if check.duration_count else None
    return {
        "name": check.name,
        "decided": check.decided,
        "passing": check.passing,
        "since": rfc3339(check.since_s) if check.since_s else None,
        "message": check.message,
        "runs": check.duration_count,
        "meanMs": round(mean_ms, 2) if mean_ms is not None else None,
    }
