"""What clients know of one election: whose announcement each of them heard last.

Whoever yields makes itself heard before, so the holder announces, and clients that went to the one
that yielded go to the holder. What the holder cannot know of, only its periodic announcement puts
right, which is not simulated: one that yielded unheard, and who could not be reached meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import SECOND
from tests.simulation.timeline import OracleViolation

from vrrp.actions import StateChanged
from vrrp.constants import State


class Clients:
    """Looks when told to; ``gone`` says whether a node counts as gone."""

    def __init__(self, lan: SimulatedLan, settle_ns: int, gone: Callable[[int], bool]) -> None:
        self._lan = lan
        self._settle_ns = settle_ns
        self._gone = gone
        self._gave_way_ns: dict[int, int] = {}
        self._mistaken_ns: dict[tuple[int, int], int] = {}

    def on_transition(self, now_ns: int, node: int, change: StateChanged) -> None:
        """Note who yielded, unless a holder could not hear it."""
        self._gave_way_ns.pop(node, None)
        if change.before is State.ACTIVE:
            holders = [other.index for other in self._active() if other.index != node]
            if all((node, holder) not in self._lan.blocked for holder in holders):
                self._gave_way_ns[node] = now_ns

    def check(self, now_ns: int) -> None:
        """Nobody goes for long to one that yielded."""
        nodes = self._lan.nodes
        active = [node.index for node in self._active()]
        self._gave_way_ns = {i: at for i, at in self._gave_way_ns.items() if _runs(nodes[i])}
        mistaken = {
            (client.index, active[0])
            for client in nodes
            if len(active) == 1 and self._is_mistaken(client.index, active[0])
        }
        self._mistaken_ns = {p: self._mistaken_ns.get(p, now_ns) for p in sorted(mistaken)}
        for (client_index, holder), since_ns in self._mistaken_ns.items():
            if now_ns - since_ns > self._settle_ns:
                seconds = (now_ns - since_ns) / SECOND
                raise OracleViolation(
                    f"node{holder} has the addresses, and the client beside node{client_index}"
                    f" heard node{self._lan.told.get(client_index)} last, for {seconds} s"
                )

    def _is_mistaken(self, client: int, holder: int) -> bool:
        """Return whether a client goes to one that yielded, and could know better."""
        lan = self._lan
        told = lan.told.get(client, holder)
        yielded_ns = self._gave_way_ns.get(told)
        if told == holder or yielded_ns is None or self._gone(holder) or self._gone(client):
            return False
        if lan.missed_ns.get((holder, client), -1) >= yielded_ns:
            return False
        blocked = lan.blocked if lan.clients_blocked is None else lan.clients_blocked
        return (holder, client) not in blocked

    def _active(self) -> list[SimulatedNode]:
        return [node for node in self._lan.nodes if node.state is State.ACTIVE]


def _runs(node: SimulatedNode) -> bool:
    return node.router is not None and not node.leaving
