"""After the faults: the cluster must settle, rest, and answer each single event as it should."""

from __future__ import annotations

import random
from typing import Protocol

from tests.simulation.faults import named
from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.oracles import (
    Bounds,
    NetworkOracle,
    best,
    check_lease,
    deafness_ns,
    gaps_are_wide,
)
from tests.simulation.timeline import OracleViolation

_REST_INTERVALS = 5


class Disturbance(Protocol):
    """What went wrong before, and can be ended."""

    longest_interval_ns: int
    most_down: int
    """The longest waits of any configuration that may still have effect."""

    def heal(self, *, spare_dead: int | None = None, spare_faulty: int | None = None) -> None:
        """End every fault; at most one node stays dead, and one faulty."""

    def forget_old_configurations(self) -> None:
        """From now on only the configurations in force have effect."""


class Liveness:
    """Heals a LAN and holds it to its promises."""

    def __init__(self, lan: SimulatedLan, faults: Disturbance) -> None:
        self._lan = lan
        self._faults = faults
        self._oracle = NetworkOracle(lan)
        self._rng = random.Random(f"{lan.settings.seed} liveness")

    def run(self, end_ns: int) -> None:
        """Heal, settle, then event by event; what is left of the time passes at rest."""
        lan, rng = self._lan, self._rng
        indices = range(len(lan.nodes))
        self._faults.heal(
            spare_dead=rng.choice(indices) if rng.random() < 0.2 else None,
            spare_faulty=rng.choice(indices) if rng.random() < 0.2 else None,
        )
        # What was delayed on the wire before the heal still arrives, each copy perhaps twice.
        lan.run_for(2 * lan.settings.rates.reorder_ns + self._bounds().latency_ns)
        self._let_leave()
        for node in lan.nodes:
            check_lease(node, lan.now_ns, self._bounds())
        self._hear_again()
        self._settle_after_heal()
        self._rest()
        trials = (self._release, self._return, self._freeze, self._crash, self._name)
        for trial in rng.sample(trials, 2):
            if len(lan.candidates()) > 1:
                trial()
                self._settle()
        self._oracle.begin_stage()
        lan.run_until(max(end_ns, lan.now_ns))
        self._oracle.check_quiet()

    def _bounds(self) -> Bounds:
        return Bounds(self._lan, self._faults.longest_interval_ns, self._faults.most_down)

    def _let_leave(self) -> None:
        """Wait for nodes that still hand over, as long as they may."""
        lan = self._lan
        if any(node.leaving for node in lan.nodes):
            lan.run_for(2 * self._bounds().down_ns)
        if any(node.leaving for node in lan.nodes):
            raise OracleViolation("a node that shut down does not end")

    def _hear_again(self) -> None:
        """Wait until nobody is taken for its own past any more."""
        for _ in range(3):
            wait_ns = deafness_ns(self._lan)
            if not wait_ns:
                return
            self._lan.timeline.note(self._lan.now_ns, -1, "waits for sequences", wait_ns)
            self._lan.run_for(wait_ns)
        raise OracleViolation("nodes go on taking each other's advertisements for replays")

    def _settle_after_heal(self) -> None:
        """The first settling: somebody within one down interval, the right one after two."""
        bounds = self._bounds()
        self._oracle.begin_stage()
        self._lan.run_for(bounds.down_ns)
        self._oracle.check_somebody_is_active()
        self._settle()
        # What was learned under faults is forgotten now: everybody heard the Active Router.
        self._faults.forget_old_configurations()

    def _settle(self) -> None:
        bounds = self._bounds()
        self._oracle.begin_stage()
        self._lan.run_for(bounds.settle_ns)
        self._oracle.check_settled(bounds)

    def _rest(self) -> None:
        self._oracle.begin_stage()
        self._lan.run_for(_REST_INTERVALS * self._bounds().interval_ns)
        self._oracle.check_quiet()

    # One event each --------------------------------------------------------------------

    def _active(self) -> SimulatedNode:
        return self._lan.nodes[self._lan.active()[0]]

    def _expect_takeover(self, within_ns: int) -> None:
        """The best of those left takes over once, within so long."""
        lan = self._lan
        candidates = lan.candidates()
        self._oracle.begin_stage()
        lan.run_for(within_ns)
        if gaps_are_wide(lan, candidates):
            self._oracle.check_one_takeover(best(candidates))
        elif not lan.active():
            raise OracleViolation("nobody took over")

    def _release(self) -> None:
        """The Active Router ends properly: one takeover, by the best, within a Skew_Time."""
        released, bounds = self._active(), self._bounds()
        self._oracle.begin_stage()
        released.shut_down(self._lan.now_ns)
        self._expect_takeover(bounds.release_ns)
        self._lan.run_for(bounds.both_ns)
        self._check_handed_over()
        if released.router is not None:
            raise OracleViolation(f"node{released.index} does not end, though succeeded")
        self._oracle.begin_stage()
        released.start(self._lan.now_ns)
        self._lan.run_for(bounds.settle_ns)
        self._check_handed_over()

    def _check_handed_over(self) -> None:
        """Where only one can be the next, the addresses moved to it without a gap."""
        lan = self._lan
        if gaps_are_wide(lan, lan.candidates()):
            self._oracle.check_handed_over(self._bounds())

    def _name(self) -> None:
        """Somebody is named the successor: it takes over at once, and nobody else."""
        lan, active = self._lan, self._active()
        successor = self._rng.choice([node for node in lan.candidates() if node is not active])
        number = 1 + successor.wanted.take_over
        self._oracle.begin_stage()
        for node in sorted(lan.nodes, key=lambda node: node is not successor):
            node.wanted = named(successor.index, number, node.index, node.wanted)
            node.apply_wanted(lan.now_ns)
        if lan.active() != sorted((active.index, successor.index)):
            raise OracleViolation(f"Active are {lan.active()} when node{successor.index} is named")
        lan.run_for(self._bounds().both_ns)
        self._oracle.check_handed_over(self._bounds())
        self._oracle.check_one_takeover(successor)

    def _crash(self) -> None:
        """The Active Router dies: one takeover, by the best; its addresses go by themselves."""
        crashed, bounds = self._active(), self._bounds()
        crashed.crash(self._lan.now_ns)
        check_lease(crashed, self._lan.now_ns, bounds)
        self._expect_takeover(bounds.down_ns)
        self._lan.run_for(bounds.lease_ns)
        self._oracle.check_settled(bounds)
        crashed.start(self._lan.now_ns)

    def _freeze(self) -> None:
        """The Active Router stands still until its lease ends, then wakes."""
        frozen, bounds = self._active(), self._bounds()
        frozen.freeze(self._lan.now_ns)
        check_lease(frozen, self._lan.now_ns, bounds)
        self._lan.run_for(bounds.down_ns + bounds.lease_ns)
        if frozen.addresses.held(self._lan.now_ns):
            raise OracleViolation(f"node{frozen.index} is frozen and keeps the addresses")
        frozen.wake(self._lan.now_ns)
        if frozen.index in self._lan.active():
            raise OracleViolation(f"node{frozen.index} is Active although it woke late")

    def _return(self) -> None:
        """The best of the others goes and comes back: without preemption nothing moves."""
        lan, bounds = self._lan, self._bounds()
        active = self._active()
        others = [node for node in lan.candidates() if node is not active]
        returning = best(others)
        returning.crash(lan.now_ns)
        lan.run_for(bounds.interval_ns)
        self._oracle.begin_stage()
        returning.start(lan.now_ns)
        lan.run_for(bounds.settle_ns)
        self._check_handed_over()
        preempts = returning.config.preempt and returning.priority > active.priority
        if self._oracle.takeovers and not preempts:
            raise OracleViolation(f"took over on a return: {self._oracle.takeovers}")
