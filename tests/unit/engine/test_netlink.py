"""The engine's netlink parser, with pyroute2 as the oracle for the bytes."""

from __future__ import annotations

import itertools
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from tests.unit.engine.programs import packed

from vrrp_speaker.engine.network.netlink import (
    NUD_INCOMPLETE,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    AddressNews,
    LinkNews,
    RequestSocket,
    delete_address_request,
    parse_news,
)

IFF_UP, IFF_RUNNING = 0x1, 0x40


def link_message(kind: int, flags: int, family: int = 0) -> bytes:
    message = ifinfmsg()
    message["header"]["type"] = kind
    message["family"], message["index"], message["flags"] = family, 7, flags
    message["attrs"] = [("IFLA_MTU", 1500), ("IFLA_IFNAME", "eth0")]
    message.encode()
    return bytes(message.data)


def address_message(kind: int, address: str, protocol: int | None) -> bytes:
    message = ifaddrmsg()
    message["header"]["type"] = kind
    message["family"] = socket.AF_INET6 if ":" in address else socket.AF_INET
    message["index"], message["prefixlen"] = 7, 24
    message["attrs"] = [("IFA_ADDRESS", address)]
    if ":" not in address:
        message["attrs"].append(("IFA_LOCAL", address))
    if protocol is not None:
        message["attrs"].append(("IFA_PROTO", protocol))
    message.encode()
    return bytes(message.data)


@pytest.mark.parametrize(
    ("kind", "flags", "family", "expected"),
    [
        (RTM_NEWLINK, IFF_UP | IFF_RUNNING, 0, LinkNews(7, "eth0", True, True)),
        (RTM_NEWLINK, IFF_UP, 0, LinkNews(7, "eth0", False, True)),
        (RTM_NEWLINK, IFF_RUNNING, 0, LinkNews(7, "eth0", False, True)),
        (RTM_DELLINK, IFF_UP | IFF_RUNNING, 0, LinkNews(7, "eth0", False, False)),
    ],
)
def test_parse_link_news(kind: int, flags: int, family: int, expected: LinkNews) -> None:
    assert list(parse_news(link_message(kind, flags, family))) == [expected]


def test_parse_port_leaving_a_bridge_keeps_the_link_present() -> None:
    (news,) = parse_news(link_message(RTM_DELLINK, IFF_UP | IFF_RUNNING, socket.AF_BRIDGE))
    assert news.present


@pytest.mark.parametrize("address", ["192.0.2.50", "2001:db8::50"])
@pytest.mark.parametrize(("protocol", "expected"), [(112, 112), (None, 0)])
@pytest.mark.parametrize(("kind", "present"), [(RTM_NEWADDR, True), (RTM_DELADDR, False)])
def test_parse_address_news(
    address: str, protocol: int | None, expected: int, kind: int, present: bool
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    (news,) = parse_news(address_message(kind, address, protocol))
    assert news == AddressNews(7, packed, 24, expected, present)


def test_parse_several_messages_in_one_datagram() -> None:
    data = link_message(RTM_NEWLINK, 0) + address_message(RTM_NEWADDR, "192.0.2.50", 112)
    assert [type(news) for news in parse_news(data)] == [LinkNews, AddressNews]


@given(st.binary(max_size=300))
def test_parse_any_bytes_never_fails(data: bytes) -> None:
    list(parse_news(data))


def test_parse_truncated_message_gives_nothing_wrong() -> None:
    whole = address_message(RTM_NEWADDR, "192.0.2.50", 112)
    for length in range(len(whole)):
        assert list(parse_news(whole[:length])) == []


@pytest.mark.parametrize("address", ["192.0.2.50", "2001:db8::50"])
def test_delete_request_reads_back_as_the_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    request = delete_address_request(AddressNews(7, packed, 24, 112, present=True))
    decoded = ifaddrmsg(request)
    decoded.decode()
    assert (decoded["index"], decoded["prefixlen"]) == (7, 24)
    assert decoded.get_attr("IFA_LOCAL") == address


NLMSG_DONE, NLM_F_MULTI, NLM_F_DUMP_INTR = 3, 0x2, 0x10


class Dumps:
    """Stands for the kernel: while interruptions are left, its dumps lack what they have."""

    def __init__(self, interruptions: int) -> None:
        self.interruptions = interruptions
        self.asked = 0
        self._answers: list[bytes] = []

    def send(self, request: bytes) -> None:
        kind, sequence = struct.unpack_from("=HxxI", request, 4)
        interrupted = self.interruptions > 0
        self.interruptions -= interrupted
        self.asked += 1
        whole = (
            link_message(RTM_NEWLINK, IFF_UP)
            if kind == RTM_GETLINK
            else address_message(RTM_NEWADDR, "192.0.2.11", None)
        )
        whole = whole[:8] + struct.pack("=I", sequence) + whole[12:]
        flags = NLM_F_MULTI | (NLM_F_DUMP_INTR if interrupted else 0)
        done = struct.pack("=IHHIIi", 20, NLMSG_DONE, flags, sequence, 0, 0)
        self._answers += [done] if interrupted else [whole, done]

    def recv(self, _size: int) -> bytes:
        return self._answers.pop(0)


def dump(kernel: Dumps) -> list[object]:
    requests = RequestSocket.__new__(RequestSocket)
    vars(requests).update(_socket=kernel, _sequences=itertools.count(1))
    return list(requests.dump())


def test_dump_during_which_something_changed_is_asked_for_again() -> None:
    """It may lack a link that did not change: no news would ever tell of that one."""
    kernel = Dumps(interruptions=2)
    assert dump(kernel) == [
        LinkNews(7, "eth0", False, True),
        AddressNews(7, socket.inet_aton("192.0.2.11"), 24, 0, True),
    ]
    assert kernel.asked == 4


def test_dump_where_something_always_changes_ends() -> None:
    assert dump(Dumps(interruptions=1000)) == []


# Neighbours ------------------------------------------------------------------------------


class Kernel:
    """Answers a question for a neighbour with one message."""

    def __init__(self, kind: int, body: bytes) -> None:
        self.kind, self.body = kind, body
        self.question = ndmsg()

    def send(self, request: bytes) -> None:
        self.question = ndmsg(request)
        self.question.decode()

    def recv(self, _size: int) -> bytes:
        sequence = self.question["header"]["sequence_number"]
        return struct.pack("=IHHII", 16 + len(self.body), self.kind, 0, sequence, 0) + self.body


def ask(monkeypatch: pytest.MonkeyPatch, kernel: Kernel, address: str) -> int:
    requests = RequestSocket()
    requests.close()
    monkeypatch.setattr(requests, "_socket", kernel)
    return requests.neighbour_state(7, packed(address))


@pytest.mark.parametrize("address", ["192.0.2.12", "2001:db8::12"])
def test_neighbour_state_is_asked_of_one_neighbour(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    answer = ndmsg()
    answer["ifindex"], answer["state"], answer["ndm_type"] = 7, 0x01, 1
    answer.encode()
    kernel = Kernel(RTM_NEWNEIGH, bytes(answer.data)[16:])
    assert ask(monkeypatch, kernel, address) == NUD_INCOMPLETE
    question = kernel.question
    assert (question["header"]["type"], question["header"]["flags"]) == (30, 1)
    assert (question["ifindex"], question["state"]) == (7, 0)
    assert question.get_attr("NDA_DST") == address


@pytest.mark.parametrize(
    ("kind", "body"),
    [(2, struct.pack("=i", -2) + bytes(16)), (RTM_NEWNEIGH, bytes(4)), (RTM_NEWADDR, bytes(24))],
)
def test_neighbour_that_is_not_there_has_no_state(
    monkeypatch: pytest.MonkeyPatch, kind: int, body: bytes
) -> None:
    assert ask(monkeypatch, Kernel(kind, body), "192.0.2.12") == 0


def test_neighbour_that_cannot_be_asked_for_has_no_state() -> None:
    requests = RequestSocket()
    requests.close()
    assert requests.neighbour_state(7, packed("192.0.2.12")) == 0
