"""Configuration as messages: the planner's own steps, with nodes that are told late or never.

A seed draws a cluster, what happens to it, and how late everything is: watches, writes, nodes. The
API server loses and delays writes, nodes are cut off from it, from each other, or both; operators
end in the middle and two may run. Then everything heals, and has to come to what is wanted.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.simulation.api import SimulatedApi
from tests.simulation.lan import SimulatedLan
from tests.simulation.machine import ELECTION, Machine
from tests.simulation.messages_oracles import MessagesOracles
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import (
    MS,
    SECOND,
    Cluster,
    FaultRates,
    NodeConfig,
    Settings,
)
from tests.simulation.sim_operator import KEY_REF, SimulatedOperator
from tests.simulation.simulation import Failure
from tests.simulation.timeline import OracleViolation

from vrrp.constants import Family
from vrrp.packet import ChecksumForm

SLOTS = 2
SETTLE_NS = 6 * SECOND
"""Three intervals of a second, a skew, an interval to yield, and what a loop may be late."""
CALM_S, DEEDS_S, HEAL_S = 120, 600, 420


@dataclass(frozen=True, slots=True)
class Draw:
    """What a seed decides before it begins.

    ``calm``: only what may move nothing happens: Backups join, leave and move, and anybody may lose
    the API server. ``leases``: nodes are asked for Leases, as the operator can read them.
    ``own_keys``: elections may be signed with the cluster's key too, and come to their own.
    """

    machines: int
    candidates: int
    longest_ms: int
    operators: int
    calm: bool
    preempt: bool
    signed: bool
    leases: bool
    own_keys: bool = False


def draw(seed: int) -> Draw:
    """Return what a seed draws."""
    rng = random.Random(f"{seed} messages")
    machines = rng.choice((3, 4, 4, 5))
    return Draw(
        machines=machines,
        candidates=rng.choice((2, 3, 5)),
        longest_ms=rng.choice((500, 5_000, 30_000)),
        operators=rng.choice((1, 1, 1, 2)),
        calm=rng.random() < 0.4,
        preempt=rng.random() < 0.7,
        signed=rng.random() < 0.5,
        leases=rng.random() < 0.8,
        own_keys=seed % 5 > 2,
    )


class Messages:
    """One cluster of a seed."""

    def __init__(
        self, seed: int, drawn: Draw | None = None, ignorant: tuple[str, ...] | None = None
    ) -> None:
        """Begin; ``ignorant`` nodes do not know elections' own keys. None: as the seed draws."""
        self.drawn = drawn or draw(seed)
        self.rng = random.Random(f"{seed} deeds")
        self.lan = _lan(seed, self.drawn.machines)
        self.api = SimulatedApi(self.lan, random.Random(f"{seed} api"))
        slots = self.lan.nodes
        self.machines = [
            Machine(
                self.api,
                f"node-{n + 1}",
                tuple(slots[n * SLOTS : (n + 1) * SLOTS]),
                random.Random(f"{seed} machine {n}"),
                self.drawn.longest_ms,
            )
            for n in range(self.drawn.machines)
        ]
        self.addresses = dict.fromkeys((m.name for m in self.machines), 0)
        self.apart: set[str] = set()
        self.unselected: set[str] = set()
        self.oracles = MessagesOracles(self.lan, self.machines, SETTLE_NS)
        self.operators: list[SimulatedOperator] = []
        self._spec: dict[str, Any] = {
            "addresses": [{"address": "192.0.2.200/24"}],
            "advertisementInterval": "1s",
            "candidates": self.drawn.candidates,
            "preemption": {"mode": "Always" if self.drawn.preempt else "Never"},
            "nodeSelector": {"matchLabels": {"vrrp": "yes"}},
        }
        if self.drawn.own_keys and ignorant is None:
            ignorant = tuple(m.name for m in self.machines if self.rng.random() < 0.3)
        for machine in self.machines:
            machine.knows_keys = machine.name not in (ignorant or ())
        self._begin()
        self.oracles.wanted = self._wanted

    def _wanted(self) -> frozenset[str]:
        found = self.operators[0].plan
        return frozenset(found.candidates.get(ELECTION, ()) if found is not None else ())

    # The cluster ------------------------------------------------------------------------

    def _begin(self) -> None:
        for machine in self.machines:
            self.write_node(machine)
            machine.start(0)
        signed_with = KEY_REF if self.drawn.own_keys else "own"
        self.write_authentication(signed_with if self.drawn.signed else None)
        self.operators = [self._operator()]
        if self.drawn.operators > 1:
            self.lan.after(CALM_S * SECOND // 2, lambda _: self.operators.append(self._operator()))

    def _operator(self) -> SimulatedOperator:
        leases_in = "kube-vrrp" if self.drawn.leases else None
        return SimulatedOperator(self.api, random.Random(self.rng.random()), leases_in)

    def write_spec(self, **changes: Any) -> None:
        """Change the VirtualIP."""
        self._spec = {**self._spec, **changes}
        self.api.put("virtualips", ELECTION, spec=dict(self._spec))

    def write_authentication(self, key: str | None) -> None:
        """Have the election signed with a key, or with none."""
        if key == KEY_REF:
            self._spec.pop("authentication", None)
            self.write_spec()
            return
        said = {"type": "HMAC", "keyRef": key} if key is not None else {"type": "None"}
        self.write_spec(authentication=said)

    def write_node(self, machine: Machine) -> None:
        """Write a machine's Node object."""
        apart = machine.name in self.apart
        address = machine.address_of(self.addresses[machine.name])
        self.api.put(
            "nodes",
            machine.name,
            labels={} if machine.name in self.unselected else {"vrrp": "yes"},
            annotations={"kube-vrrp.io/maintenance": "true"} if apart else {},
            status={"addresses": [{"type": "InternalIP", "address": address}]},
        )

    # Deeds ------------------------------------------------------------------------------

    def deed(self, now_ns: int) -> None:
        """Do something, and something else in a while."""
        if now_ns > (CALM_S + DEEDS_S) * SECOND:
            return
        machine = self.rng.choice(self.machines)
        deeds: list[Callable[[Machine], None]] = [self.cut_off, self.restart_operator]
        if not self.drawn.calm:
            deeds += [self.crash, self.split, self.sign, self.hand_over]
        if not self.drawn.calm or not machine.active:
            deeds += [self.set_apart, self.unselect, self.readdress, self.limit]
        if self.drawn.own_keys:
            deeds += [self.upgrade, self.set_interval]
        deed = self.rng.choice(deeds)
        self.lan.timeline.did(now_ns, -1, deed.__name__, machine.name)
        deed(machine)
        self.lan.after(int(self.rng.expovariate(1 / 15) * SECOND), self.deed)

    def set_apart(self, machine: Machine) -> None:
        """Begin or end the maintenance of a node."""
        self.apart ^= {machine.name}
        self.write_node(machine)

    def unselect(self, machine: Machine) -> None:
        """Take a node's label away, or give it back."""
        self.unselected ^= {machine.name}
        self.write_node(machine)

    def readdress(self, machine: Machine) -> None:
        """Give a node another InternalIP; it has both."""
        self.addresses[machine.name] ^= 1
        self.write_node(machine)

    def limit(self, _: Machine) -> None:
        """Change how many candidates there are."""
        self.limit_to(self.rng.choice((2, 3, 5)))

    def limit_to(self, candidates: int) -> None:
        """Have so many candidates."""
        self.write_spec(candidates=candidates)

    def sign(self, _: Machine) -> None:
        """Turn signatures on or off, or sign with another key."""
        if self.drawn.own_keys:
            self.write_authentication(self.rng.choice((None, "own", KEY_REF, KEY_REF)))
            return
        self.write_authentication("own" if self.rng.random() < 0.5 else None)

    def upgrade(self, machine: Machine) -> None:
        """Give a node a speaker of this version."""
        machine.upgrade(self.lan.now_ns)

    def set_interval(self, _: Machine) -> None:
        """Advertise more often, or less."""
        self.write_spec(advertisementInterval=self.rng.choice(("500ms", "1s")))

    def hand_over(self, machine: Machine) -> None:
        """Ask for a hand-over, or end it."""
        asked = {"kube-vrrp.io/handover-to": machine.name} if self.rng.random() < 0.6 else {}
        self.api.put("virtualips", ELECTION, annotations=asked)

    def cut_off(self, machine: Machine) -> None:
        """Cut a node off from the API server alone."""
        if not machine.cut_off:
            machine.lose_api(self.lan.now_ns)
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
        """Cut a node off from the others, for a while."""
        if self.lan.blocked:
            return
        own = {slot.index for slot in machine.slots}
        others = [n.index for n in self.lan.nodes if n.index not in own]
        self.lan.blocked = {p for a in own for b in others for p in ((a, b), (b, a))}
        self.lan.after(int(self.rng.random() * 30 * SECOND), self._mend)

    def _mend(self, _: int) -> None:
        self.lan.blocked = set()

    def restart_operator(self, _: Machine) -> None:
        """End an operator, whatever it is about to do, and start another one."""
        place = self.rng.randrange(len(self.operators))
        self.operators[place].end()
        self.lan.after(int(self.rng.random() * 20 * SECOND), partial(self.begin_operator, place))

    def begin_operator(self, place: int, _: int = 0) -> None:
        """Start an operator in the place of one that ended."""
        if not self.operators[place].alive:
            self.operators[place] = self._operator()

    # The run ----------------------------------------------------------------------------

    def run(self) -> None:
        """Let it begin, go through its deeds, heal, and come to what is wanted."""
        lan = self.lan
        lan.run_until(CALM_S * SECOND)
        self.oracles.takeovers.clear()
        self.deed(lan.now_ns)
        lan.run_until((CALM_S + DEEDS_S) * SECOND)
        if self.drawn.calm and self.oracles.takeovers:
            raise OracleViolation(f"moved, and nothing asked for it: {self.oracles.takeovers}")
        self._mend(lan.now_ns)
        for machine in self.machines:
            if machine.cut_off:
                machine.reconnect(lan.now_ns)
            if not machine.running:
                machine.start(lan.now_ns)
        lan.run_for(HEAL_S * SECOND)
        self._check_all_is_as_wanted()

    def _check_all_is_as_wanted(self) -> None:
        found = self.operators[0].plan
        assert found is not None
        waits = found.waits.get(ELECTION, ())
        if waits:
            raise OracleViolation(f"still waiting: {[wait.message for wait in waits]}")
        wanted = set(found.candidates[ELECTION])
        running = {m.name for m in self.machines if m.slot is not None}
        if running != wanted:
            raise OracleViolation(f"running are {sorted(running)}, wanted {sorted(wanted)}")
        for machine in self.machines:
            peers = {p.node for p in machine.router.peers} if machine.router else wanted
            if machine.name in running and peers != wanted - {machine.name}:
                raise OracleViolation(f"{machine.name} lists {sorted(peers)} of {sorted(wanted)}")
        active = [m.name for m in self.machines if m.active]
        if len(active) != min(1, len(wanted)):
            raise OracleViolation(f"Active are {active} of {sorted(wanted)}")


def _lan(seed: int, machines: int) -> SimulatedLan:
    addresses = tuple(bytes((192, 0, 2, 10 + n)) for n in range(machines * SLOTS))
    cluster = Cluster(3, Family.IPV4, False, ChecksumForm.MESSAGE_ONLY, addresses, 2 * MS, 5 * MS)
    config = NodeConfig(100, SECOND, 3, True, 0, frozenset(), None)
    rates = FaultRates(0, 0, 0, 0, SECOND, {})
    lan = SimulatedLan(Settings(seed, cluster, (config,) * len(addresses), rates, False))
    lan.nodes += [SimulatedNode(lan, index, config) for index in range(len(addresses))]
    return lan


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
