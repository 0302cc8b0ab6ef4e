"""Which news the kernel keeps back: what pods do, and what we did ourselves.

A pod that starts or ends is a dozen messages of links and addresses, on a busy node every second. A
BPF program on the socket judges them in the kernel. It lets pass whatever it is not sure about;
``NodeNetwork`` looks at the rest. Source: rtnetlink(7), linux/filter.h (``SKF_AD_NLATTR``).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from vrrp_speaker.engine.wire import bpf

_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS = 16, 17, 20, 21
_TYPE, _PORT = 4, 12  # of the header
_FAMILY, _PREFIX_LENGTH, _SCOPE = 16, 17, 19  # of ifaddrmsg, behind the header
_INDEX = 20
"""Of both: ifa_index and ifi_index."""
_ADDRESS_ATTRIBUTES, _LINK_ATTRIBUTES = 24, 32
_IFA_ADDRESS, _IFA_LOCAL, _IFLA_LINKINFO, _IFLA_INFO_KIND = 1, 2, 18, 1
_HEADER = 4  # of an attribute: its length, its type
_SCOPE_LINK = 253
_LINK_LOCAL = 0xFE  # the first byte of fe80::/10
_PODS = b"veth"
_MOST_LINKS, _MOST_ADDRESSES = 64, 300
"""Beyond so many the engine compares, so that the filter stays small."""

_PASS, _KEEP_BACK = (bpf.RETURN, 0, 0, bpf.ALL), (bpf.RETURN, 0, 0, 0)

Block = list[bpf.Instruction]


@dataclass(frozen=True, slots=True)
class Attention:
    """What the news are to be about.

    ``links``: indexes of those that matter. ``addresses``: packed; they matter wherever they are,
    and so does any in one of the ``networks``, each an address and its prefix length.
    ``all_links``: any link may be the one that is waited for. ``everything``: keep nothing back.
    """

    links: frozenset[int] = frozenset()
    addresses: frozenset[bytes] = frozenset()
    networks: frozenset[tuple[bytes, int]] = frozenset()
    all_links: bool = False
    everything: bool = False

    def wider_than(self, other: Attention) -> bool:
        """Return whether news of links pass that did not before: then some may have been missed."""
        if other.everything:
            return False
        more = bool(self.links - other.links) and not other.all_links
        return self.everything or more or (self.all_links and not other.all_links)


EVERYTHING = Attention(everything=True)


def news_filter(attention: Attention, passed_over: int | None) -> bytes:
    """Return the BPF program of a socket of news.

    ``passed_over``: the netlink port of those requests whose new addresses are no news.
    """
    own = _when_word(_PORT, socket.htonl(passed_over), [_KEEP_BACK]) if passed_over else []
    addresses, links = own, Block()
    if not attention.everything:
        used = _used_links(attention.links)
        removed = [*used, *_other_address(attention)]
        addresses = [*own, *removed]
        links = [] if attention.all_links else [*used, *_other_link()]
    else:
        removed = []
    return bpf.assemble(
        [
            (bpf.LOAD_HALF, 0, 0, _TYPE),
            *_when(socket.htons(_NEW_ADDRESS), [*addresses, _PASS]),
            *_when(socket.htons(_DELETE_ADDRESS), [*removed, _PASS]),
            *_when(socket.htons(_NEW_LINK), [*links, _PASS]),
            *_when(socket.htons(_DELETE_LINK), [*links, _PASS]),
            _PASS,
        ]
    )


def _used_links(links: frozenset[int]) -> Block:
    """Let pass what is about one of these links."""
    if len(links) > _MOST_LINKS:
        return [_PASS]
    wanted = (socket.htonl(index) for index in sorted(links))
    return [(bpf.LOAD_WORD, 0, 0, _INDEX), *_pass_if_one_of(wanted)]


def _other_address(attention: Attention) -> Block:
    """Let pass an address that matters on whichever link, or whose subnet may."""
    hosts = [(address, 8 * len(address)) for address in attention.addresses]
    four, six = (
        [(a, length) for a, length in (*hosts, *attention.networks) if len(a) == size]
        for size in (4, 16)
    )
    local = [(address, length) for address, length in six if address[0] == _LINK_LOCAL]
    return [
        (bpf.LOAD_BYTE, 0, 0, _FAMILY),
        *_when(
            socket.AF_INET,
            [(bpf.LOAD_BYTE, 0, 0, _PREFIX_LENGTH), *_when(32, _within(_IFA_LOCAL, four)), _PASS],
        ),
        # Every link has the subnet of link-local addresses: it leads to none.
        (bpf.LOAD_BYTE, 0, 0, _SCOPE),
        *_when(_SCOPE_LINK, [*_unless_found(_IFA_LOCAL), *_within(_IFA_ADDRESS, local)]),
        (bpf.LOAD_BYTE, 0, 0, _PREFIX_LENGTH),
        *_when(128, [*_unless_found(_IFA_LOCAL), *_within(_IFA_ADDRESS, six)]),
        _PASS,
    ]


def _within(attribute: int, networks: list[tuple[bytes, int]]) -> Block:
    """Let pass an address without a subnet if it is in one of these networks."""
    if len(networks) > _MOST_ADDRESSES:
        return [_PASS]
    wanted = dict.fromkeys(_word(*network) for network in sorted(networks))
    found: Block = [
        *_find(attribute, _ADDRESS_ATTRIBUTES),
        *_when(0, [_PASS]),
        (bpf.INDEX_BY_ACCUMULATOR, 0, 0, 0),
    ]
    for at, mask, value in wanted:
        found += [
            (bpf.LOAD_WORD_INDEXED, 0, 0, _HEADER + at),
            (bpf.AND, 0, 0, mask),
            (bpf.JUMP_IF_EQUAL, 0, 1, value),
            _PASS,
        ]
    return [*found, _KEEP_BACK]


def _word(address: bytes, prefix_length: int) -> tuple[int, int, int]:
    """Return where to look in an address, with which mask, and what is there in a network.

    Of sixteen bytes the last four that the prefix length covers keep most of the others back.
    """
    at = max(0, (prefix_length + 31) // 32 - 1) * 4
    mask = (0xFFFFFFFF << (at * 8 + 32 - prefix_length)) & 0xFFFFFFFF
    return at, mask, int.from_bytes(address[at : at + 4]) & mask


def _unless_found(attribute: int) -> Block:
    """Let pass what has this attribute: an IPv6 address with a peer."""
    absent: Block = [(bpf.JUMP_IF_EQUAL, 1, 0, 0), _PASS]
    return [*_find(attribute, _ADDRESS_ATTRIBUTES), *absent]


def _other_link() -> Block:
    """Keep back what is about the links of pods."""
    return [
        *_find(_IFLA_LINKINFO, _LINK_ATTRIBUTES),
        *_when(0, [_PASS]),
        (bpf.LOAD_INDEX, 0, 0, _IFLA_INFO_KIND),
        (bpf.LOAD_WORD, 0, 0, bpf.NESTED_ATTRIBUTE),
        *_when(0, [_PASS]),
        (bpf.INDEX_BY_ACCUMULATOR, 0, 0, 0),
        (bpf.LOAD_HALF_INDEXED, 0, 0, 0),
        *_when(
            socket.htons(_HEADER + len(_PODS) + 1),
            [
                (bpf.LOAD_WORD_INDEXED, 0, 0, _HEADER),
                *_when(int.from_bytes(_PODS), [_KEEP_BACK]),
            ],
        ),
    ]


def _find(attribute: int, begin: int) -> Block:
    """Load where an attribute is, searched for from an offset on; 0: it is not there."""
    return [
        (bpf.LOAD_CONSTANT, 0, 0, begin),
        (bpf.LOAD_INDEX, 0, 0, attribute),
        (bpf.LOAD_WORD, 0, 0, bpf.ATTRIBUTE),
    ]


def _when(value: int, block: Block) -> Block:
    """Do this if the accumulator is that value; a block may be longer than a branch reaches."""
    return [(bpf.JUMP_IF_EQUAL, 1, 0, value), (bpf.JUMP, 0, 0, len(block)), *block]


def _when_word(offset: int, value: int, block: Block) -> Block:
    return [(bpf.LOAD_WORD, 0, 0, offset), *_when(value, block)]


def _pass_if_one_of(values: Iterable[int]) -> Block:
    found = Block()
    for value in values:
        found += [(bpf.JUMP_IF_EQUAL, 0, 1, value), _PASS]
    return found
