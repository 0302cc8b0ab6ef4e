"""From NodeConfig and links to an engine program: slots, faults, requests."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.engine.test_program import parsed
from tests.unit.vrrp.wire import hmac_sha256

from vrrp.authentication import HmacKeys, Mode, SimplePassword, Stage
from vrrp_api.election import Authentication, ElectionSpec, Transport
from vrrp_api.node_config import NodeConfig, Peer, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.netlink import add_request, delete_request
from vrrp_speaker.compiler.program import assign_slots, compile_program
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.links.table import Link, LinkAddress, LinkTable
from vrrp_speaker.program_file import FORMAT, OWN_KEYS_FORMAT

ETH0 = Link(2, "eth0", bytes.fromhex("02005e005311"), (LinkAddress("192.0.2.11", 24, 0),))
TABLE = LinkTable((ETH0,))
_NLMSG_HEADER = struct.Struct("=IHHII")
_IFADDRMSG = struct.Struct("=BBBBI")
_IFA_CACHEINFO, _IFA_FLAGS, _IFA_PROTO, _IFA_LABEL = 6, 8, 11, 3
_NOPREFIXROUTE, _NODAD = 0x200, 0x02


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


def attributes(request: bytes) -> dict[int, bytes]:
    """Read the attributes of an address request, by netlink(7)."""
    position, found = _NLMSG_HEADER.size + _IFADDRMSG.size, {}
    while position < len(request):
        length, kind = struct.unpack_from("=HH", request, position)
        found[kind] = request[position + 4 : position + length]
        position += (length + 3) & ~3
    return found


def test_the_engine_accepts_what_the_compiler_writes() -> None:
    config = node_config(router("a", 1, "192.0.2.50", "2001:db8::50"), router("b", 2, "192.0.2.51"))
    program = parsed(compile_program(config, {}, TABLE, {}))
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
    program = parsed(compile_program(node_config(unwatched), {}, TABLE, {}))
    assert program.routers[0].probes == ()


def test_one_bad_interface_costs_one_router() -> None:
    config = node_config(
        router("bad", 1, "192.0.2.50", interface="eth9"), router("good", 2, "192.0.2.51")
    )
    program = parsed(compile_program(config, {}, TABLE, {}))
    (fault,) = program.routers[0].faults
    assert fault.startswith("InterfaceNotFound: eth9: ")
    assert program.routers[1].faults == ()
    assert program.routers[0].addresses == ()


def test_address_is_a_lease_that_nothing_on_the_node_adopts() -> None:
    for text, flags in (("192.0.2.50", _NOPREFIXROUTE), ("2001:db8::50", _NOPREFIXROUTE | _NODAD)):
        found = attributes(add_request(VipAddress(text, 32), ETH0, 7))
        preferred, valid = struct.unpack_from("=II", found[_IFA_CACHEINFO])
        assert (preferred, valid) == (0, 7)
        assert struct.unpack("=I", found[_IFA_FLAGS])[0] == flags
        assert found[_IFA_PROTO][0] == 112
    assert attributes(add_request(VipAddress("192.0.2.50", 32), ETH0, 7))[_IFA_LABEL] == (
        b"eth0:vrrp\0"
    )


def test_label_gives_way_to_a_long_interface_name() -> None:
    long = Link(3, "enp0s31f6np12", ETH0.mac, ())
    label = attributes(add_request(VipAddress("192.0.2.50", 32), long, 7))[_IFA_LABEL]
    assert label == b"enp0s31f6np12\0"


def test_requests_ask_for_an_answer_and_name_the_link() -> None:
    for request, kind in (
        (add_request(VipAddress("192.0.2.50", 24), ETH0, 7), 20),
        (delete_request(VipAddress("192.0.2.50", 24), ETH0), 21),
    ):
        length, message_type, flags, _, _ = _NLMSG_HEADER.unpack_from(request)
        family, prefix, _, _, index = _IFADDRMSG.unpack_from(request, _NLMSG_HEADER.size)
        assert (length, message_type, flags & 0x05) == (len(request), kind, 0x05)
        assert (family, prefix, index) == (2, 32, 2)


def test_names_keep_their_slots_and_freed_ones_come_last() -> None:
    assert assign_slots(["b", "c"], {"a": 0, "b": 1}) == {"b": 1, "c": 2}
    assert assign_slots(["a"], {"a": 999}) == {"a": 0}
    everyone = assign_slots([f"v{n}" for n in range(255)], {})
    assert len(set(everyone.values())) == 255


def test_link_without_hardware_address_gets_no_announcements() -> None:
    tunnel = Link(5, "wg0", b"", (LinkAddress("192.0.2.11", 24, 0),))
    program = parsed(
        compile_program(node_config(router("a", 1, "192.0.2.50")), {}, LinkTable((tunnel,)), {})
    )
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
    return parsed(compile_program(config, {}, TABLE, KEYS)).routers[0]


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
    (compiled_router,) = parsed(compile_program(config, {}, TABLE, KEYS)).routers
    secrets = {1: b"\x11" * 32, 2: b"\x22" * 32}
    label = b"kube-vrrp.io/election\0" + name.encode()
    derived = {key_id: hmac_sha256(key, label) for key_id, key in secrets.items()}
    expected = HmacKeys(secrets, 2, Mode.ENFORCE, stage=Stage.SIGN, election_keys=derived)
    assert compiled_router.authentication == expected


@pytest.mark.parametrize(
    ("stage", "format_said"),
    [(None, FORMAT), ("Accept", FORMAT), ("Sign", OWN_KEYS_FORMAT), ("Require", OWN_KEYS_FORMAT)],
)
def test_speaker_that_knows_no_own_keys_refuses_a_program_that_signs_with_one(
    stage: str | None, format_said: int
) -> None:
    """The version before takes format 3 only, and would sign otherwise than all others."""
    election = ElectionSpec(authentication=Authentication("HMAC", "cluster", "Enforce", stage))
    config = node_config(replace(router("a", 1, "192.0.2.50"), election=election))
    document = compile_program(config, {}, TABLE, KEYS)
    assert document["format"] == format_said
    assert parsed(document).generation == config.generation


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
