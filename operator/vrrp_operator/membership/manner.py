"""How members speak, and in which steps they can change it while they hear one another (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vrrp_api.election import ELECTION_KEY_STAGES, PLAIN, Authentication, ElectionSpec
from vrrp_api.node_config import VirtualRouterConfig

_MODES = ("ReceiveOnly", "Permissive", "Enforce")


@dataclass(frozen=True, slots=True)
class Manner:
    """What decides whether two members hear each other; authentication is always said."""

    virtual_router_id: int
    family: int
    election: ElectionSpec

    @property
    def authentication(self) -> Authentication:
        """How advertisements are signed."""
        return self.election.authentication or PLAIN

    def signed(self, authentication: Authentication) -> Manner:
        """Return the same with another authentication."""
        return replace(self, election=self.election.authenticated(authentication))

    def applied_to(self, router: VirtualRouterConfig) -> VirtualRouterConfig:
        """Return a router that speaks so."""
        vrid = self.virtual_router_id
        return replace(router, virtual_router_id=vrid, election=self.election)


def manner_of(router: VirtualRouterConfig) -> Manner:
    """Return how a router is asked to speak."""
    # Whether and when a better one preempts is nobody else's matter.
    return Manner(router.virtual_router_id, router.family, router.election)


def same(one: Manner, other: Manner) -> bool:
    """Return whether two speak alike in all that others hear."""
    return _heard(one) == _heard(other)


def _heard(manner: Manner) -> object:
    spec, transport = manner.election, manner.election.transport
    interval_ns = spec.advertisement_interval_ns if spec.version == 2 else 0
    return (
        manner.virtual_router_id,
        manner.family,
        spec.version,
        interval_ns,
        transport.multicast,
        transport.ttl_send,
        transport.ttl_accept_minimum,
        manner.authentication,
    )


def compatible(one: Manner, other: Manner) -> bool:
    """Return whether two members that speak so hear each other."""
    return _hears(one, other) and _hears(other, one)


def _hears(receiver: Manner, sender: Manner) -> bool:
    mine, theirs = receiver.election, sender.election
    return (
        receiver.virtual_router_id == sender.virtual_router_id
        and receiver.family == sender.family
        and mine.version == theirs.version
        and mine.transport.multicast == theirs.transport.multicast
        and (
            mine.version == 3 or mine.advertisement_interval_ns == theirs.advertisement_interval_ns
        )
        and theirs.transport.ttl_send >= mine.transport.ttl_accept_minimum
        and _accepts(receiver.authentication, sender.authentication)
    )


def _accepts(receiver: Authentication, sender: Authentication) -> bool:
    """Return whether one takes what another one sends."""
    if sender.type == "None" or (sender.type == "HMAC" and sender.mode == "ReceiveOnly"):
        return receiver.type == "None" or (receiver.type == "HMAC" and receiver.mode != "Enforce")
    if (receiver.type, receiver.key_ref) != (sender.type, sender.key_ref):
        return False
    if sender.election_key in {"Sign", "Require"}:
        return receiver.election_key is not None
    return receiver.election_key != "Require"


def next_manner(current: Manner, wanted: Manner) -> Manner | None:
    """Return what members that all speak as ``current`` are to speak next, to come to ``wanted``.

    None: there is no way on which they would hear one another all the time.
    """
    way = _way(current, wanted)
    return way[0] if way else None


def nearest(manners: Iterable[Manner], wanted: Manner) -> Manner:
    """Return which of several is nearest to what is wanted; equal ones in the order given."""

    def distance(manner: Manner) -> int:
        if same(manner, wanted):
            return -1
        way = _way(manner, wanted)
        return len(way) if way else 99

    return min(manners, key=distance)


def _way(current: Manner, wanted: Manner) -> tuple[Manner, ...]:
    """Return the shortest way from one to another, without the first; empty without one."""
    ways: list[tuple[Manner, ...]] = [()]
    between = [wanted, *_between(current, wanted)]
    reached = [current]
    while ways:
        way = ways.pop(0)
        here = way[-1] if way else current
        for manner in between:
            if manner in reached or not compatible(here, manner):
                continue
            if manner == wanted:
                return (*way, manner)
            reached.append(manner)
            ways.append((*way, manner))
    return ()


def _between(current: Manner, wanted: Manner) -> list[Manner]:
    """Return what may be spoken for a while: never anything weaker than at both ends.

    Two keys are never joined by a time in which nothing is signed.
    """
    keys = {a.key_ref for a in (current.authentication, wanted.authentication) if a.type == "HMAC"}
    if len(keys) != 1:
        return []
    (key,) = keys
    plain_key = [wanted.signed(Authentication("HMAC", key, mode)) for mode in _MODES]
    # Routers outside, and version 2, do not go together with a key of the election's own.
    alone = wanted.election.version == 3 and not wanted.election.transport.external_peers
    base = wanted if alone else current
    if base.election.version != 3 or base.election.transport.external_peers:
        return plain_key
    own = (Authentication("HMAC", key, election_key=stage) for stage in ELECTION_KEY_STAGES)
    return [*plain_key, *(base.signed(authentication) for authentication in own)]
