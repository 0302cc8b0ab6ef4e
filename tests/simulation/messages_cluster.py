"""A simulated cluster: machines on two links, VirtualIPs, operators, and what users do to them.

Each election has a LAN of its own in one virtual time; those whose advertisements go over the same
link are cut with it. Elections of family 4 are on the first link, of family 6 on the second one.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from tests.simulation.api import SimulatedApi
from tests.simulation.cuts import SLOTS, Link
from tests.simulation.lan import SimulatedLan
from tests.simulation.machine import Machine
from tests.simulation.messages_draw import Draw
from tests.simulation.messages_oracles import MessagesOracles
from tests.simulation.node import SimulatedNode
from tests.simulation.seat import Seat, text_of
from tests.simulation.settings import MS, SECOND, Cluster, FaultRates, NodeConfig, Settings
from tests.simulation.sim_elector import SimulatedLease
from tests.simulation.sim_operator import KEY_REF, SimulatedOperator

from vrrp.constants import VERSION_3, Family
from vrrp.packet import ChecksumForm
from vrrp_operator.plan.planner import Plan

ELECTION, SECOND_ELECTION = "web", "mail"
SETTLE_NS = 6 * SECOND
"""Three intervals of a second, a skew, an interval to yield, and what a loop may be late."""
_SECOND_OPERATOR_NS = 60 * SECOND
_OTHER_SEED = 1_000_000
_VIRTUAL = {4: ("192.0.2.200/24", "192.0.2.201/24"), 6: ("", "2001:db8::c8/64")}


class SimulatedVirtualIP:
    """A VirtualIP as users write it, and the LAN of its election."""

    def __init__(self, api: SimulatedApi, lan: SimulatedLan, name: str, spec: dict[str, Any]):
        self._api = api
        self.lan = lan
        self.name = name
        self._spec = {"nodeSelector": {"matchLabels": {name: "yes"}}, **spec}

    @property
    def version(self) -> int:
        """The version of the protocol that is asked for."""
        return int(self._spec.get("version", VERSION_3))

    def write(self, **changes: Any) -> None:
        """Write it with changes to its spec; None takes a field away."""
        spec = {**self._spec, **changes}
        self._spec = {name: value for name, value in spec.items() if value is not None}
        self._api.put("virtualips", self.name, spec=dict(self._spec))

    def sign(self, key: str | None) -> None:
        """Have the election signed with a key, or with none."""
        if key == KEY_REF:
            self.write(authentication=None)
            return
        said = {"type": "HMAC", "keyName": key} if key is not None else {"type": "None"}
        self.write(authentication=said)

    def annotate(self, **annotations: str) -> None:
        """Write its annotations, in place of others; of our prefix, with dashes for underscores."""
        found = {f"kube-vrrp.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
        self._api.put("virtualips", self.name, annotations=found)


class MessagesCluster:
    """One cluster of a seed."""

    def __init__(self, seed: int, drawn: Draw, ignorant: tuple[str, ...] | None = None) -> None:
        """Begin; ``ignorant`` nodes do not know elections' own keys. None: as the seed draws."""
        self.drawn = drawn
        self.rng = random.Random(f"{seed} deeds")
        self.links = (Link(), Link())
        self.lan = _lan(seed, drawn.machines, 4, self.links)
        if drawn.across:
            self.lan.clients_blocked = self.links[1].blocked
        self.api = SimulatedApi(self.lan, random.Random(f"{seed} api"))
        self.vips = [self._virtual_ip(self.lan, ELECTION, 4)]
        if drawn.second is not None:
            lan = _lan(seed + _OTHER_SEED, drawn.machines, drawn.second, self.links, self.lan)
            self.vips.append(self._virtual_ip(lan, SECOND_ELECTION, drawn.second))
        self.machines = [
            Machine(
                self.api,
                f"node-{n + 1}",
                tuple(
                    Seat(vip.name, vip.lan, range(n * SLOTS, (n + 1) * SLOTS)) for vip in self.vips
                ),
                random.Random(f"{seed} machine {n}"),
                drawn.longest_ms,
            )
            for n in range(drawn.machines)
        ]
        self.families = sorted({4, drawn.second or 4})
        self.numbers = {(m.name, family): 0 for m in self.machines for family in self.families}
        """Which of its addresses a Node says it has."""
        self.apart: set[str] = set()
        self.unselected: set[tuple[str, str]] = set()
        self.operators: list[SimulatedOperator] = []
        self._lease = SimulatedLease(self.lan) if drawn.operators > 1 else None
        self.oracles_of = {
            vip.name: MessagesOracles(
                vip.lan,
                [(m, seat) for m in self.machines for seat in m.seats if seat.lan is vip.lan],
                SETTLE_NS,
                partial(self._wanted, vip.name),
            )
            for vip in self.vips
        }
        if drawn.own_keys and ignorant is None:
            ignorant = tuple(m.name for m in self.machines if self.rng.random() < 0.3)
        for machine in self.machines:
            machine.knows_keys = machine.name not in (ignorant or ())
        self._begin()

    def _virtual_ip(self, lan: SimulatedLan, name: str, family: int) -> SimulatedVirtualIP:
        spec = {
            "addresses": [{"address": _VIRTUAL[family][lan is not self.lan]}],
            "advertisementInterval": "1s",
            "candidates": self.drawn.candidates,
            "preemption": {"mode": "Always" if self.drawn.preempt else "Never"},
        }
        return SimulatedVirtualIP(self.api, lan, name, spec)

    def _begin(self) -> None:
        for machine in self.machines:
            self.write_node(machine)
            machine.start(0)
        signed_with = KEY_REF if self.drawn.own_keys else "own"
        for vip in self.vips:
            vip.sign(signed_with if self.drawn.signed else None)
        self.operators.append(self.operator())
        if self.drawn.operators > 1:
            self.lan.after(_SECOND_OPERATOR_NS, lambda _: self.operators.append(self.operator()))

    def operator(self) -> SimulatedOperator:
        """Start an operator."""
        leases_in = "kube-vrrp" if self.drawn.leases else None
        rng = random.Random(self.rng.random())
        return SimulatedOperator(self.api, rng, leases_in, self._lease)

    def begin_operator(self, place: int, _: int = 0) -> None:
        """Start an operator in the place of one that ended."""
        if not self.operators[place].alive:
            self.operators[place] = self.operator()

    # Looking ----------------------------------------------------------------------------

    @property
    def vip(self) -> SimulatedVirtualIP:
        """The first VirtualIP."""
        return self.vips[0]

    @property
    def oracles(self) -> MessagesOracles:
        """Those of the first election."""
        return self.oracles_of[ELECTION]

    @property
    def plan(self) -> Plan | None:
        """What was planned last, by whichever operator."""
        latest = max(self.operators, key=lambda one: one.planned_ns, default=None)
        return latest.plan if latest is not None else None

    def _wanted(self, election: str) -> frozenset[str]:
        found = self.plan
        return frozenset(found.candidates.get(election, ()) if found is not None else ())

    def slot_of(self, machine: Machine, seat: Seat) -> SimulatedNode:
        """Return the slot with the address that the machine's Node says."""
        return seat.slots[self.numbers[machine.name, int(seat.lan.cluster.family)]]

    # Nodes ------------------------------------------------------------------------------

    def write_node(self, machine: Machine) -> None:
        """Write a machine's Node object."""
        apart, name = machine.name in self.apart, machine.name
        addresses = dict.fromkeys(text_of(self.slot_of(machine, s)) for s in machine.seats)
        self.api.put(
            "nodes",
            name,
            labels={v.name: "yes" for v in self.vips if (name, v.name) not in self.unselected},
            annotations={"kube-vrrp.io/maintenance": "true"} if apart else {},
            status={"addresses": [{"type": "InternalIP", "address": a} for a in addresses]},
        )

    def set_apart(self, machine: Machine) -> None:
        """Begin or end the maintenance of a node."""
        self.apart ^= {machine.name}
        self.write_node(machine)

    def unselect(self, machine: Machine, election: str = ELECTION) -> None:
        """Take away what selects a node for an election, or give it back."""
        self.unselected ^= {(machine.name, election)}
        self.write_node(machine)

    def readdress(self, machine: Machine, family: int = 4) -> None:
        """Give a node another InternalIP; it has both."""
        self.numbers[machine.name, family] ^= 1
        self.write_node(machine)


def _lan(
    seed: int,
    machines: int,
    family: int,
    links: tuple[Link, Link],
    beside: SimulatedLan | None = None,
) -> SimulatedLan:
    prefix = bytes((192, 0, 2)) if family == 4 else b"\x20\x01\x0d\xb8" + bytes(11)
    addresses = tuple(prefix + bytes((10 + n,)) for n in range(machines * SLOTS))
    form = ChecksumForm.MESSAGE_ONLY if family == 4 else ChecksumForm.PSEUDO_HEADER
    cluster = Cluster(VERSION_3, Family(family), False, form, addresses, 2 * MS, 5 * MS)
    config = NodeConfig(100, SECOND, 3, True, 0, frozenset(), None)
    rates = FaultRates(0, 0, 0, 0, SECOND, {})
    settings = Settings(seed, cluster, (config,) * len(addresses), rates, False)
    lan = SimulatedLan(settings, beside)
    lan.blocked = links[family == 6].blocked
    if beside is not None:
        lan.timeline = beside.timeline.beside(f"{SECOND_ELECTION}: ")
    lan.nodes += [SimulatedNode(lan, index, config) for index in range(len(addresses))]
    return lan
