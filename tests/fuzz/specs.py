"""Whole VirtualIPs, drawn from the schema's own bounds, through planner, compiler and engine.

A seed draws one VirtualIP: values at the bounds of its fields, in between, and some beyond. It is
refused by the field's name, or planned beside an ordinary VirtualIP that it may not concern,
written, read, compiled and run for a while by an engine whose kernel and network are stood in for.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import scapy.all  # noqa: F401 - asks the kernel when first used, and the rig stands in for that
from tests.fuzz.draw import ODD, draw_virtual_ip, schema
from tests.unit.engine.rig import Rig
from tests.unit.operator.cluster import applied, nodes, snapshot, tcp_check, virtual_ip

from vrrp.events import AdvertisementReceived, DeadlineReached
from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, parse_node_config
from vrrp_api.virtual_ip import parse_virtual_ip
from vrrp_operator.plan.planner import plan
from vrrp_speaker.agent.programs.placing import Placing
from vrrp_speaker.compiler.templates import link_templates
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader, finished
from vrrp_speaker.engine.routers.inputs import Inputs
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.links.table import Link, LinkAddress, LinkTable
from vrrp_speaker.program_file import encode, read_lines

_SECOND = 1_000_000_000
_STEPS = 60
"""How many deadlines of an election are reached."""
NODE, ORDINARY = "node-1", "ordinary"
_LINKS = LinkTable(
    (
        Link(
            2,
            "eth0",
            bytes.fromhex("02005e005311"),
            (LinkAddress("192.0.2.11", 24, 0), LinkAddress("2001:db8::11", 64, 0)),
        ),
        Link(3, "eth1", bytes.fromhex("02005e005312"), (LinkAddress("10.0.0.1", 8, 0),)),
    )
)
_TEMPLATES = {
    link.bare: {str(kind): template.to_object() for kind, template in link_templates(link).items()}
    for link in _LINKS.links
}
_KEYS: Mapping[str, Mapping[str, Any]] = {
    "cluster": {"active": 1, "keys": {"1": "00" * 32}},
    "old": {"password": b"secret".hex()},
}


@dataclass
class Outcome:
    """What came of seeds: how many were refused, ran, or were compiled without a place."""

    refused: int = 0
    ran: int = 0
    unplaced: int = 0


class Run:
    """One engine that is given the programs of one seed after the other."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._spec = schema("virtualips")
        self._now_ns = 10**12
        self._slots: dict[str, int] = {}
        self._placing, self._reader = Placing(), ProgramReader()
        self.outcome = Outcome()

    def seed(self, seed: int) -> None:
        """Take one seed from the API to the wire.

        Raises:
            Exception: any but a ``FieldError`` that names the field is a finding.
        """
        obj = virtual_ip(ODD, "192.0.2.60")
        obj["spec"] = draw_virtual_ip(random.Random(seed), self._spec)
        try:
            parse_virtual_ip(obj)
        except FieldError as error:
            if not (error.path.startswith("spec") and error.subject.endswith(ODD)):
                raise
            self.outcome.refused += 1
            odd = []
        else:
            odd = [obj]
        for program in self._programs(odd):
            self._run(random.Random(seed), program)

    def _programs(self, odd: list[dict[str, Any]]) -> list[EngineProgram]:
        ordinary = virtual_ip(ORDINARY, "192.0.2.50/24", vrid=201)
        checks = [tcp_check("one"), tcp_check("two", weight=-10)]
        planned = plan(snapshot([ordinary, *odd], nodes(3), checks))
        again = plan(snapshot([ordinary, *odd], nodes(3), checks, reports=applied(planned)))
        alone = plan(snapshot([ordinary], nodes(3), checks))
        assert _ordinary(planned.configs) == _ordinary(alone.configs)
        asked: list[NodeConfig] = []
        for configs in (planned.configs, again.configs):
            for config in configs.values():
                read = parse_node_config(config.to_object())
                assert read.to_object() == config.to_object()
                if read.node == NODE and read not in asked:
                    asked.append(read)
        return [self._compiled(config) for config in asked]

    def _compiled(self, config: NodeConfig) -> EngineProgram:
        document = self._placing.place(config, self._slots, _LINKS, _KEYS).program(_TEMPLATES)
        if config.node == NODE:
            self._slots = {router["name"]: router["slot"] for router in document["routers"]}
            routers = {router["name"]: router["faults"] for router in document["routers"]}
            assert routers[ORDINARY] == []
            if ODD in routers:
                self.outcome.unplaced += bool(routers[ODD])
                self.outcome.ran += not routers[ODD]
        return finished(self._reader.parse(read_lines(BytesIO(encode(document)))))

    # The engine ---------------------------------------------------------------------------

    def _run(self, rng: random.Random, program: EngineProgram) -> None:
        rig = self._rig
        for step in rig.table.steps(program):
            step(self._now_ns)
        for _ in range(_STEPS):
            for router in list(rig.table.routers.values()):
                self._step(rng, router)
            rig.look_for_changes(self._now_ns)
            rig.frames.run(self._now_ns)
        rig.heir().table.load(program, self._now_ns)
        assert ORDINARY in rig.table.routers

    def _step(self, rng: random.Random, router: RunningRouter) -> None:
        rig, chance = self._rig, rng.random()
        due_ns = router.machine.next_deadline_ns()
        announced_ns = rig.frames.next_deadline_ns()
        nearest = [at for at in (due_ns, announced_ns) if at is not None]
        self._now_ns = max(self._now_ns, min(nearest, default=self._now_ns + _SECOND))
        if chance < 0.1:
            priority = rng.choice((1, 100, 254))
            rig.parts.inputs.take(
                {
                    router.program.name: Inputs(
                        priority, rng.choice((1, 100, 254)), rng.random() < 0.3, rng.random() < 0.3
                    )
                },
                self._now_ns,
            )
        elif chance < 0.2 and router.program.peers:
            peer = rng.choice(router.program.peers)
            told = AdvertisementReceived(
                peer.address, rng.choice((0, 1, 100, 255)), rng.choice((1, 20, 4095))
            )
            rig.parts.dispatcher.give(router, told, self._now_ns)
        elif due_ns is not None and due_ns <= self._now_ns:
            rig.parts.dispatcher.give(router, DeadlineReached(), self._now_ns)


def _ordinary(configs: Mapping[str, NodeConfig]) -> dict[str, object]:
    """Return what each node is asked of the ordinary VirtualIP, where it is asked anything."""
    return {
        node: router
        for node, config in configs.items()
        for router in config.virtual_routers
        if router.name == ORDINARY
    }
