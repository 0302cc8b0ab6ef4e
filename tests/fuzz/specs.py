"""Whole VirtualIPs, drawn from the schema's own bounds, through planner, compiler and engine.

A seed draws one VirtualIP: values at the bounds of its fields, in between, and some beyond. It is
refused by the field's name, or planned beside an ordinary VirtualIP that it may not concern,
written, read, compiled and run for a while by an engine whose kernel and network are stood in for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import scapy.all  # noqa: F401 - asks the kernel when first used, and the rig stands in for that
import yaml
from tests.unit.engine.rig import Rig
from tests.unit.operator.cluster import applied, nodes, snapshot, tcp_check, virtual_ip

from vrrp.events import AdvertisementReceived, DeadlineReached
from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, parse_node_config
from vrrp_api.virtual_ip import parse_virtual_ip
from vrrp_operator.planner import plan
from vrrp_speaker.compiler.links import Link, LinkAddress, LinkTable
from vrrp_speaker.compiler.program import compile_program
from vrrp_speaker.engine.program import EngineProgram, parse_program
from vrrp_speaker.engine.routers import Inputs, RunningRouter
from vrrp_speaker.program_file import encode, read_values

_ROOT = Path(__file__).resolve().parents[2]
_SECOND = 1_000_000_000
_STEPS = 60
"""How many deadlines of an election are reached."""
NODE, ORDINARY, ODD = "node-1", "ordinary", "odd"
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
_KEYS: Mapping[str, Mapping[str, Any]] = {
    "cluster": {"active": 1, "keys": {"1": "00" * 32}},
    "old": {"password": b"secret".hex()},
}
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "address": (
        *("192.0.2.60/24", "192.0.2.61", "192.0.2.60/0", "192.0.2.255/24", "192.0.2.0/24"),
        *("10.255.255.255/8", "0.0.0.1/8", "240.0.0.1", "169.254.1.1/32", "223.255.255.255/31"),
        *("2001:db8::60/64", "2001:db8::61", "2001:db8::/0", "fe80::60/64", "::ffff:192.0.2.60"),
        *("::1.2.3.4", "192.0.2.12/24", "fd00::1/127"),
    ),
    "interface": ("eth0", "eth0", "eth1", "eth9", "lo", "..", "eth%d", "ünïcödé", "i" * 15),
    "advertisementInterval": ("10ms", "20ms", "200ms", "1s", "40.95s", "40s"),
    "delay": ("0s", "1ns", "1s", "1000s", "999s999ms"),
    "repeatAfter": ("0s", "1ns", "5s", "1h", "3600s"),
    "refresh": ("0s", "1s", "1000.000001ms", "60s", "1h", "59m59.999999999s"),
    "keyRef": ("cluster", "old", "none", "k" * 63),
    "externalPeers": ("198.51.100.1", "192.0.2.255", "192.0.2.12", "203.0.113.7"),
    "node": ("node-1", "node-2", "node-9", "n" * 253),
    "key": ("a", "example.com/" + "k" * 63, "-"),
    "values": ("yes", "v" * 63),
    "name": ("one", "two", "none", "n" * 253),
}
_BEYOND: Mapping[str, tuple[str, ...]] = {
    "address": ("127.0.0.1", "ffff::1", "192.0.2.60/33", "0.0.0.0", "192.0.2.60%eth0", "nowhere"),
    "interface": ("i" * 16, "a b", "a/b"),
    "advertisementInterval": ("1ns", "15ms", "255s", "0s", "-1s"),
    "delay": ("1001s", "-1s", "1"),
    "repeatAfter": ("1h1ns", "99999999h"),
    "refresh": ("1ns", "3ns", "999ms", "1h1ns"),
    "keyRef": ("Not.A.Label", "k" * 64),
    "externalPeers": ("255.255.255.255", "2001:db8::99", "ff02::12", "x"),
}


def schema() -> Mapping[str, Any]:
    """Return the schema of a VirtualIP's spec."""
    crd = yaml.safe_load((_ROOT / "crds" / "virtualips.yaml").read_text(encoding="utf-8"))
    spec: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return spec["properties"]["spec"]  # type: ignore[no-any-return]  # YAML has no types


class Draw:
    """Draws values that a schema describes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._share = self.rng.choice((0.1, 0.3, 0.6))
        """How many of the optional fields are given: few make a likely spec, many an odd one."""

    def value(self, node: Mapping[str, Any], name: str = "") -> Any:
        """Return a value of this schema; now and then one that is none."""
        if self.rng.random() < 0.004:
            return self.rng.choice((None, "", 0, -1, 2**63, True, [], {}, "\x00", 1.5))
        drawn: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
            "object": self._object,
            "array": self._array,
            "integer": self._integer,
            "string": self._string,
        }
        draw = drawn.get(node["type"])
        return draw(node, name) if draw is not None else self.rng.random() < 0.5

    def _object(self, node: Mapping[str, Any], name: str) -> dict[str, Any]:
        if "additionalProperties" in node:
            keys = self.rng.sample(_TEXTS["key"], self.rng.randint(0, 2))
            return {key: self.value(node["additionalProperties"], "values") for key in keys}
        required = node.get("required", ())
        return {
            key: self.value(child, key)
            for key, child in node.get("properties", {}).items()
            if key in required or self.rng.random() < self._share
        }

    def _array(self, node: Mapping[str, Any], name: str) -> list[Any]:
        low, high = node.get("minItems", 0), node["maxItems"]
        count = self.rng.choice((low, max(1, low), 1, 2, 3, high))
        return [self.value(node["items"], name) for _ in range(count)]

    def _integer(self, node: Mapping[str, Any], name: str) -> int:
        if "enum" in node:
            return int(self.rng.choice(node["enum"]))
        low, high = node["minimum"], node["maximum"]
        between = self.rng.randint(low, high)
        return int(self.rng.choice((low, low + 1, between, between, high - 1, high)))

    def _string(self, node: Mapping[str, Any], name: str) -> str:
        if name in _BEYOND and self.rng.random() < 0.03:
            return self.rng.choice(_BEYOND[name])
        return str(self.rng.choice(node.get("enum") or _TEXTS.get(name) or ("x", "x" * 63)))


def draw(seed: int, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the VirtualIP of a seed."""
    made = Draw(seed)
    drawn = made.value(spec)
    if isinstance(drawn, dict) and isinstance(drawn.get("addresses"), list):
        # Most lists of many name one twice, most selectors select nobody; a valid one says more.
        drawn["addresses"] = list({str(item): item for item in drawn["addresses"]}.values())
        for item in drawn["addresses"]:
            if isinstance(item, dict) and made.rng.random() < 0.8:
                item.pop("interface", None)
        if made.rng.random() < 0.8:
            drawn.pop("nodeSelector", None)
    obj = virtual_ip(ODD, "192.0.2.60")
    obj["spec"] = drawn
    return obj


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
        self._spec = schema()
        self._now_ns = 10**12
        self._slots: dict[str, int] = {}
        self.outcome = Outcome()

    def seed(self, seed: int) -> None:
        """Take one seed from the API to the wire.

        Raises:
            Exception: any but a ``FieldError`` that names the field is a finding.
        """
        obj = draw(seed, self._spec)
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
        document = compile_program(config, self._slots, _LINKS, _KEYS)
        if config.node == NODE:
            self._slots = {router["name"]: router["slot"] for router in document["routers"]}
            routers = {router["name"]: router["faults"] for router in document["routers"]}
            assert routers[ORDINARY] == []
            if ODD in routers:
                self.outcome.unplaced += bool(routers[ODD])
                self.outcome.ran += not routers[ODD]
        return parse_program(read_values(BytesIO(encode(document))))

    # The engine ---------------------------------------------------------------------------

    def _run(self, rng: random.Random, program: EngineProgram) -> None:
        rig = self._rig
        rig.table.load(program, self._now_ns)
        for _ in range(_STEPS):
            for router in list(rig.table.routers.values()):
                self._step(rng, router)
            rig.table.retry(self._now_ns)
            rig.announcer.run(self._now_ns)
        rig.heir().load(program, self._now_ns)
        assert ORDINARY in rig.table.routers

    def _step(self, rng: random.Random, router: RunningRouter) -> None:
        rig, chance = self._rig, rng.random()
        due_ns = router.machine.next_deadline_ns()
        announced_ns = rig.announcer.next_deadline_ns()
        nearest = [at for at in (due_ns, announced_ns) if at is not None]
        self._now_ns = max(self._now_ns, min(nearest, default=self._now_ns + _SECOND))
        if chance < 0.1:
            priority = rng.choice((1, 100, 254))
            rig.table.apply_inputs(
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
            rig.executor.handle(router, told, self._now_ns)
        elif due_ns is not None and due_ns <= self._now_ns:
            rig.executor.handle(router, DeadlineReached(), self._now_ns)
        rig.table.take_changed()


def _ordinary(configs: Mapping[str, NodeConfig]) -> dict[str, object]:
    """Return what each node is asked of the ordinary VirtualIP, where it is asked anything."""
    return {
        node: router
        for node, config in configs.items()
        for router in config.virtual_routers
        if router.name == ORDINARY
    }
