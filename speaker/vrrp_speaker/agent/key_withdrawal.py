"""An election's own key that is taken away at once is given up in steps (pure).

An operator takes it away in steps itself, Sign and Accept being between. One of an earlier version
does not know it, nor do kinds of one, which drop it from what they hold: then every node is told to
sign with the plain key, each at another moment, and until the last of them is they would not hear
each other. So a node signs on with the election's key for a while and accepts both, then signs with
the plain one and still accepts both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig

SIGNS_ON_S = 1.5
"""As long as nodes are apart in being told, and no longer: an earlier version may run somewhere by
then, and hears the plain key only, whoever is to hand over to it."""


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """Until when the key signs on, and the generation that is applied only after that."""

    until_s: float
    generation_before: int


class KeyWithdrawal:
    """Remembers whose key was taken away; the caller has the clock."""

    def __init__(self) -> None:
        self._withdrawn: dict[str, _Withdrawn] = {}
        self._due_s: float | None = None

    def note(self, before: NodeConfig | None, config: NodeConfig, now_s: float) -> None:
        """Note which keys a configuration takes away from the one before it."""
        old = {r.name: r for r in before.virtual_routers} if before is not None else {}
        generation = before.generation if before is not None else 0
        self._withdrawn = {
            router.name: self._withdrawn.get(
                router.name, _Withdrawn(now_s + SIGNS_ON_S, generation)
            )
            for router in config.virtual_routers
            if _is_plain(router)
            and (router.name in self._withdrawn or _takes_away(old.get(router.name), router))
        }

    def softened(self, config: NodeConfig, now_s: float) -> NodeConfig:
        """Return what is to run now of a configuration.

        It has the generation before as long as a node that knows only the plain key would not be
        heard, or not hear this one: until then the operator must not take it for applied.
        """
        signing = [w for w in self._withdrawn.values() if now_s < w.until_s]
        self._due_s = min((withdrawn.until_s for withdrawn in signing), default=None)
        if not self._withdrawn:
            return config
        early = [withdrawn.generation_before for withdrawn in signing]
        return replace(
            config,
            generation=min([config.generation, *early]),
            virtual_routers=tuple(self._eased(r, now_s) for r in config.virtual_routers),
        )

    def take(self, now_s: float) -> bool:
        """Return whether something else is to run by now than what ``softened`` said last."""
        return self._due_s is not None and now_s >= self._due_s

    def _eased(self, router: VirtualRouterConfig, now_s: float) -> VirtualRouterConfig:
        withdrawn = self._withdrawn.get(router.name)
        if withdrawn is None:
            return router
        stage = "Sign" if now_s < withdrawn.until_s else "Accept"
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
