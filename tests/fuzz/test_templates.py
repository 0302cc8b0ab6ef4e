"""Templates against what scapy and pyroute2 build, for random links and addresses.

Some hundred of them; ``make fuzz`` takes ten thousand.
"""

from __future__ import annotations

import ipaddress
import os
import random
import string

from vrrp_speaker.compiler.templates import Example, builders, link_templates
from vrrp_speaker.links.table import Link, LinkAddress, bare_object, parse_bare
from vrrp_speaker.links.templates import Hole, Kind, parse_templates

TEMPLATES = int(os.environ.get("TEMPLATES", "400"))
_A_LINK = 20
"""So many addresses are tried with one link."""
_OF_IPV6 = {Kind.ADD_IPV6, Kind.DELETE_IPV6, Kind.NA, Kind.NEIGHBOR_PROBE}


def random_link(rng: random.Random) -> Link:
    name = "".join(rng.choices(string.ascii_letters + string.digits + ".-_@", k=rng.randint(1, 15)))
    mac = rng.choice((rng.randbytes(6), bytes(6), b"\xff" * 6, b"", rng.randbytes(6)))
    index = rng.choice((1, 2, rng.randint(1, 2**31 - 1), 2**31 - 1))
    # What of a link is no template's does not show in it.
    addresses = (LinkAddress("192.0.2.1", 24, 0),) * rng.randint(0, 1)
    return Link(index, name, mac, addresses, rng.random() < 0.5)


def random_example(rng: random.Random, link: Link, *, ipv6: bool) -> Example:
    size = 16 if ipv6 else 4
    # Some addresses look like what is around them: the link's own bytes, zeroes, ones.
    around = (link.mac * 4)[:size]
    odd = rng.choice((bytes(size), b"\xff" * size, around.ljust(size, b"\x01")))
    packed = odd if rng.random() < 0.2 else rng.randbytes(size)
    address = ipaddress.IPv6Address(packed) if ipv6 else ipaddress.IPv4Address(packed)
    text = str(address)
    lifetime_s = rng.choice((1, 3, rng.randint(1, 2**32 - 2), 2**32 - 1))
    return Example(text, rng.randint(0, 8 * size), lifetime_s)


def test_filled_templates_are_what_the_libraries_build() -> None:
    compared = 0
    for seed in range(max(1, TEMPLATES // _A_LINK)):
        rng = random.Random(seed)
        link = random_link(rng)
        made = link_templates(parse_bare(bare_object(link)))
        told = parse_templates({str(kind): t.to_object() for kind, t in made.items()})
        assert set(told) == {kind for kind, _ in builders(link)}
        for kind, build in builders(link):
            assert Hole.ADDRESS in dict(told[kind].holes)
            for _ in range(_A_LINK):
                example = random_example(rng, link, ipv6=kind in _OF_IPV6)
                filled = told[kind].fill(example.packed, example.lifetime_s)
                assert filled == build(example), (seed, link, kind, example)
                compared += 1
    print(f"{compared} templates filled")
    assert compared >= TEMPLATES
