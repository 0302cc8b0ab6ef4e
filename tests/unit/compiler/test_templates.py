"""What the compiler gives out, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from vrrp_speaker.compiler import templates
from vrrp_speaker.compiler.frames import gratuitous_arp
from vrrp_speaker.compiler.templates import TemplateError, link_templates
from vrrp_speaker.links.table import Link, bare_object
from vrrp_speaker.links.templates import Kind, parse_templates

ETH0 = Link(2, "eth0", bytes.fromhex("02005e005311"), ())


def built_otherwise(address: str, mac: bytes, *, reply: bool) -> bytes:
    frame = gratuitous_arp(address, mac, reply=reply)
    return frame + bytes(address == "10.0.0.1")


def read_otherwise(_frame: bytes) -> set[str]:
    return {"192.0.2.99"}


@pytest.mark.parametrize(
    ("name", "odd"), [("gratuitous_arp", built_otherwise), ("decoded_addresses", read_otherwise)]
)
def test_template_that_the_libraries_contradict_is_not_given_out(
    name: str, odd: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, name, odd)
    with pytest.raises(TemplateError, match="GratuitousARPRequest"):
        link_templates(ETH0)


def test_link_without_a_hardware_address_has_requests_only() -> None:
    found = link_templates(Link(5, "wg0", b"", ()))
    assert set(found) == {Kind.ADD_IPV4, Kind.ADD_IPV6, Kind.DELETE_IPV4, Kind.DELETE_IPV6}


def compiler(asked: str) -> tuple[int, dict[str, object]]:
    ended = subprocess.run(
        [sys.executable, "-m", "vrrp_speaker.compiler"],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, json.loads(ended.stdout)


def test_compiler_answers_in_the_order_of_the_links() -> None:
    links = [ETH0, Link(5, "wg0", b"", ())]
    status, answer = compiler(json.dumps({"links": [bare_object(link) for link in links]}))
    found = answer["templates"]
    assert isinstance(found, list)
    assert (status, [parse_templates(one) for one in found]) == (
        0,
        list(map(link_templates, links)),
    )


def test_compiler_says_what_is_wrong_and_fails() -> None:
    status, answer = compiler('{"links": [{"index": 2, "name": "eth0", "mac": "xx"}]}')
    assert status == 1
    assert answer.keys() == {"error"}
