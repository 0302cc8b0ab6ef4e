"""Oracles over the whole LAN: who is Active, who holds the addresses, who took over.

Under faults little can be promised: two routers that do not hear each other are both Active, and
must be. Once faults have stopped everything is promised, and within arithmetic of the settings.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.rightful import GRACE_NS
from tests.simulation.settings import MS, SECOND
from tests.simulation.timeline import OracleViolation

from vrrp.actions import StateChanged
from vrrp.authentication import WINDOW_S
from vrrp.constants import State, TransitionReason

SLACK_NS = 20 * MS
_GIVES_WAY = frozenset(
    {
        TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT,
        TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS,
    }
)
_CLOCK_TICK_S = 0.01


class Bounds:
    """How long a healthy LAN may take, from the configurations in force."""

    def __init__(self, lan: SimulatedLan, longest_interval_ns: int, down: int) -> None:
        """Take the longest waits that somebody may have learned, or leased by, before the heal."""
        cluster = lan.cluster
        configs = [node.config for node in lan.nodes]
        self.latency_ns = 2 * (cluster.latency_ns + cluster.lateness_ns) + SLACK_NS
        scale_ns = SECOND if cluster.version == 2 else longest_interval_ns
        self.interval_ns = longest_interval_ns
        self.down_ns = down * longest_interval_ns + scale_ns + self.latency_ns
        """Within this somebody takes over where nobody is Active."""
        delay_ns = max(config.preempt_delay_ns for config in configs)
        self.settle_ns = 2 * self.down_ns + delay_ns + longest_interval_ns + self.latency_ns
        """Within this the best is Active, after somebody worse was."""
        self.dual_ns = longest_interval_ns + self.latency_ns
        """Two Active routers that hear each other are one again within this."""
        self.release_ns = scale_ns + self.latency_ns
        """A release is followed by a takeover within this: one Skew_Time."""
        self.both_ns = GRACE_NS + self.latency_ns
        """Two hold the addresses for no longer where they are handed over."""
        self.lease_ns = -(-self.down_ns // SECOND) * SECOND
        """An address that nobody renews is gone after this."""


def best(nodes: list[SimulatedNode]) -> SimulatedNode:
    """Return who wins an election among these."""
    return max(nodes, key=lambda node: (node.priority, node.address))


def gaps_are_wide(lan: SimulatedLan, nodes: list[SimulatedNode]) -> bool:
    """Return whether priorities differ by more than delays can hide."""
    room_ns = 2 * (lan.cluster.latency_ns + lan.cluster.lateness_ns)
    priorities = sorted(node.priority for node in nodes)
    shortest_ns = min(node.config.interval_ns for node in nodes)
    scale_ns = SECOND if lan.cluster.version == 2 else shortest_ns
    steps = [high - low for low, high in pairwise(priorities)]
    return all(step * scale_ns // 256 > room_ns for step in steps)


class NetworkOracle:
    """Listens to every transition and says what may not be."""

    def __init__(self, lan: SimulatedLan) -> None:
        self._lan = lan
        self.takeovers: list[int] = []
        """Who became Active, since the list was last cleared."""
        self.transitions = 0
        self._dual_since_ns: int | None = None
        self._dual_longest_ns = 0
        self._gave_way: set[int] = set()
        """Whoever was Active and yielded since the list was last cleared."""
        lan.watchers.append(self._on_transition)

    def begin_stage(self) -> None:
        """Count from here."""
        self.takeovers.clear()
        self._gave_way.clear()
        self.transitions = 0
        self._dual_longest_ns = 0
        self._lan.holding.begin(self._lan.now_ns)
        self._dual_since_ns = self._lan.now_ns if len(self._lan.active()) > 1 else None

    def _on_transition(self, now_ns: int, node: int, change: StateChanged) -> None:
        self.transitions += 1
        if change.after is State.ACTIVE:
            self.takeovers.append(node)
        if change.reason in _GIVES_WAY:
            self._gave_way.add(node)
        self._note_dual(now_ns)

    def _note_dual(self, now_ns: int) -> None:
        if self._dual_since_ns is not None:
            dual_ns = now_ns - self._dual_since_ns
            self._dual_longest_ns = max(self._dual_longest_ns, dual_ns)
        if len(self._lan.active()) < 2:
            self._dual_since_ns = None
        elif self._dual_since_ns is None:
            self._dual_since_ns = now_ns

    # What must hold on a healthy LAN ---------------------------------------------------

    def check_somebody_is_active(self) -> None:
        """After one down interval there is an Active Router, if there can be one."""
        if self._lan.candidates() and not self._lan.active():
            raise OracleViolation("nobody is Active a down interval after everything healed")

    def check_two_active_only_briefly(self, bounds: Bounds) -> None:
        """Two Active routers that hear each other are one again within an interval."""
        self._note_dual(self._lan.now_ns)
        if self._dual_longest_ns > bounds.dual_ns:
            raise OracleViolation(f"two were Active for {self._dual_longest_ns / 1e9:.3f} s")

    def check_settled(self, bounds: Bounds) -> None:
        """One is Active, the best of those that preempt, and the addresses are there alone."""
        lan = self._lan
        self.check_two_active_only_briefly(bounds)
        active, candidates = lan.active(), lan.candidates()
        if len(active) != min(1, len(candidates)):
            raise OracleViolation(
                f"Active are {active}, candidates {[c.index for c in candidates]}"
            )
        if lan.holders() != active:
            raise OracleViolation(f"the addresses are on {lan.holders()}, Active are {active}")
        if not active:
            return
        self._check_clients(active[0])
        highest = max(node.priority for node in candidates)
        preempting = all(node.config.preempt for node in candidates)
        if preempting and lan.nodes[active[0]].priority != highest:
            raise OracleViolation(f"node{active[0]} is Active, and not the best")

    def _check_clients(self, holder: int) -> None:
        """Clients beside whoever gave way know the holder: they had heard the other one last."""
        wrong = {
            i: self._lan.told.get(i) for i in self._gave_way if self._lan.told.get(i) != holder
        }
        if wrong:
            raise OracleViolation(f"node{holder} has the addresses, and clients think: {wrong}")

    def check_quiet(self) -> None:
        """Nothing moved since the stage began."""
        if self.transitions:
            raise OracleViolation(f"{self.transitions} transitions in a healthy LAN at rest")

    def check_handed_over(self, bounds: Bounds) -> None:
        """Since the stage began somebody had the addresses always, and two only for the grace."""
        holding = self._lan.holding
        holding.note(self._lan.now_ns)
        if holding.nobody_ns:
            raise OracleViolation(f"nobody had the addresses for {holding.nobody_ns / SECOND} s")
        if holding.several_ns > bounds.both_ns:
            raise OracleViolation(f"two had the addresses for {holding.several_ns / SECOND} s")

    def check_one_takeover(self, by: SimulatedNode) -> None:
        """Exactly one node became Active since the stage began: the best."""
        if self.takeovers != [by.index]:
            raise OracleViolation(f"took over: {self.takeovers}, and not node{by.index} alone")


def check_lease(node: SimulatedNode, now_ns: int, bounds: Bounds) -> None:
    """Whoever stops turning now loses the addresses by itself, in bounded time."""
    left_ns = node.addresses.lease_end_ns - now_ns
    if left_ns > bounds.lease_ns:
        raise OracleViolation(f"node{node.index} has the addresses for {left_ns / SECOND} s more")


def deafness_ns(lan: SimulatedLan) -> int:
    """Return for how long some node still takes a living peer's advertisements for replays.

    A node that lost its memory counts on from its wall clock, which may be behind the sequence it
    used before. Its peers hear it again when it has caught up, or at once when their mark of it
    lies outside the window: bounded by the window and twice what clocks are apart at a start. Until
    the time has caught up with the sequence of a clock that was put right, a replaced engine would
    be taken for its own past.
    """
    longest_s = 0
    ahead_s = max((_ahead_s(node, lan.now_ns) for node in lan.nodes), default=0)
    for receiver in lan.candidates():
        for sender in lan.candidates():
            if sender is not receiver and sender.signs:
                longest_s = max(longest_s, _deaf_s(receiver, sender, lan.now_ns))
    return max(longest_s, ahead_s) * SECOND


def _ahead_s(node: SimulatedNode, now_ns: int) -> int:
    """Return how far a node's sequence is ahead of its clock, in whole seconds or more."""
    ahead_s = node.next_sequence(now_ns) / 2**32 - node.clock_ns(now_ns) / SECOND
    return ceil(ahead_s) if ahead_s > _CLOCK_TICK_S else 0


def _deaf_s(receiver: SimulatedNode, sender: SimulatedNode, now_ns: int) -> int:
    sequence = sender.next_sequence(now_ns)
    sequence_s = sequence >> 32
    wall_s = receiver.clock_ns(now_ns) // SECOND
    near = abs(wall_s - sequence_s) <= WINDOW_S
    mark = receiver.marks.marks.get(sender.address)
    if mark is None:
        if near:
            return 0
        # A clock that was put right counts on from where it was, until the time has caught up.
        ahead_s = _ahead_s(sender, now_ns)
        if ahead_s:
            return ahead_s
        raise OracleViolation(
            f"node{receiver.index} never begins to hear node{sender.index}:"
            f" its clock is {wall_s - sequence_s} s from their sequence"
        )
    behind_s = (mark >> 32) - sequence_s + 1
    if sequence > mark or (near and abs(wall_s - (mark >> 32)) > WINDOW_S):
        return 0
    if behind_s > 2 * WINDOW_S + 2:
        raise OracleViolation(f"node{receiver.index} hears node{sender.index} in {behind_s} s only")
    return behind_s
