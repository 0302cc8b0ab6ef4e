"""The NodeConfig's status: what this node reports, and when it is written.

An unreachable API server delays it and nothing else; afterwards the newest state is written, with
what happened meanwhile.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from vrrp.constants import State
from vrrp_api.bounds import NODE_CONFIG_STATUS, bounded
from vrrp_api.features import FEATURES
from vrrp_api.lease import lease_name
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
from vrrp_speaker.agent.api_client import ApiClient, ApiError
from vrrp_speaker.agent.not_understood import NotUnderstood
from vrrp_speaker.agent.status_pace import WritePace
from vrrp_speaker.agent.view import HeardRouter, NodeView, address_text, routers_heard
from vrrp_speaker.shared_state.values import PastTransition, RouterState

_log = logging.getLogger(__name__)
_COALESCE_S = 0.03
_NO_LEASE = (403, 404)
"""Answers that another try would not change: no right, or no namespace."""
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


class StatusWriter:
    """Writes the newest status when it differs from what was written.

    Between, a heartbeat says that it is still so: a Lease is renewed in the namespace that
    ``lease_namespace`` returns, or, where that is None or a Lease is refused, the status written.
    So it is where the API server has another one than was written: an older write that came late,
    out of a connection that was given up, or a copy of before that was restored.
    """

    def __init__(
        self,
        client: ApiClient,
        node: str,
        current: Callable[[], NodeConfigStatus],
        lease_namespace: Callable[[], str | None],
    ) -> None:
        self._client = client
        self._node = node
        self._current = current
        self._lease_namespace = lease_namespace
        self._lease_refused = False
        self._pace = WritePace(random.random)
        self._changed = threading.Event()
        self._stopping = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Write in a thread of its own."""
        threading.Thread(target=self._run, name="status", daemon=True).start()

    def changed(self) -> None:
        """Ask for a write soon."""
        self._changed.set()

    def reported(self, time: str) -> None:
        """Note the time of the status that the API server has; empty: it has none."""
        self._pace.reported(time)

    def stop(self, patience_s: float) -> None:
        """Try one last write and end."""
        self._stopping = True
        self._changed.set()
        self._ended.wait(patience_s)

    def _run(self) -> None:
        while True:
            stopping = self._stopping
            status = self._current()
            wait_s = self._pace.wait_s(status, time.monotonic())
            if (stopping and self._pace.is_known(status)) or not wait_s:
                self._write(status)
                wait_s = self._pace.wait_s(status, time.monotonic())
            if stopping:
                self._ended.set()
                return
            if self._changed.wait(wait_s) and not self._stopping:
                time.sleep(_COALESCE_S)  # a failover changes several things at once
            self._changed.clear()

    def _write(self, status: NodeConfigStatus) -> None:
        if self._renew_lease(status):
            return
        try:
            fitting = bounded(NODE_CONFIG_STATUS, status.to_object())
            self._client.apply_status(self._node, fitting)
        except ApiError as error:
            lasts = self._pace.failed(status, time.monotonic())
            # 404: the operator has not made the object yet.
            if lasts and error.status != 404:
                _log.warning("status not written", extra={"error": str(error)})
        else:
            self._pace.wrote(status, time.monotonic())

    def _renew_lease(self, status: NodeConfigStatus) -> bool:
        """Return whether a heartbeat was due, and a Lease is it."""
        namespace, now_s = self._lease_namespace(), time.monotonic()
        if namespace is None or lease_name(self._node) is None:
            return False
        if not (self._pace.is_there and self._pace.tells_nothing(status, now_s)) or self._stopping:
            return False
        try:
            self._client.renew_lease(namespace, self._node, status.heartbeat_time)
        except ApiError as error:
            if error.status not in _NO_LEASE:
                # A server that is away or overloaded is not to be given a dearer write instead.
                self._pace.failed(status, time.monotonic())
                return True
            if not self._lease_refused:
                _log.warning("Lease refused: the status is written", extra={"error": str(error)})
            self._lease_refused = True
            return False
        self._lease_refused = False
        self._pace.beat(status, time.monotonic())
        return True
