"""What must hold of an election while it changes, whoever is told of what, and hears whom.

Whether one hears another is a matter of the two, and of the direction: nobody passes on what he
hears. Where cuts are partial there is no component whose members all know the same; so all that is
claimed of Active routers is claimed of pairs, and of each member by itself. Of a component in which
everybody hears everybody it says: one is Active, and two are not for longer than it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

from tests.simulation.lan import SimulatedLan
from tests.simulation.machine import Machine
from tests.simulation.messages_clients import Clients
from tests.simulation.node import SimulatedNode
from tests.simulation.seat import Seat
from tests.simulation.settings import SECOND, version_of
from tests.simulation.timeline import OracleViolation

from vrrp.actions import StateChanged
from vrrp.authentication import HmacKeys, Stage
from vrrp.constants import State

LOOK_NS = SECOND // 2
YIELD_NS = 150 * SECOND
"""Within this whoever is to leave and cannot be told has yielded to one that is told at all."""


class MessagesOracles:
    """Looks at one election every half second, and at each transition.

    ``settle_ns``: how long one may be Active that hears a better one, and a healthy member wait.
    ``wanted`` returns who is to take part in the end, as an operator has it.
    """

    def __init__(
        self,
        lan: SimulatedLan,
        places: Sequence[tuple[Machine, Seat]],
        settle_ns: int,
        wanted: Callable[[], frozenset[str]],
    ) -> None:
        self._lan = lan
        self._places = places
        self._settle_ns = settle_ns
        self._wanted = wanted
        self._machines = {slot.index: machine for machine, s in places for slot in s.slots}
        self._seats = {slot.index: seat for _, seat in places for slot in seat.slots}
        self._clients = Clients(lan, settle_ns, self._gone)
        self._hears_better_ns: dict[tuple[int, int], int] = {}
        self._healthy_ns: dict[int, int] = {}
        self._served_ns: dict[int, int] = {}
        self._outstaying_ns: dict[str, int] = {}
        self.takeovers: list[tuple[int, int]] = []
        lan.watchers.append(self._on_transition)
        self._look(lan.now_ns)

    def _on_transition(self, now_ns: int, node: int, change: StateChanged) -> None:
        if change.after is State.ACTIVE:
            self.takeovers.append((now_ns, node))
        self._clients.on_transition(now_ns, node, change)
        self._seats[node].changed(now_ns, change)
        self._note(now_ns)

    def _look(self, now_ns: int) -> None:
        self._note(now_ns)
        self.check_everybody_lists_everybody()
        self._check_leavers_yield(now_ns)
        self._clients.check(now_ns)
        self._lan.after(LOOK_NS, self._look)

    # Who lists whom ---------------------------------------------------------------------

    def check_everybody_lists_everybody(self) -> None:
        """Any two that run the election list each other, but for one that was gone.

        Who is gone is listed until its Node is deleted; by its new address where it was alone, was
        given that in place, and fell silent before it took it in.
        """
        running = [node for node in self._lan.nodes if runs(node)]
        for one, other in permutations(running, 2):
            if self._gone(one.index) or self._machines[other.index].is_deleted:
                continue
            listed = other.index in one.config.peers or self._is_listed_elsewhere(one, other)
            if not listed:
                raise OracleViolation(
                    f"node{one.index} (priority {one.config.priority}) does not list"
                    f" node{other.index} (priority {other.config.priority}), and both run the"
                    " election"
                )
            versions = [version_of(self._lan.cluster, node.config) for node in (one, other)]
            if versions[0] != versions[1] and not self._gone(other.index):
                raise OracleViolation(
                    f"node{one.index} and node{other.index} speak versions {versions}"
                )

    def _is_listed_elsewhere(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        """Return whether one lists another at the address that it may just as well have."""
        machine, seat = self._machines[other.index], self._seats[other.index]
        return (
            self._gone(other.index)
            and not other.config.peers
            and machine.may_have_either_address(seat)
            and any(slot.index in one.config.peers for slot in seat.slots)
        )

    def _check_leavers_yield(self, now_ns: int) -> None:
        """Whoever is to leave is not Active for long beside others that could be, and hear it."""
        wanted = self._wanted()
        able = [
            seat.slot
            for machine, seat in self._places
            if machine.name in wanted
            and seat.slot is not None
            and not machine.cut_off
            and seat.slot.may_be_active
        ]
        outstaying = {
            machine.name
            for machine, seat in self._places
            if seat.active
            and machine.name not in wanted
            and not machine.is_deleted
            and seat.slot is not None
            and able
            # An operator does not know about cuts; it may count on any of them.
            and all(self._hear_each_other(seat.slot, other) for other in able)
        }
        self._outstaying_ns = {n: self._outstaying_ns.get(n, now_ns) for n in outstaying}
        for name, since_ns in self._outstaying_ns.items():
            if now_ns - since_ns > YIELD_NS:
                raise OracleViolation(f"{name} is to leave, and is Active yet")

    # Who is Active ----------------------------------------------------------------------

    def _note(self, now_ns: int) -> None:
        active = [node for node in self._lan.nodes if is_active(node)]
        found = {
            (one.index, other.index)
            for one, other in permutations(active, 2)
            if self._should_yield(one, other)
        }
        self._hears_better_ns = {p: self._hears_better_ns.get(p, now_ns) for p in found}
        for (one_index, other_index), since_ns in self._hears_better_ns.items():
            if now_ns - since_ns > self._settle_ns:
                seconds = (now_ns - since_ns) / SECOND
                raise OracleViolation(
                    f"node{one_index} and node{other_index} are Active for {seconds} s"
                )
        self._note_served(now_ns)

    def _should_yield(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        """Return whether of two that are Active one has to hear that the other one is better.

        Where they hear each other, one of them has to, whoever that is just now.
        """
        if not self._passes(other, one):
            return False
        # Elections of their own key know members by signature; others what they were told.
        by_signature = _is_own(one) and _is_own(other)
        if not by_signature and (self._gone(one.index) or self._gone(other.index)):
            return False
        if self._passes(one, other):
            return one.index < other.index
        return (one.priority, one.address) < (other.priority, other.address)

    def _gone(self, index: int) -> bool:
        """Whether a node was out of the operator's reach for so long that it counts as gone."""
        return self._machines[index].was_gone

    def _passes(self, sender: SimulatedNode, receiver: SimulatedNode) -> bool:
        return (sender.index, receiver.index) not in self._lan.blocked

    def _hear_each_other(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        return self._passes(one, other) and self._passes(other, one)

    def _note_served(self, now_ns: int) -> None:
        """Whoever could be Active for so long is, or hears somebody."""
        active = [node for node in self._lan.nodes if is_active(node)]
        for node in self._lan.nodes:
            if not (runs(node) and node.may_be_active):
                self._healthy_ns.pop(node.index, None)
                continue
            self._healthy_ns.setdefault(node.index, now_ns)
            if any(other is node or self._passes(other, node) for other in active):
                self._served_ns[node.index] = now_ns
            since_ns = max(self._healthy_ns[node.index], self._served_ns.get(node.index, 0))
            if now_ns - since_ns > self._settle_ns:
                seconds = (now_ns - since_ns) / SECOND
                raise OracleViolation(
                    f"node{node.index} could be Active, and nobody is for {seconds} s"
                )


def runs(node: SimulatedNode) -> bool:
    """Return whether a node runs the election, and is not about to end."""
    return node.router is not None and not node.leaving


def is_active(node: SimulatedNode) -> bool:
    """Return whether a node is Active."""
    return node.state is State.ACTIVE


def _is_own(node: SimulatedNode) -> bool:
    """Return whether a node signs with the election's own key, and takes nothing else."""
    keys = node.config.authentication
    return isinstance(keys, HmacKeys) and keys.stage is Stage.REQUIRE
