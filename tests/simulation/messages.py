"""Configuration as messages: the planner's own steps, with nodes that are told late or never.

A seed draws a cluster, what happens to it, and how late everything is: watches, writes, nodes. The
API server loses and delays writes, nodes are cut off from it, from each other on either link, or
both; operators end in the middle and two may run. Then everything heals, and has to come to what is
wanted.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial

from tests.simulation.cuts import Link, Pairs
from tests.simulation.machine import Machine
from tests.simulation.messages_cluster import MessagesCluster, SimulatedVirtualIP
from tests.simulation.messages_draw import Draw, draw
from tests.simulation.settings import SECOND
from tests.simulation.sim_operator import KEY_REF
from tests.simulation.simulation import Failure
from tests.simulation.timeline import OracleViolation

CALM_S, DEEDS_S, HEAL_S = 120, 600, 420
_MOST_CUTS = 2
"""Of one link at a time."""


class Messages(MessagesCluster):
    """One cluster of a seed, and what happens to it."""

    def __init__(
        self, seed: int, drawn: Draw | None = None, ignorant: tuple[str, ...] | None = None
    ) -> None:
        """Begin as ``drawn``; None: as the seed draws."""
        super().__init__(seed, drawn or draw(seed), ignorant)

    # Deeds ------------------------------------------------------------------------------

    def deed(self, now_ns: int) -> None:
        """Do something, and something else in a while."""
        if now_ns > (CALM_S + DEEDS_S) * SECOND:
            return
        machine = self.rng.choice(self.machines)
        deeds: list[Callable[[Machine], None]] = [self.cut_off, self.restart_operator]
        if not self.drawn.calm:
            deeds += [self.crash, self.split, self.split, self.sign, self.hand_over]
            deeds += [self.set_version]
        if not self.drawn.calm or not machine.active:
            deeds += [self.set_apart, self.unselect_somewhere, self.readdress_somewhere, self.limit]
        if self.drawn.own_keys:
            deeds += [self.upgrade, self.set_interval]
        if self.drawn.operators > 1:
            deeds += [self.stop_an_operator]
        deed = self.rng.choice(deeds)
        self.lan.timeline.did(now_ns, -1, deed.__name__, machine.name)
        deed(machine)
        self.lan.after(int(self.rng.expovariate(1 / 15) * SECOND), self.deed)

    def _any_vip(self) -> SimulatedVirtualIP:
        return self.rng.choice(self.vips)

    def unselect_somewhere(self, machine: Machine) -> None:
        """Take away what selects a node for an election, or give it back."""
        self.unselect(machine, self._any_vip().name)

    def readdress_somewhere(self, machine: Machine) -> None:
        """Give a node another InternalIP."""
        self.readdress(machine, self.rng.choice(self.families))

    def limit(self, _: Machine) -> None:
        """Change how many candidates there are."""
        self._any_vip().write(candidates=self.rng.choice((2, 3, 5)))

    def sign(self, _: Machine) -> None:
        """Turn signatures on or off, or sign with another key."""
        vip = self._any_vip()
        if self.drawn.own_keys:
            vip.sign(self.rng.choice((None, "own", KEY_REF, KEY_REF)))
            return
        vip.sign("own" if self.rng.random() < 0.5 else None)

    def upgrade(self, machine: Machine) -> None:
        """Give a node a speaker of this version."""
        machine.upgrade(self.lan.now_ns)

    def set_interval(self, _: Machine) -> None:
        """Advertise more often, or less; version 2 knows whole seconds."""
        vip = self._any_vip()
        fast = self.rng.random() < 0.5 and vip.version == 3
        vip.write(advertisementInterval="500ms" if fast else "1s")

    def set_version(self, _: Machine) -> None:
        """Speak the other version; there is none but 3 for IPv6."""
        vip = self.vip
        if vip.version == 3:
            vip.write(version=2, advertisementInterval="1s")
        else:
            vip.write(version=3)

    def hand_over(self, machine: Machine) -> None:
        """Ask for a hand-over, or end it."""
        asked = {"handover_to": machine.name} if self.rng.random() < 0.6 else {}
        self._any_vip().annotate(**asked)

    def cut_off(self, machine: Machine) -> None:
        """Cut a node off from the API server alone."""
        if not machine.cut_off:
            machine.lose_api()
            # One that is alone in its election is heard by nobody, and gone after five minutes.
            longest_s = self.rng.choice((20, 60, 250 if self.drawn.calm else 400))
            self.lan.after(int(self.rng.random() * longest_s * SECOND), machine.reconnect)

    def crash(self, machine: Machine) -> None:
        """Let a node lose its power for a while."""
        if machine.running:
            machine.crash(self.lan.now_ns)
            longest_s = self.rng.choice((5, 60, 400))
            self.lan.after(int(self.rng.random() * longest_s * SECOND), machine.start)

    def split(self, machine: Machine) -> None:
        """Cut a node off from some others, or all, on one link or both, one way round or both."""
        rng, numbers = self.rng, range(len(self.machines))
        mine = self.machines.index(machine)
        others = [number for number in numbers if number != mine]
        if rng.random() < 0.6:
            others = rng.sample(others, rng.randint(1, len(others)))
        to, back = rng.choice(((True, True), (True, True), (True, False), (False, True)))
        for link in rng.choice((self.links[:1], self.links[1:], self.links)):
            if link.cuts < _MOST_CUTS:
                cut = link.cut(mine, others, to=to, back=back)
                until_ns = int(rng.random() * rng.choice((30, 30, 150, 400)) * SECOND)
                self.lan.after(until_ns, partial(self._mend, link, cut))

    def _mend(self, link: Link, cut: Pairs, _: int) -> None:
        link.mend(cut)

    def restart_operator(self, _: Machine) -> None:
        """End an operator, whatever it is about to do, and start another one."""
        place = self.rng.randrange(len(self.operators))
        self.operators[place].end()
        self.lan.after(int(self.rng.random() * 20 * SECOND), partial(self.begin_operator, place))

    def stop_an_operator(self, _: Machine) -> None:
        """Have an operator stand still for a while, as one that was suspended."""
        operator = self.rng.choice(self.operators)
        operator.stand_still(self.lan.now_ns + int(self.rng.random() * 40 * SECOND))

    # The run ----------------------------------------------------------------------------

    def run(self) -> None:
        """Let it begin, go through its deeds, heal, and come to what is wanted."""
        lan = self.lan
        lan.run_until(CALM_S * SECOND)
        for oracles in self.oracles_of.values():
            oracles.takeovers.clear()
        self.deed(lan.now_ns)
        lan.run_until((CALM_S + DEEDS_S) * SECOND)
        for name, oracles in self.oracles_of.items():
            if self.drawn.calm and oracles.takeovers:
                moved = oracles.takeovers
                raise OracleViolation(f"{name} moved, and nothing asked for it: {moved}")
        for link in self.links:
            link.mend_all()
        for machine in self.machines:
            if machine.cut_off:
                machine.reconnect(lan.now_ns)
            if not machine.running:
                machine.start(lan.now_ns)
        lan.run_for(HEAL_S * SECOND)
        for place, vip in enumerate(self.vips):
            self._check_all_is_as_wanted(place, vip.name)

    def _check_all_is_as_wanted(self, place: int, name: str) -> None:
        found = self.plan
        assert found is not None
        waits = found.waits.get(name, ())
        if waits:
            raise OracleViolation(f"{name} still waits: {[wait.message for wait in waits]}")
        wanted = set(found.candidates[name])
        seats = [(machine, machine.seats[place]) for machine in self.machines]
        running = {machine.name for machine, seat in seats if seat.slot is not None}
        if running != wanted:
            raise OracleViolation(f"{name} runs on {sorted(running)}, wanted {sorted(wanted)}")
        for machine, seat in seats:
            if machine.name not in running:
                continue
            assert seat.router is not None
            peers = {peer.node for peer in seat.router.peers}
            if peers != wanted - {machine.name}:
                raise OracleViolation(f"{machine.name} lists {sorted(peers)} of {sorted(wanted)}")
            if seat.slot is not self.slot_of(machine, seat):
                raise OracleViolation(f"{machine.name} runs {name} with its old address")
        active = [machine.name for machine, seat in seats if seat.active]
        if len(active) != min(1, len(wanted)):
            raise OracleViolation(f"{name} is Active on {active} of {sorted(wanted)}")


def run_messages_seed(seed: int) -> Failure | None:
    """Run a seed; return what went wrong, or None."""
    messages = Messages(seed)
    try:
        messages.run()
    except OracleViolation as violation:
        rule = str(violation)
    except Exception:
        rule = traceback.format_exc()
    else:
        return None
    name = f"messages seed {seed}: {messages.drawn}"
    text = messages.lan.timeline.text(150)
    return Failure(name, rule, text, f"--messages {seed}")
