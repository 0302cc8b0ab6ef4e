"""The engine program is taken whole or refused whole, with the field named."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrp_speaker.engine.program import ProgramError, load_program, parse_program
from vrrp_speaker.engine.program_checksum import checksum
from vrrp_speaker.shared_state import AnnouncementKind


def hmac(*, secret: str = "00" * 32, active: int = 1, mode: str = "Enforce") -> dict[str, Any]:
    """Return an authentication with one HMAC key."""
    keys = [{"id": 1, "secret": secret}]
    return {"type": "HMAC", "mode": mode, "active": active, "keys": keys}


def announced(*, address: str = "192.0.2.50", frame: str = "00") -> dict[str, Any]:
    """Return a gratuitous ARP's entry."""
    return {"address": address, "ifindex": 2, "kind": "GratuitousARPReply", "frame": frame}


def document(change: Callable[[dict[str, Any]], object] = lambda _: None) -> dict[str, Any]:
    """Return a valid program document after ``change``, checksum right."""
    router = {
        "name": "ingress",
        "slot": 3,
        "virtualIPGeneration": 1,
        "vrid": 51,
        "version": 3,
        "family": 4,
        "interface": "eth0",
        "ifindex": 2,
        "source": "192.0.2.11",
        "basePriority": 200,
        "advertisementIntervalNs": 200_000_000,
        "downAdvertisements": 3,
        "preempt": True,
        "preemptDelayNs": 0,
        "multicast": False,
        "ttlSend": 255,
        "ttlMinimum": 255,
        "checksum": "Auto",
        "authentication": {"type": "None"},
        "peers": [{"node": "node-2", "address": "192.0.2.12", "external": False}],
        "checks": [],
        "addresses": [
            {
                "address": "192.0.2.50",
                "prefixLength": 24,
                "family": 4,
                "interface": "eth0",
                "ifindex": 2,
                "add": "00ff",
                "delete": "01ff",
            }
        ],
        "requireMajority": False,
        "takeOver": "",
        "announcements": [
            {
                "address": "192.0.2.50",
                "ifindex": 2,
                "kind": "GratuitousARPRequest",
                "frame": "ffff",
            }
        ],
        "announcementPlan": {"burst": 5, "repeatAfterNs": 5_000_000_000, "refreshNs": 0},
        "sourceAnnouncements": [],
        "probes": [],
        "faults": [],
    }
    program: dict[str, Any] = {"format": 2, "node": "node-1", "generation": 4, "routers": [router]}
    change(program)
    program["checksum"] = checksum(program)
    return program


def test_parse_program_valid_gives_its_values() -> None:
    program = parse_program(document())
    (router,) = program.routers
    assert (program.generation, router.name, router.slot, router.vrid) == (4, "ingress", 3, 51)
    assert router.peers[0].address == bytes([192, 0, 2, 12])
    assert router.addresses[0].add == b"\x00\xff"
    assert router.announcements[0].kind is AnnouncementKind.GRATUITOUS_ARP_REQUEST


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("vrid", 0, "program.routers[0].vrid: 0 (accepted: an integer from 1 to 255)"),
        ("vrid", 256, "vrid: 256"),
        ("version", 4, "version: 4 (accepted: an integer from 2 to 3)"),
        ("version", 2, "advertisementIntervalNs: 200000000 (accepted: an integer from 1000000000"),
        ("family", 5, "family: 5 (accepted: 4, 6)"),
        ("family", True, "family: True"),
        ("downAdvertisements", 0, "downAdvertisements: 0"),
        ("preemptDelayNs", -1, "preemptDelayNs: -1"),
        ("ttlSend", 256, "ttlSend: 256"),
        ("ttlMinimum", 0, "ttlMinimum: 0"),
        ("checksum", "None", "checksum: 'None' (accepted: Auto, MessageOnly, PseudoHeader)"),
        ("authentication", "None", "authentication: 'None' is not an object"),
        ("authentication", {"type": "AH"}, "type: 'AH' (accepted: None, Simple, HMAC)"),
        ("authentication", {"type": "Simple", "password": "00" * 9}, "password: wrong (accep"),
        ("authentication", hmac(secret="00" * 31), "keys[0].secret: wrong (accepted: 32 to 64"),
        ("authentication", hmac(secret="x" * 64), "keys[0].secret: wrong (accepted: hexadec"),
        ("authentication", hmac(active=9), "active: 9 (accepted: the id of one of the keys)"),
        ("authentication", hmac(mode="Strict"), "mode: 'Strict' (accepted: ReceiveOnly, Permissi"),
        ("vrid", "51", "vrid: '51'"),
        ("slot", 256, "slot: 256"),
        ("basePriority", 255, "basePriority: 255"),
        ("basePriority", True, "basePriority: True"),
        ("ifindex", 0, "ifindex: 0"),
        ("source", "fd00::1", "source: 'fd00::1'"),
        ("advertisementIntervalNs", 5_000_000, "advertisementIntervalNs"),
        ("advertisementIntervalNs", 15_000_000, "a multiple of 10000000"),
        ("preempt", "yes", "preempt: 'yes' (accepted: true or false)"),
        ("name", "", "name: ''"),
        ("peers", {}, "peers: {} (accepted: a list)"),
        ("peers", [{"node": "b", "address": "nowhere"}], "routers[0].peers[0].address: 'nowhere'"),
        ("addresses", ["x"], "routers[0].addresses[0]: 'x' is not an object"),
        ("announcements", [{"ifindex": 2, "kind": "Shout", "frame": "00"}], "kind: 'Shout'"),
        ("announcements", [announced(frame="0")], "frame: wrong (accepted: hexadecimal bytes)"),
        ("announcements", [announced(address="2001:db8::50")], "address: '2001:db8::50'"),
        ("announcementPlan", {"burst": 0}, "announcementPlan.burst: 0"),
        ("takeOver", None, "takeOver: None (accepted: a string)"),
        ("faults", "none", "a list of strings"),
    ],
)
def test_parse_program_wrong_field_is_refused_by_name(
    field: str, value: object, named: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        parse_program(document(lambda program: program["routers"][0].update({field: value})))
    assert named in str(caught.value)


@pytest.mark.parametrize("field", ["name", "slot", "vrid"])
def test_parse_program_with_a_double_is_refused(field: str) -> None:
    def add_twin(program: dict[str, Any]) -> None:
        twin = {**program["routers"][0], "name": "other", "slot": 4, "vrid": 52}
        twin[field] = program["routers"][0][field]
        program["routers"].append(twin)

    with pytest.raises(ProgramError, match=rf"routers\[1\]\.{field}: .* is used twice"):
        parse_program(document(add_twin))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text() | st.just("checksum"), _JSON))
def test_checksum_is_that_of_the_canonical_json_without_it(anything: dict[str, Any]) -> None:
    rest = {key: value for key, value in anything.items() if key != "checksum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    assert checksum(anything) == f"crc32:{zlib.crc32(canonical.encode()):08x}"


def test_load_program_takes_little_memory_beside_the_document(tmp_path: Path) -> None:
    """What the engine once took it keeps: the document twice would be a megabyte and a half."""

    def multiply(program: dict[str, Any]) -> None:
        one = program["routers"][0]
        program["routers"] = [
            {**one, "name": f"vip-{n}", "slot": n, "vrid": n + 1} for n in range(255)
        ]

    path = tmp_path / "program.json"
    path.write_text(json.dumps(document(multiply)))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        json.loads(path.read_text())
        decoding = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.reset_peak()
        program = load_program(str(path))
        loading = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert len(program.routers) == 255
    assert loading < 1.2 * decoding, f"{loading} bytes, of them {decoding} for decoding"


def test_parse_program_uses_its_document_up() -> None:
    used = document()
    parse_program(used)
    assert used["routers"] == [None]


def test_parse_program_changed_after_its_checksum_is_refused() -> None:
    changed = document()
    changed["routers"][0]["vrid"] = 52
    with pytest.raises(ProgramError, match="checksum"):
        parse_program(changed)


def test_parse_program_that_could_not_be_placed_needs_no_interface() -> None:
    def lose_interface(program: dict[str, Any]) -> None:
        program["routers"][0].update(
            {"ifindex": 0, "source": "", "addresses": [], "faults": ["InterfaceNotFound: eth9"]}
        )

    (router,) = parse_program(document(lose_interface)).routers
    assert router.faults == ("InterfaceNotFound: eth9",)


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00\x01"])
def test_load_program_damaged_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "program.json"
    path.write_text(content)
    with pytest.raises(ProgramError):
        load_program(str(path))


def test_load_program_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    text = json.dumps(document())
    path = tmp_path / "program.json"
    for length in range(0, len(text), 7):
        path.write_text(text[:length])
        with pytest.raises(ProgramError):
            load_program(str(path))
