"""Programs that are filled into templates, and what is read of them again."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.engine.test_program import document, parsed

from vrrp_speaker.compiler.templates import link_templates
from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.reading import ProgramReader, finished
from vrrp_speaker.engine.programs.set_aside import SetAside
from vrrp_speaker.links.table import Link
from vrrp_speaker.program_file import FORMAT, encode, fingerprint, read_lines
from vrrp_speaker.shared_state import EngineFault


def with_templates(change: Callable[[dict[str, Any]], object] = lambda _: None) -> dict[str, Any]:
    """Return a program whose two routers are filled into the templates of one link."""
    link = Link(2, "eth0", bytes.fromhex("02005e005311"), ())
    templates = {str(kind): made.to_object() for kind, made in link_templates(link).items()}
    program = document()
    (one,) = program["routers"]
    for unused in ("announcements", "sourceAnnouncements", "probes"):
        del one[unused]
    (address,) = one["addresses"]
    del address["add"], address["delete"]
    one |= {"detectConflicts": True, "announceSource": True}
    two = {**one, "name": "web", "slot": 4, "vrid": 52}
    program |= {
        "format": FORMAT,
        "links": [{"ifindex": 2, "templates": templates}],
        "routers": [one, two],
    }
    change(program)
    return program


def test_templates_are_filled_for_each_address() -> None:
    router = parsed(with_templates()).routers[0]
    (address,) = router.addresses
    assert address.add.count(bytes([192, 0, 2, 50])) == 2
    assert address.delete.count(bytes([192, 0, 2, 50])) == 2
    assert [str(frame.kind) for frame in router.announcements] == [
        "GratuitousARPRequest",
        "GratuitousARPReply",
    ]
    assert [str(frame.kind) for frame in router.probes] == ["ARPProbe"]
    assert all(bytes([192, 0, 2, 11]) in frame.data for frame in router.source_announcements)
    assert len(router.source_announcements) == 2


def test_route_follows_the_request_of_its_address() -> None:
    routes = {"addRoute": "aa01", "deleteRoute": "aa02"}
    program = parsed(with_templates(lambda p: p["routers"][0]["addresses"][0].update(routes)))
    plain, routed = parsed(with_templates()).routers[0], program.routers[0]
    assert routed.addresses[0].add == plain.addresses[0].add + b"\xaa\x01"
    assert routed.addresses[0].delete == plain.addresses[0].delete + b"\xaa\x02"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda p: p["routers"][0]["addresses"][0].update(ifindex=9),
            "program.routers[0].addresses[0].ifindex: 9 (accepted: one of program.links: 2",
        ),
        (
            lambda p: p["links"][0]["templates"].pop("add4"),
            "program.routers[0].addresses[0].ifindex: 2 (accepted: a link with a template add4",
        ),
        (
            lambda p: p["links"][0]["templates"]["add4"].update(holes=[["address", 91]]),
            "program.links[0].templates: wrong",
        ),
        (
            lambda p: p["links"][0]["templates"].update(shout={"data": "00", "holes": []}),
            "program.links[0].templates: wrong",
        ),
        (lambda p: p.pop("links"), "program.links: None (accepted: a list"),
        (lambda p: p["routers"].append(p["routers"][0]), "program.routers[2]: is there twice"),
    ],
    ids=["unknown link", "no template", "hole outside", "unknown kind", "no links", "twice"],
)
def test_program_whose_templates_are_wrong_is_refused_by_name(
    change: Callable[[dict[str, Any]], object], named: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        parsed(with_templates(change))
    assert named in str(caught.value)


def read_again(before: dict[str, Any], after: dict[str, Any]) -> list[bool]:
    """Return which routers of two programs, read one after the other, are the same objects."""
    reader = ProgramReader()
    first, second = (
        finished(reader.parse(read_lines(io.BytesIO(encode(program)))))
        for program in (before, after)
    )
    assert second == parsed(after)
    return [one is two for one, two in zip(first.routers, second.routers, strict=True)]


def test_only_a_router_that_changed_is_read_again() -> None:
    changed = with_templates(lambda p: p["routers"][1].update(basePriority=7))
    assert read_again(with_templates(), changed) == [True, False]


def test_router_whose_links_templates_changed_is_read_again() -> None:
    def change(program: dict[str, Any]) -> None:
        other = Link(2, "eth0", bytes.fromhex("02005e0053ff"), ())
        made = {str(kind): template.to_object() for kind, template in link_templates(other).items()}
        program["links"] = [{"ifindex": 2, "templates": made}]

    assert read_again(with_templates(), with_templates(change)) == [False, False]


def test_program_of_an_earlier_agent_is_read_for_what_it_says() -> None:
    assert read_again(document(), with_templates(lambda p: p["routers"].pop())) == [False]


def test_router_that_was_set_aside_is_read_again() -> None:
    """The same line means another thing now."""
    reader, program = ProgramReader(), with_templates()
    lines = list(read_lines(io.BytesIO(encode(program))))
    before = finished(reader.parse(lines))
    aside = SetAside({"web": fingerprint(program["routers"][1])})
    after = finished(reader.parse(lines, aside))
    assert [router.faults for router in after.routers] == [(), (EngineFault.SET_ASIDE,)]
    assert finished(reader.parse(lines)) == before


def test_what_a_program_names_of_the_node_is_read_once() -> None:
    """Of 16,320 addresses it would be most of what a change costs."""
    reader, named = ProgramReader(), [["192.0.2.50"], ["192.0.2.50"], ["192.0.2.50", "192.0.2.51"]]
    found = []
    for generation, addresses in enumerate(named):
        program = {
            **with_templates(),
            "generation": generation,
            "concerns": {"interfaces": [], "addresses": addresses, "networks": []},
        }
        found.append(finished(reader.parse(read_lines(io.BytesIO(encode(program))))))
        assert found[-1] == parsed(program)
    assert found[0].concerns is found[1].concerns is not None
    assert found[2].concerns != found[1].concerns
