"""From NodeConfig and links to an engine program: slots, faults, requests."""

from __future__ import annotations

import struct

from vrrp_api.node_config import NodeConfig, Peer, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.links import Link, LinkAddress, LinkTable
from vrrp_speaker.compiler.netlink import add_request, delete_request
from vrrp_speaker.compiler.program import assign_slots, compile_program
from vrrp_speaker.engine.program import parse_program

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
        advertisement_interval_ns=200_000_000,
        preempt=True,
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
    program = parse_program(compile_program(config, {}, TABLE))
    assert (program.node, program.generation) == ("node-1", 9)
    first = program.routers[0]
    assert (first.name, first.vrid, first.ifindex, first.has_checks) == ("a", 1, 2, True)
    assert [len(a.address) for a in first.addresses] == [4, 16]
    assert [str(a.kind) for a in first.announcements] == [
        "GratuitousARPRequest",
        "GratuitousARPReply",
        "UnsolicitedNA",
    ]


def test_one_bad_interface_costs_one_router() -> None:
    config = node_config(
        router("bad", 1, "192.0.2.50", interface="eth9"), router("good", 2, "192.0.2.51")
    )
    program = parse_program(compile_program(config, {}, TABLE))
    faults = {r.name: r.faults for r in program.routers}
    assert faults == {"bad": ("InterfaceNotFound: eth9",), "good": ()}
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
        assert (family, prefix, index) == (2, 24, 2)


def test_names_keep_their_slots_and_freed_ones_come_last() -> None:
    assert assign_slots(["b", "c"], {"a": 0, "b": 1}) == {"b": 1, "c": 2}
    assert assign_slots(["a"], {"a": 999}) == {"a": 0}
    everyone = assign_slots([f"v{n}" for n in range(255)], {})
    assert len(set(everyone.values())) == 255


def test_link_without_hardware_address_gets_no_announcements() -> None:
    tunnel = Link(5, "wg0", b"", (LinkAddress("192.0.2.11", 24, 0),))
    program = parse_program(
        compile_program(node_config(router("a", 1, "192.0.2.50")), {}, LinkTable((tunnel,)))
    )
    assert program.routers[0].announcements == ()
    assert program.routers[0].faults == ()
