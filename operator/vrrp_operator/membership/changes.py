"""How an election changes its parameters while it runs (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vrrp_api.node_config import VirtualRouterConfig
from vrrp_operator.membership.facts import Seen
from vrrp_operator.membership.manner import Manner, manner_of, nearest, next_manner, same
from vrrp_operator.membership.waiting import Wait


@dataclass(frozen=True, slots=True)
class Change:
    """How members are to speak now; None: as is wanted.

    ``stays``: who stays while all others leave, as they could not hear one another: one, or, where
    none that is wanted runs it, nobody. None: whoever is wanted.
    """

    manner: Manner | None = None
    stays: tuple[str, ...] | None = None
    waits: tuple[Wait, ...] = ()

    def may_speak(self, router: VirtualRouterConfig) -> bool:
        """Return whether a router can speak so: its addresses decide over which family it does."""
        return self.manner is None or self.manner.family == router.family

    def spoken(self, router: VirtualRouterConfig) -> VirtualRouterConfig:
        """Return a router as it is to speak now."""
        return router if self.manner is None else self.manner.applied_to(router)

    def followed(self, router: VirtualRouterConfig) -> VirtualRouterConfig:
        """Return what a leaver goes on with: as it was, but heard by who is to come after it."""
        alike = self.manner is None or same(manner_of(router), self.manner)
        return router if alike else self.spoken(router)


def change(
    wanted: Mapping[str, VirtualRouterConfig],
    running: Mapping[str, Seen],
    *,
    newcomers_know_keys: bool = True,
) -> Change:
    """Return how to come from what members speak to what is wanted of them.

    One that is late holds up the next step: it may speak yet as it did before the last one.
    """
    spoken = _spoken(running)
    if not wanted or not spoken:
        return Change()
    goal = manner_of(next(iter(wanted.values())))
    alone = len(running) == 1 and running.keys() <= wanted.keys()
    if alone or all(same(manner, goal) for manner in spoken):
        return Change()
    late = [seen for seen in running.values() if not seen.off and not seen.settled]
    if len(spoken) > 1:
        target = nearest(spoken, goal)
        late += [seen for seen in _others(running, target) if seen not in late]
        return Change(target, waits=(_wait(target, goal, late),))
    (current,) = spoken
    target_or_none = next_manner(current, goal)
    # Who was told to leave for this must not be let in again because it has not left yet.
    begun = target_or_none is None and any(
        node in running and running[node].written is None for node in wanted
    )
    if late and not begun:
        return Change(current, waits=(_wait(current, goal, late),))
    if target_or_none is not None:
        return Change(target_or_none)
    keeper = _keeper(wanted, running)
    if keeper is None:
        return _for_newcomers(current, wanted, running, newcomers_know_keys)
    leaving = [node for node in running if node != keeper]
    return Change(current, (keeper,), (Wait.to_restart(_what(current, goal), keeper, leaving),))


def _for_newcomers(
    current: Manner,
    wanted: Mapping[str, VirtualRouterConfig],
    running: Mapping[str, Seen],
    know_keys: bool,
) -> Change:
    """Return how members speak that are all to leave, so that whoever comes can take part first.

    Who has no address of their family holds other addresses: it cannot succeed them, nor harm them.
    """
    goal = manner_of(next(iter(wanted.values())))
    if all(router.family != current.family for router in wanted.values()):
        wait = Wait.to_begin_anew(_what(current, goal), running, wanted)
        return Change(current, (), (wait,))
    plain_key = current.signed(replace(current.authentication, election_key=None))
    step = None if know_keys else next_manner(current, plain_key)
    if step is not None:
        return Change(step)
    return Change(current, waits=(_wait(current, goal, running.values()),))


def _others(running: Mapping[str, Seen], manner: Manner) -> list[Seen]:
    return [s for s in running.values() if s.written and not same(manner_of(s.written), manner)]


def _spoken(running: Mapping[str, Seen]) -> list[Manner]:
    found: list[Manner] = []
    for seen in running.values():
        if seen.written is None or seen.off:
            continue
        manner = manner_of(seen.written)
        if not any(same(manner, other) for other in found):
            found.append(manner)
    return found


def _keeper(wanted: Mapping[str, VirtualRouterConfig], running: Mapping[str, Seen]) -> str | None:
    able = [running[node] for node in wanted if node in running and running[node].written]
    able.sort(key=lambda seen: (not seen.is_active, not seen.fresh))
    return able[0].node if able else None


def _wait(current: Manner, goal: Manner, late: Iterable[Seen]) -> Wait:
    return Wait.to_change(_what(current, goal), late)


def _what(current: Manner, goal: Manner) -> str:
    """Return what changes, in the words of the VirtualIP's fields."""
    spec, other = current.election, goal.election
    said = {
        "virtualRouterID": (current.virtual_router_id, goal.virtual_router_id),
        "the first address's family": (current.family, goal.family),
        "version": (spec.version, other.version),
        "advertisementInterval": (spec.advertisement_interval_ns, other.advertisement_interval_ns),
        "transport.mode": (spec.transport.multicast, other.transport.multicast),
        "transport.ttl": (
            (spec.transport.ttl_send, spec.transport.ttl_accept_minimum),
            (other.transport.ttl_send, other.transport.ttl_accept_minimum),
        ),
        "authentication": (current.authentication, goal.authentication),
    }
    names = [name for name, (before, after) in said.items() if before != after]
    return f"{', '.join(names) or 'the election'} changes"
