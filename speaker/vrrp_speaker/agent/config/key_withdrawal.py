"""An election's own key that is taken away at once is given up in steps (pure).

An operator takes it away in steps itself, Sign and Accept being between. One of an earlier version
does not know it, nor do kinds of one, which drop it from what they hold: then every node is told to
sign with the plain key, each at another moment, and until the last of them is they would not hear
each other; and where speakers of an earlier version begin, these know the plain key only. So a node
says all twice for a while, signed with the one and the other, then signs with the plain key; it
accepts both all the time.
"""

from __future__ import annotations

from dataclasses import replace

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig

SIGNED_TWICE = "Both"
"""A stage that the engine knows and no operator asks for."""
SIGNS_ON_S = 5.0
"""Longer than nodes are apart in being told. Whoever knows one of the two keys hears it so long."""


class KeyWithdrawal:
    """Remembers whose key was taken away; the caller has the clock."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        """Until when each election's key signs on."""
        self.due_s: float | None = None
        """When something else is to run than what ``softened`` said last."""

    def note(self, before: NodeConfig | None, config: NodeConfig, now_s: float) -> None:
        """Note which keys a configuration takes away from the one before it."""
        old = {r.name: r for r in before.virtual_routers} if before is not None else {}
        self._until_s = {
            router.name: self._until_s.get(router.name, now_s + SIGNS_ON_S)
            for router in config.virtual_routers
            if _is_plain(router)
            and (router.name in self._until_s or _takes_away(old.get(router.name), router))
        }

    def softened(self, config: NodeConfig, now_s: float) -> NodeConfig:
        """Return what is to run now of a configuration.

        That counts as applied: a node that knows only the plain key is heard, and hears this one.
        """
        signing = [until_s for until_s in self._until_s.values() if now_s < until_s]
        self.due_s = min(signing, default=None)
        if not self._until_s:
            return config
        routers = tuple(self._eased(router, now_s) for router in config.virtual_routers)
        return replace(config, virtual_routers=routers)

    def take(self, now_s: float) -> bool:
        """Return whether something else is to run by now than what ``softened`` said last."""
        return self.due_s is not None and now_s >= self.due_s

    def _eased(self, router: VirtualRouterConfig, now_s: float) -> VirtualRouterConfig:
        until_s = self._until_s.get(router.name)
        if until_s is None:
            return router
        stage = SIGNED_TWICE if now_s < until_s else "Accept"
        return replace(router, election=router.election.with_own_key(stage))


def _is_plain(router: VirtualRouterConfig) -> bool:
    """Return whether a router has no key of its own, and could have one."""
    election = router.election
    said = election.authentication
    if said is None or election.version != 3 or election.transport.external_peers:
        return False
    return (said.type, said.mode, said.election_key) == ("HMAC", "Enforce", None)


def _takes_away(before: VirtualRouterConfig | None, router: VirtualRouterConfig) -> bool:
    said = before.election.authentication if before is not None else None
    plain = router.election.authentication
    if said is None or plain is None or said.election_key not in ("Sign", "Require"):
        return False
    return (said.type, said.key_ref) == (plain.type, plain.key_ref)
