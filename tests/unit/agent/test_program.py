"""From NodeConfig and links to an engine program: slots, faults, keys, what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.engine.test_program import parsed
from tests.unit.vrrp.wire import hmac_sha256

from vrrp.authentication import HmacKeys, Mode, SimplePassword, Stage
from vrrp_api.election import Authentication, ElectionSpec, Transport
from vrrp_api.node_config import NodeConfig, Peer, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.programs.placing import Placing, assign_slots
from vrrp_speaker.compiler.templates import link_templates
from vrrp_speaker.engine.programs.program import EngineProgram, RouterProgram
from vrrp_speaker.links.table import Link, LinkAddress, LinkTable

ETH0 = Link(2, "eth0", bytes.fromhex("02005e005311"), (LinkAddress("192.0.2.11", 24, 0),))
TABLE = LinkTable((ETH0,))


def router(
    name: str, vrid: int, *addresses: str, interface: str | None = None
) -> VirtualRouterConfig:
    return VirtualRouterConfig(
        name=name,
        virtual_ip_generation=4,
        virtual_router_id=vrid,
        interface=interface,
        addresses=tuple(VipAddress(a, 128 if ":" in a else 24) for a in addresses),
        base_priority=200,
        election=ElectionSpec(),
        peers=(Peer("node-2", "192.0.2.12", 180),),
        health_checks=(RouterCheck("web", 0),),
    )


def node_config(*routers: VirtualRouterConfig) -> NodeConfig:
    return NodeConfig("node-1", 9, ("192.0.2.11",), routers, ())


def objects_of(link: Link) -> dict[str, Any]:
    """Return a link's templates as the compiler tells them."""
    return {str(kind): template.to_object() for kind, template in link_templates(link).items()}


def program_of(
    config: NodeConfig,
    table: LinkTable = TABLE,
    keys: Mapping[str, Mapping[str, Any]] | None = None,
) -> EngineProgram:
    """Return a configuration's program as the engine takes it."""
    placed = Placing().place(config, {}, table, keys or {})
    return parsed(placed.program({link: objects_of(link) for link in placed.links}))


def test_the_engine_accepts_what_the_agent_writes() -> None:
    config = node_config(router("a", 1, "192.0.2.50", "2001:db8::50"), router("b", 2, "192.0.2.51"))
    program = program_of(config)
    assert (program.node, program.generation) == ("node-1", 9)
    first = program.routers[0]
    assert (first.name, first.vrid, first.ifindex, first.has_checks) == ("a", 1, 2, True)
    assert [len(a.address) for a in first.addresses] == [4, 16]
    assert [str(a.kind) for a in first.announcements] == [
        "GratuitousARPRequest",
        "GratuitousARPReply",
        "UnsolicitedNA",
    ]
    assert [(str(p.kind), p.address) for p in first.probes] == [
        ("ARPProbe", first.addresses[0].address),
        ("NeighborProbe", first.addresses[1].address),
    ]


def test_without_conflict_detection_there_are_no_probes() -> None:
    unwatched = replace(router("a", 1, "192.0.2.50"), detect_conflicts=False)
    program = program_of(node_config(unwatched))
    assert program.routers[0].probes == ()


def test_one_bad_interface_costs_one_router() -> None:
    config = node_config(
        router("bad", 1, "192.0.2.50", interface="eth9"), router("good", 2, "192.0.2.51")
    )
    program = program_of(config)
    (fault,) = program.routers[0].faults
    assert fault.startswith("InterfaceNotFound: eth9: ")
    assert program.routers[1].faults == ()
    assert program.routers[0].addresses == ()


def test_names_keep_their_slots_and_freed_ones_come_last() -> None:
    assert assign_slots(["b", "c"], {"a": 0, "b": 1}) == {"b": 1, "c": 2}
    assert assign_slots(["a"], {"a": 999}) == {"a": 0}
    everyone = assign_slots([f"v{n}" for n in range(255)], {})
    assert len(set(everyone.values())) == 255


def test_link_without_hardware_address_gets_no_announcements() -> None:
    tunnel = Link(5, "wg0", b"", (LinkAddress("192.0.2.11", 24, 0),))
    program = program_of(node_config(router("a", 1, "192.0.2.50")), LinkTable((tunnel,)))
    assert program.routers[0].announcements == program.routers[0].probes == ()
    assert program.routers[0].faults == ()


KEYS: dict[str, dict[str, Any]] = {
    "cluster": {"keys": {"1": "11" * 32, "2": "22" * 32}, "active": 2, "password": None},
    "old": {"keys": {}, "active": None, "password": "7365637265743132"},
    "broken": {"error": "broken.1: 10 bytes (accepted: 32 to 64)"},
}


def compiled(authentication: Authentication, version: int = 3) -> RouterProgram:
    interval_ns = 200_000_000 if version == 3 else 1_000_000_000
    election = ElectionSpec(
        version=version,
        advertisement_interval_ns=interval_ns,
        authentication=authentication,
        transport=Transport(external_peers=("192.0.2.99",)),
    )
    config = node_config(replace(router("a", 1, "192.0.2.50"), election=election))
    return program_of(config, keys=KEYS).routers[0]


def test_keys_reach_the_engine_by_their_ref() -> None:
    hmac = compiled(Authentication("HMAC", "cluster", "Permissive")).authentication
    assert hmac == HmacKeys({1: b"\x11" * 32, 2: b"\x22" * 32}, 2, Mode.PERMISSIVE)
    simple = compiled(Authentication("Simple", "old"), version=2).authentication
    assert simple == SimplePassword(b"secret12")
    assert compiled(Authentication("None")).authentication is None


@pytest.mark.parametrize("name", ["a", "b"])
def test_keys_of_an_election_are_derived_here(name: str) -> None:
    election = ElectionSpec(authentication=Authentication("HMAC", "cluster", "Enforce", "Sign"))
    config = node_config(replace(router(name, 1, "192.0.2.50"), election=election))
    (compiled_router,) = program_of(config, keys=KEYS).routers
    secrets = {1: b"\x11" * 32, 2: b"\x22" * 32}
    label = b"kube-vrrp.io/election\0" + name.encode()
    derived = {key_id: hmac_sha256(key, label) for key_id, key in secrets.items()}
    expected = HmacKeys(secrets, 2, Mode.ENFORCE, stage=Stage.SIGN, election_keys=derived)
    assert compiled_router.authentication == expected


def test_speaker_of_an_earlier_version_refuses_the_program() -> None:
    """It takes formats 3 and 4, whose routers have what they send as ready bytes."""
    placed = Placing().place(node_config(router("a", 1, "192.0.2.50")), {}, TABLE, {})
    assert placed.program({link: objects_of(link) for link in placed.links})["format"] > 4


def test_router_that_did_not_change_keeps_its_document() -> None:
    placing, one, two = Placing(), router("a", 1, "192.0.2.50"), router("b", 2, "192.0.2.51")
    before = placing.place(node_config(one, two), {}, TABLE, KEYS).routers
    changed = replace(two, base_priority=99)
    after = placing.place(node_config(one, changed), {"a": 0, "b": 1}, TABLE, KEYS).routers
    assert after[0] is before[0]
    assert after[1].document["basePriority"] == 99


@pytest.mark.parametrize(
    ("addresses", "links", "keys"),
    [
        (("192.0.2.12",), TABLE, {}),
        (("192.0.2.11",), LinkTable((replace(ETH0, index=7),)), {}),
        (("192.0.2.11",), TABLE, KEYS),
    ],
)
def test_router_follows_the_node_its_links_and_keys(
    addresses: tuple[str, ...], links: LinkTable, keys: dict[str, Any]
) -> None:
    election = ElectionSpec(authentication=Authentication("HMAC", "cluster"))
    config = node_config(replace(router("a", 1, "192.0.2.50"), election=election))
    placing = Placing()
    (before,) = placing.place(config, {}, TABLE, {}).routers
    (after,) = placing.place(replace(config, addresses=addresses), {}, links, keys).routers
    fresh = Placing().place(replace(config, addresses=addresses), {}, links, keys).routers
    assert (after,) == fresh
    assert after is not before


@pytest.mark.parametrize(
    ("authentication", "fault"),
    [
        (
            Authentication("HMAC", "absent"),
            "AuthenticationKeyMissing: absent: no such key on the node"
            " (accepted: absent.1 to absent.255 in its key folder)",
        ),
        (
            Authentication("HMAC", "old"),
            "AuthenticationKeyMissing: old: no such key on the node"
            " (accepted: old.1 to old.255 in its key folder)",
        ),
        (
            Authentication("Simple", "cluster"),
            "AuthenticationKeyMissing: cluster: no such key on the node"
            " (accepted: cluster.pass in its key folder)",
        ),
        (
            Authentication("HMAC", "broken"),
            "AuthenticationKeyInvalid: broken.1: 10 bytes (accepted: 32 to 64)",
        ),
    ],
)
def test_router_without_its_key_is_held_rather_than_run_plain(
    authentication: Authentication, fault: str
) -> None:
    assert compiled(authentication, version=2).faults == (fault,)


def test_external_peers_come_after_the_nodes() -> None:
    peers = compiled(Authentication("None")).peers
    assert [(peer.node, peer.external) for peer in peers] == [
        ("node-2", False),
        ("192.0.2.99", True),
    ]
