"""What must hold while membership changes, whoever is told of what, and when."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

from tests.simulation.lan import SimulatedLan
from tests.simulation.machine import Machine
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import SECOND
from tests.simulation.timeline import OracleViolation

from vrrp.actions import StateChanged
from vrrp.constants import State

LOOK_NS = SECOND // 2
YIELD_NS = 150 * SECOND
"""Within this whoever is to leave and cannot be told has yielded to one that is told at all."""


class MessagesOracles:
    """Looks every half second, and at each transition.

    ``settle_ns``: how long two that hear each other may both be Active, and a healthy member wait.
    """

    def __init__(self, lan: SimulatedLan, machines: list[Machine], settle_ns: int) -> None:
        self._lan = lan
        self._machines = machines
        self._settle_ns = settle_ns
        self._together_ns: dict[tuple[int, int], int] = {}
        self._healthy_ns: dict[int, int] = {}
        self._served_ns: dict[int, int] = {}
        self._outstaying_ns: dict[str, int] = {}
        self._gave_way: set[int] = set()
        self._mistaken_ns: dict[int, int] = {}
        self.takeovers: list[tuple[int, int]] = []
        self.wanted: Callable[[], frozenset[str]] = frozenset
        """Who is to take part in the end, as an operator has it."""
        lan.watchers.append(self._on_transition)
        self._look(lan.now_ns)

    def _on_transition(self, now_ns: int, node: int, change: StateChanged) -> None:
        if change.after is State.ACTIVE:
            self.takeovers.append((now_ns, node))
        if change.before is State.ACTIVE:
            self._gave_way.add(node)
        for machine in self._machines:
            if any(slot.index == node for slot in machine.slots):
                machine.changed(now_ns, change)
        self._note(now_ns)

    def _look(self, now_ns: int) -> None:
        self._note(now_ns)
        self.check_everybody_lists_everybody()
        self._check_leavers_yield(now_ns)
        self._check_clients(now_ns)
        self._lan.after(LOOK_NS, self._look)

    # Who lists whom ---------------------------------------------------------------------

    def check_everybody_lists_everybody(self) -> None:
        """Any two that run the election list each other, but for one that was gone."""
        running = [slot for machine in self._machines for slot in machine.slots if _runs(slot)]
        for one, other in permutations(running, 2):
            if other.index in one.config.peers or self._gone(one.index):
                continue
            raise OracleViolation(
                f"node{one.index} (priority {one.config.priority}) does not list node{other.index}"
                f" (priority {other.config.priority}), and both run the election"
            )

    def _check_leavers_yield(self, now_ns: int) -> None:
        """Whoever is to leave is not Active for long beside one that could be, and can be told."""
        wanted = self.wanted()
        able = [
            m.slot
            for m in self._machines
            if m.name in wanted and m.slot is not None and not m.cut_off and m.slot.may_be_active
        ]
        outstaying = {
            m.name
            for m in self._machines
            if m.active
            and m.name not in wanted
            and m.slot is not None
            and any(self._connected(m.slot.index, other.index) for other in able)
        }
        self._outstaying_ns = {n: self._outstaying_ns.get(n, now_ns) for n in outstaying}
        for name, since_ns in self._outstaying_ns.items():
            if now_ns - since_ns > YIELD_NS:
                raise OracleViolation(f"{name} is to leave, and is Active yet")

    # What clients know ------------------------------------------------------------------

    def _check_clients(self, now_ns: int) -> None:
        """Clients beside a member that gave way are not long mistaken about who holds it now."""
        nodes = self._lan.nodes
        active = [node.index for node in nodes if _active(node)]
        self._gave_way = {i for i in self._gave_way if _runs(nodes[i]) and i not in active}
        mistaken = {
            index
            for index in self._gave_way
            for holder in active
            if len(active) == 1
            and self._connected(holder, index)
            and self._lan.told.get(index) != holder
            and not (self._gone(holder) or self._gone(index))
        }
        self._mistaken_ns = {i: self._mistaken_ns.get(i, now_ns) for i in sorted(mistaken)}
        for index, since_ns in self._mistaken_ns.items():
            if now_ns - since_ns > self._settle_ns:
                raise OracleViolation(
                    f"node{active[0]} has the addresses, and the client beside node{index} heard"
                    f" node{self._lan.told.get(index)} last"
                )

    # Who is Active ----------------------------------------------------------------------

    def _note(self, now_ns: int) -> None:
        active = [node for node in self._lan.nodes if _active(node)]
        together = {
            (one.index, other.index)
            for one, other in combinations(active, 2)
            if self._connected(one.index, other.index)
            and not (self._gone(one.index) or self._gone(other.index))
        }
        self._together_ns = {pair: self._together_ns.get(pair, now_ns) for pair in together}
        for (one_index, other_index), since_ns in self._together_ns.items():
            if now_ns - since_ns > self._settle_ns:
                seconds = (now_ns - since_ns) / SECOND
                raise OracleViolation(
                    f"node{one_index} and node{other_index} are Active for {seconds} s"
                )
        self._note_served(now_ns)

    def _gone(self, index: int) -> bool:
        """Whether a node was out of the operator's reach for so long that it counts as gone.

        Where elections are not signed it does not hear who joined meanwhile, until it is told.
        """
        return next(m.was_gone for m in self._machines if m.slots[0].index in (index, index - 1))

    def _connected(self, one: int, other: int) -> bool:
        blocked = self._lan.blocked
        return (one, other) not in blocked and (other, one) not in blocked

    def _note_served(self, now_ns: int) -> None:
        """Whoever could be Active for so long is, or hears somebody."""
        nodes = self._lan.nodes
        active = [node.index for node in nodes if _active(node)]
        for node in nodes:
            if not (_runs(node) and node.may_be_active):
                self._healthy_ns.pop(node.index, None)
                continue
            self._healthy_ns.setdefault(node.index, now_ns)
            served = any(a == node.index or self._connected(a, node.index) for a in active)
            if served:
                self._served_ns[node.index] = now_ns
            since_ns = max(self._healthy_ns[node.index], self._served_ns.get(node.index, 0))
            if now_ns - since_ns > self._settle_ns:
                seconds = (now_ns - since_ns) / SECOND
                raise OracleViolation(
                    f"node{node.index} could be Active, and nobody is for {seconds} s"
                )


def _runs(node: SimulatedNode) -> bool:
    return node.router is not None and not node.leaving


def _active(node: SimulatedNode) -> bool:
    return node.state is State.ACTIVE
