"""The NodeConfig's status: what this node reports, made from one look at it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from vrrp.constants import State
from vrrp_api.features import FEATURES
from vrrp_api.node_status import (
    CheckStatus,
    Conflict,
    ForeignRouter,
    NodeConfigStatus,
    PeerHeard,
    RouterStatus,
    Transition,
)
from vrrp_speaker import __version__, shared_state
from vrrp_speaker.agent.config.not_understood import NotUnderstood
from vrrp_speaker.agent.view import HeardRouter, NodeView, address_text, routers_heard
from vrrp_speaker.shared_state.values import PastTransition, RouterState

_TOLD = 1024
"""Characters of a message; the schema has room for what earlier versions wrote."""
_TENURES, _OTHERS = 10, 4
"""Five takeovers are told by as many transitions into Active and as many out of it."""
_TENURES_OF_NODE, _FEWEST_TENURES = 640, 4


def rfc3339(seconds: float) -> str:
    """Return wall time as RFC 3339 with microseconds, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moments(state: RouterState) -> tuple[int, ...]:
    strangers = state.last_conflict, state.last_foreign
    return (state.since_ns, *(stranger.seen_ns for stranger in strangers if stranger is not None))


def _conflict(last: shared_state.Conflict | None, moment: Callable[[int], str]) -> Conflict | None:
    if last is None:
        return None
    return Conflict(address_text(last.address), last.mac.hex(":"), moment(last.seen_ns))


def _foreign(
    last: shared_state.ForeignRouter | None, moment: Callable[[int], str]
) -> ForeignRouter | None:
    if last is None:
        return None
    return ForeignRouter(address_text(last.source), last.priority, moment(last.seen_ns))


def past_transition(past: PastTransition) -> Transition:
    """Return the API form; the engine read the clock, so every agent tells the same moment."""
    time_text = rfc3339(past.wall_ns / 1e9)
    return Transition(time_text, past.before, past.after, past.reason, past.sequence)


def _bounded(history: Sequence[Transition], routers: int) -> tuple[Transition, ...]:
    """Return the newest ones: of each kind so many, fewer on a node with many routers."""
    tenures = [t for t in history if State.ACTIVE in (t.before, t.after)]
    others = [t for t in history if State.ACTIVE not in (t.before, t.after)]
    most = min(_TENURES, max(_FEWEST_TENURES, _TENURES_OF_NODE // routers))
    told = {t.sequence for t in (*tenures[-most:], *others[-_OTHERS:])}
    return tuple(t for t in history if t.sequence in told)


def _router(
    view: NodeView,
    router: Mapping[str, Any],
    state: RouterState,
    moment: Callable[[int], str],
    heard: tuple[PeerHeard, ...],
) -> RouterStatus:
    own = (view.node,) if state.state == State.ACTIVE else ()
    history = [past_transition(past) for past in state.history]
    return RouterStatus(
        name=router["name"],
        virtual_ip_generation=router["virtualIPGeneration"],
        state=state.state,
        since=moment(state.since_ns),
        effective_priority=state.effective_priority,
        interface=router["interface"] or None,
        faults=(*_not_understood(view, router["name"]), *view.faults(router, state)),
        transitions=state.transitions,
        last_transition=history[-1] if history else None,
        conflict=_conflict(state.last_conflict, moment),
        foreign=_foreign(state.last_foreign, moment),
        history=_bounded(history, len(view.program["routers"]) if view.program else 1),
        peers_heard=heard,
        holders=(*own, *(peer.node or peer.address for peer in heard if peer.heard)),
    )


def _not_understood(view: NodeView, name: str) -> tuple[str, ...]:
    found = view.not_understood.get(name)
    return (found.fault,) if found is not None else ()


def _not_running(name: str, found: NotUnderstood, since: str) -> RouterStatus:
    """Return what is told of a router that cannot be read and did not run before."""
    return RouterStatus(
        name=name,
        virtual_ip_generation=0,
        state=State.FAULT,
        since=since,
        effective_priority=0,
        interface=None,
        faults=(found.fault,),
        transitions=0,
        last_transition=None,
    )


def _peer_heard(peer: HeardRouter, known: PeerHeard | None, now_s: float, now_ns: int) -> PeerHeard:
    """Return what is told of a peer; the same as before until it begins or ceases to speak."""
    if known is not None and (known.node, known.heard) == (peer.node, peer.speaks):
        return known
    since_s = now_s if peer.speaks else now_s - (now_ns - peer.last_ns) / 1e9
    return PeerHeard(peer.address, peer.node, peer.speaks, rfc3339(since_s))


class StatusBuilder:
    """Turns views into statuses; remembers wall times so that equal states give equal texts."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, int], str] = {}
        self._heard: dict[tuple[str, str], PeerHeard] = {}

    def build(self, view: NodeView, now_s: float, now_ns: int) -> NodeConfigStatus:
        """Return the status; ``now_s`` is wall time, ``now_ns`` CLOCK_MONOTONIC at that moment."""
        routers, before = [], self._heard
        self._heard = {}
        reported = view.reported()
        for router, state in reported:
            name = router["name"]
            moment = partial(self._text, name, now_s=now_s, now_ns=now_ns)
            heard = {
                (name, peer.address): _peer_heard(
                    peer, before.get((name, peer.address)), now_s, now_ns
                )
                for peer in routers_heard(router, state, now_ns)
            }
            self._heard.update(heard)
            routers.append(_router(view, router, state, moment, tuple(heard.values())))
        current = {(r["name"], at) for r, s in reported for at in _moments(s)}
        running = {router["name"] for router, _ in reported}
        for name, found in view.not_understood.items():
            if name not in running:
                since = self._text(name, found.since_ns, now_s=now_s, now_ns=now_ns)
                routers.append(_not_running(name, found, since))
                current.add((name, found.since_ns))
        self._texts = {key: text for key, text in self._texts.items() if key in current}
        engine = view.engine
        return NodeConfigStatus(
            observed_generation=engine.generation if engine is not None else 0,
            heartbeat_time=rfc3339(now_s),
            version=__version__,
            engine_restarts=max(0, engine.engine_starts - 1) if engine is not None else 0,
            config_source=view.config_source,
            features=FEATURES,
            virtual_routers=tuple(routers),
            checks=tuple(
                CheckStatus(
                    check.name, check.passing, rfc3339(check.since_s), check.message[:_TOLD]
                )
                for check in view.checks
                if check.decided
            ),
        )

    def _text(self, name: str, at_ns: int, *, now_s: float, now_ns: int) -> str:
        key = (name, at_ns)
        if key not in self._texts:
            self._texts[key] = rfc3339(now_s - (now_ns - at_ns) / 1e9)
        return self._texts[key]
