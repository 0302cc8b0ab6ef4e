"""What a node reports of its NodeConfig: states, past, checks, and what goes against them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast


@dataclass(frozen=True, slots=True)
class Transition:
    """One state change: RFC 3339 time, from, to, reason.

    ``sequence`` counts the changes of all routers of the node since its boot, from 1; 0 where a
    speaker does not say.
    """

    time: str
    before: str
    after: str
    reason: str
    sequence: int = 0

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        said = {"time": self.time, "from": self.before, "to": self.after, "reason": self.reason}
        return {"sequence": self.sequence, **said} if self.sequence else said


@dataclass(frozen=True, slots=True)
class Conflict:
    """The host outside the election that was last seen with an address of it; RFC 3339 time."""

    address: str
    mac: str
    time: str

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"address": self.address, "mac": self.mac, "time": self.time}


@dataclass(frozen=True, slots=True)
class ForeignRouter:
    """The router outside the election that last used its virtual router ID; RFC 3339 time."""

    source: str
    priority: int
    time: str

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"source": self.source, "priority": self.priority, "time": self.time}


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """Another router of the election that was heard since this node was told of the election.

    ``node`` is None for a member that the node's list does not have. ``heard``: it advertises now,
    and began to at ``since``; otherwise that is when it was last heard. RFC 3339 times.
    """

    address: str
    node: str | None
    heard: bool
    since: str

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        named = {} if self.node is None else {"node": self.node}
        return {"address": self.address, **named, "heard": self.heard, "since": self.since}


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """One Virtual Router as its node reports it."""

    name: str
    virtual_ip_generation: int
    state: str
    since: str
    effective_priority: int
    interface: str | None
    faults: tuple[str, ...]
    transitions: int
    last_transition: Transition | None
    conflict: Conflict | None = None
    foreign: ForeignRouter | None = None
    history: tuple[Transition, ...] = ()
    """The newest transitions by sequence, those into and out of Active above all."""
    peers_heard: tuple[PeerHeard, ...] = ()
    holders: tuple[str, ...] = ()
    """Who has the addresses, as far as this node knows: names of nodes, addresses of others."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """One check's result on a node."""

    name: str
    passing: bool
    since: str
    message: str


_Entry = TypeVar("_Entry", RouterStatus, CheckStatus)


@dataclass(frozen=True, slots=True)
class NodeConfigStatus:
    """What a speaker reports; ``config_source`` is API, Cache or File."""

    observed_generation: int
    heartbeat_time: str
    version: str
    engine_restarts: int
    config_source: str
    virtual_routers: tuple[RouterStatus, ...]
    checks: tuple[CheckStatus, ...]
    features: tuple[str, ...] = ()
    """What the speaker knows beyond what every version does."""

    def to_object(self) -> dict[str, Any]:
        """Return the API form of the status."""
        return {
            "observedGeneration": self.observed_generation,
            "heartbeatTime": self.heartbeat_time,
            "speaker": {
                "version": self.version,
                "engineRestarts": self.engine_restarts,
                "configSource": self.config_source,
                "features": list(self.features),
            },
            "virtualRouters": [_router_status_object(router) for router in self.virtual_routers],
            "checks": [
                {
                    "name": check.name,
                    "passing": check.passing,
                    "since": check.since,
                    "message": check.message,
                }
                for check in self.checks
            ],
        }


def _router_status_object(router: RouterStatus) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": router.name,
        "virtualIPGeneration": router.virtual_ip_generation,
        "state": router.state,
        "since": router.since,
        "effectivePriority": router.effective_priority,
        "faults": list(router.faults),
        "transitions": router.transitions,
    }
    if router.interface is not None:
        item["interface"] = router.interface
    if router.last_transition is not None:
        item["lastTransition"] = router.last_transition.to_object()
    if router.history:
        item["history"] = [transition.to_object() for transition in router.history]
    if router.peers_heard:
        item["peersHeard"] = [peer.to_object() for peer in router.peers_heard]
    if router.holders:
        item["holders"] = list(router.holders)
    if router.conflict is not None:
        item["conflict"] = router.conflict.to_object()
    if router.foreign is not None:
        item["foreign"] = router.foreign.to_object()
    return item


class StatusMemory:
    """Entries of a node's last status: one that did not change is read once, and the same value."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Mapping[str, Any], RouterStatus | CheckStatus]] = {}
        self._now: dict[str, tuple[Mapping[str, Any], RouterStatus | CheckStatus]] = {}

    def begin(self) -> None:
        """Begin to read another status; what is not in it is forgotten with the one after."""
        self._known, self._now = self._now, {}

    def read(self, item: Mapping[str, Any], read: Callable[[Mapping[str, Any]], _Entry]) -> _Entry:
        """Return what ``read`` makes of an entry, or made of an equal one."""
        key = f"{read.__name__} {item.get('name', '')}"
        known = self._known.get(key)
        entry = known[1] if known is not None and known[0] == item else read(item)
        self._now[key] = (item, entry)
        return cast("_Entry", entry)  # as the key says


def parse_node_config_status(
    obj: Mapping[str, Any], memory: StatusMemory | None = None
) -> NodeConfigStatus | None:
    """Read a NodeConfig's status; None while no speaker has reported.

    Lenient: a speaker of another version may say less or more, and the API server has checked the
    types against the schema. ``memory`` is of the node's statuses before.
    """
    status = obj.get("status") or {}
    if not status.get("heartbeatTime"):
        return None
    speaker = status.get("speaker") or {}
    memory = memory or StatusMemory()
    memory.begin()
    return NodeConfigStatus(
        observed_generation=status.get("observedGeneration", 0),
        heartbeat_time=status["heartbeatTime"],
        version=speaker.get("version", ""),
        engine_restarts=speaker.get("engineRestarts", 0),
        config_source=speaker.get("configSource", ""),
        virtual_routers=tuple(
            memory.read(item, _router_status) for item in status.get("virtualRouters") or ()
        ),
        checks=tuple(memory.read(item, _check_status) for item in status.get("checks") or ()),
        features=tuple(speaker.get("features") or ()),
    )


def _check_status(item: Mapping[str, Any]) -> CheckStatus:
    return CheckStatus(
        name=item.get("name", ""),
        passing=item.get("passing", False),
        since=item.get("since", ""),
        message=item.get("message", ""),
    )


def _router_status(item: Mapping[str, Any]) -> RouterStatus:
    last, conflict, foreign = (
        item.get(field) for field in ("lastTransition", "conflict", "foreign")
    )
    return RouterStatus(
        name=item.get("name", ""),
        virtual_ip_generation=item.get("virtualIPGeneration", 0),
        state=item.get("state", ""),
        since=item.get("since", ""),
        effective_priority=_priority(item.get("effectivePriority", 0)),
        interface=item.get("interface"),
        faults=tuple(item.get("faults") or ()),
        transitions=item.get("transitions", 0),
        last_transition=_transition(last) if last else None,
        conflict=_conflict(conflict) if conflict else None,
        foreign=_foreign(foreign) if foreign else None,
        history=tuple(_transition(past) for past in item.get("history") or ()),
        peers_heard=tuple(_peer_heard(peer) for peer in item.get("peersHeard") or ()),
        holders=tuple(item.get("holders") or ()),
    )


def _priority(said: int) -> int:
    """Return a priority as there are: others' priorities are made from it."""
    return min(254, max(0, said))


def _conflict(item: Mapping[str, Any]) -> Conflict:
    return Conflict(item.get("address", ""), item.get("mac", ""), item.get("time", ""))


def _foreign(item: Mapping[str, Any]) -> ForeignRouter:
    return ForeignRouter(item.get("source", ""), item.get("priority", 0), item.get("time", ""))


def _peer_heard(item: Mapping[str, Any]) -> PeerHeard:
    return PeerHeard(
        item.get("address", ""), item.get("node"), item.get("heard", False), item.get("since", "")
    )


def _transition(item: Mapping[str, Any]) -> Transition:
    time, before, after, reason = (
        item.get(field, "") for field in ("time", "from", "to", "reason")
    )
    return Transition(time, before, after, reason, item.get("sequence", 0))
