"""What a router sends: ready bytes, from the templates of its links or as they stand in a program.

A program of format 5 has templates for each link and only the addresses for each router. Those of
earlier agents, which a speaker finds when it begins after an update, have the bytes themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vrrp.constants import Family
from vrrp_speaker.engine.programs.fields import Fields
from vrrp_speaker.engine.programs.program import AddressProgram, Frame
from vrrp_speaker.links.templates import Kind, Template, Templates, parse_templates
from vrrp_speaker.shared_state import FrameKind
from vrrp_speaker.shared_state.layout import IPV6_KINDS, KINDS

MAX_INDEX = 2**31 - 1
Links = Mapping[int, Templates]
"""The templates of each link, by its index."""
_REQUESTS = {
    Family.IPV4: (Kind.ADD_IPV4, Kind.DELETE_IPV4),
    Family.IPV6: (Kind.ADD_IPV6, Kind.DELETE_IPV6),
}
_ANNOUNCEMENTS = {
    Family.IPV4: (Kind.ARP_REQUEST, Kind.ARP_REPLY),
    Family.IPV6: (Kind.NA,),
}
_PROBES = {Family.IPV4: (Kind.ARP_PROBE,), Family.IPV6: (Kind.NEIGHBOR_PROBE,)}


@dataclass(frozen=True, slots=True)
class Sent:
    """Everything that a router sends besides advertisements."""

    addresses: tuple[AddressProgram, ...]
    announcements: tuple[Frame, ...]
    source_announcements: tuple[Frame, ...]
    probes: tuple[Frame, ...]


def links_of(head: Fields) -> Links:
    """Return the templates that a program's head holds.

    Raises:
        ProgramError: the first wrong field.
    """
    links: dict[int, Templates] = {}
    for item in head.items("links"):
        try:
            templates = parse_templates(item.raw.get("templates"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise item.hidden("templates", f"templates by kind: {error}") from error
        links[item.integer("ifindex", 1, MAX_INDEX)] = templates
    return links


def filled(fields: Fields, family: Family, lease_s: int, links: Links) -> Sent:
    """Return what a router sends, filled into the templates of its links.

    Raises:
        ProgramError: the first wrong field.
    """
    addresses, announcements, probes = [], [], []
    asks = fields.boolean("detectConflicts")
    for item in fields.items("addresses"):
        of = Family(item.choice("family", (4, 6)))
        packed, ifindex = item.address("address", of), item.integer("ifindex", 1, MAX_INDEX)
        templates = _templates(item, links)
        add, delete = (_request(item, templates, kind) for kind in _REQUESTS[of])
        addresses.append(
            AddressProgram(
                address=packed,
                prefix_length=item.integer("prefixLength", 0, 128),
                ifindex=ifindex,
                add=add.fill(packed, lease_s) + _route(item, "addRoute"),
                delete=delete.fill(packed) + _route(item, "deleteRoute"),
            )
        )
        announcements += _frames(templates, _ANNOUNCEMENTS[of], packed, ifindex)
        if asks:
            probes += _frames(templates, _PROBES[of], packed, ifindex)
    sources: Iterable[Frame] = ()
    if fields.boolean("announceSource"):
        source, ifindex = fields.address("source", family), fields.integer("ifindex", 1, MAX_INDEX)
        sources = _frames(_templates(fields, links), _ANNOUNCEMENTS[family], source, ifindex)
    return Sent(tuple(addresses), tuple(announcements), fields.share(tuple(sources)), tuple(probes))


def as_written(fields: Fields) -> Sent:
    """Return what a router sends, as the program of an earlier agent has it.

    Raises:
        ProgramError: the first wrong field.
    """
    return Sent(
        addresses=tuple(_address(item) for item in fields.items("addresses")),
        announcements=tuple(_announcement(item) for item in fields.items("announcements")),
        source_announcements=fields.share(
            tuple(_announcement(item) for item in fields.items("sourceAnnouncements"))
        ),
        probes=tuple(_announcement(item) for item in fields.items("probes")),
    )


def _route(fields: Fields, key: str) -> bytes:
    """Return a request for the route that comes with an address; most come with none."""
    return fields.hexadecimal(key) if key in fields.raw else b""


def _templates(fields: Fields, links: Links) -> Templates:
    templates = links.get(fields.integer("ifindex", 1, MAX_INDEX))
    if templates is None:
        raise fields.fail("ifindex", f"one of program.links: {', '.join(map(str, links))}")
    return templates


def _request(fields: Fields, templates: Templates, kind: Kind) -> Template:
    template = templates.get(kind)
    if template is None:
        raise fields.fail("ifindex", f"a link with a template {kind}")
    return template


def _frames(
    templates: Templates, kinds: Iterable[Kind], address: bytes, ifindex: int
) -> list[Frame]:
    """Return frames about an address; none of a link without neighbours to tell."""
    return [
        Frame(address, ifindex, FrameKind(kind), templates[kind].fill(address))
        for kind in kinds
        if kind in templates
    ]


def _address(fields: Fields) -> AddressProgram:
    return AddressProgram(
        address=fields.address("address", Family(fields.choice("family", (4, 6)))),
        prefix_length=fields.integer("prefixLength", 0, 128),
        ifindex=fields.integer("ifindex", 1, 2**31 - 1),
        add=fields.hexadecimal("add"),
        delete=fields.hexadecimal("delete"),
    )


def _announcement(fields: Fields) -> Frame:
    kind = fields.text("kind")
    if kind not in KINDS:
        raise fields.fail("kind", ", ".join(KINDS))
    family = Family.IPV6 if kind in IPV6_KINDS else Family.IPV4
    return Frame(
        address=fields.address("address", family),
        ifindex=fields.integer("ifindex", 1, 2**31 - 1),
        kind=FrameKind(kind),
        data=fields.hexadecimal("frame"),
    )
