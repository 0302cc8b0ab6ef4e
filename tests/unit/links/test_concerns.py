"""What a configuration names of its node, and that the engine reads it so."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from tests.unit.engine.programs import packed

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.engine.programs.program import Concerns
from vrrp_speaker.engine.programs.reading import ProgramReader, finished
from vrrp_speaker.links.concerns import Concerns as Naming
from vrrp_speaker.program_file import FORMAT, encode, read_lines


def router(name: str, interface: str | None, *addresses: VipAddress) -> VirtualRouterConfig:
    return VirtualRouterConfig(name, 1, 51, interface, addresses, 200, ElectionSpec(), (), ())


NEAR, FAR = VipAddress("192.0.2.50", 24), VipAddress("2001:db8::50", 64, "eth1")


def test_what_is_named_again_is_not_found_out_again() -> None:
    """Networks of 16,320 addresses cost an eighth of a second."""
    found = Naming()
    routers = router("a", None, NEAR), router("b", "lan0", FAR)
    first = found.of(NodeConfig("n", 1, ("192.0.2.11",), routers, ()))
    changed = replace(routers[0], base_priority=7), routers[1]
    assert found.of(NodeConfig("n", 2, ("192.0.2.11",), changed, ())) is first


@pytest.mark.parametrize(
    ("own", "routers"),
    [
        ("192.0.2.12", (router("a", None, NEAR), router("b", "lan0", FAR))),
        ("192.0.2.11", (router("a", "eth0", NEAR), router("b", "lan0", FAR))),
        ("192.0.2.11", (router("a", None, NEAR, FAR), router("b", "lan0", FAR))),
        ("192.0.2.11", (router("a", None, NEAR),)),
        ("192.0.2.11", ()),
    ],
    ids=["own address", "interface", "address", "fewer", "none"],
)
def test_what_is_named_otherwise_is_found_out_anew(
    own: str, routers: tuple[VirtualRouterConfig, ...]
) -> None:
    found = Naming()
    before = router("a", None, NEAR), router("b", "lan0", FAR)
    found.of(NodeConfig("n", 1, ("192.0.2.11",), before, ()))
    config = NodeConfig("n", 2, (own,), routers, ())
    assert found.of(config) == Naming().of(config)


def test_names_addresses_and_networks_reach_the_engine() -> None:
    alone = VipAddress("198.51.100.7", 32)
    routers = router("a", None, NEAR, FAR), router("b", "lan0", alone)
    config = NodeConfig("n", 1, ("192.0.2.11",), routers, ())
    head = {"format": FORMAT, "node": "n", "generation": 1, "links": [], "routers": []}
    file = io.BytesIO(encode({**head, "concerns": Naming().of(config)}))
    assert finished(ProgramReader().parse(read_lines(file))).concerns == Concerns(
        frozenset({"eth1", "lan0"}),
        frozenset(map(packed, ("192.0.2.11", "192.0.2.50", "2001:db8::50", "198.51.100.7"))),
        frozenset({(packed("192.0.2.0"), 24), (packed("2001:db8::"), 64)}),
    )
