"""What a configuration names of its node, and that the engine reads it so."""

from __future__ import annotations

import io

from tests.unit.engine.programs import packed

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.engine.programs.program import Concerns
from vrrp_speaker.engine.programs.reading import ProgramReader, finished
from vrrp_speaker.links.concerns import concerns
from vrrp_speaker.program_file import FORMAT, encode, read_lines


def router(name: str, interface: str | None, *addresses: VipAddress) -> VirtualRouterConfig:
    return VirtualRouterConfig(name, 1, 51, interface, addresses, 200, ElectionSpec(), (), ())


def test_names_addresses_and_networks_reach_the_engine() -> None:
    near, far = VipAddress("192.0.2.50", 24), VipAddress("2001:db8::50", 64, "eth1")
    alone = VipAddress("198.51.100.7", 32)
    routers = router("a", None, near, far), router("b", "lan0", alone)
    config = NodeConfig("n", 1, ("192.0.2.11",), routers, ())
    head = {"format": FORMAT, "node": "n", "generation": 1, "links": [], "routers": []}
    file = io.BytesIO(encode({**head, "concerns": concerns(config)}))
    assert finished(ProgramReader().parse(read_lines(file))).concerns == Concerns(
        frozenset({"eth1", "lan0"}),
        frozenset(map(packed, ("192.0.2.11", "192.0.2.50", "2001:db8::50", "198.51.100.7"))),
        frozenset({(packed("192.0.2.0"), 24), (packed("2001:db8::"), 64)}),
    )
