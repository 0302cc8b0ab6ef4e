"""The engine program is taken whole or refused whole, with the field named."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vrrp.authentication import HmacKeys, Mode, Stage
from vrrp_api import election
from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader, finished, load_program
from vrrp_speaker.engine.programs.router_fields import MIN_REFRESH_NS
from vrrp_speaker.program_file import FORMAT, OLDEST_FORMAT, encode, read_lines
from vrrp_speaker.shared_state import FrameKind

HOUR_NS = 3600 * 10**9


def hmac(
    *, secret: str = "00" * 32, active: int = 1, mode: str = "Enforce", **more: Any
) -> dict[str, Any]:
    """Return an authentication with one HMAC key."""
    keys = [{"id": 1, "secret": secret}]
    return {"type": "HMAC", "mode": mode, "active": active, "keys": keys, **more}


def announced(*, address: str = "192.0.2.50", frame: str = "00") -> dict[str, Any]:
    """Return a gratuitous ARP's entry."""
    return {"address": address, "ifindex": 2, "kind": "GratuitousARPReply", "frame": frame}


def document(change: Callable[[dict[str, Any]], object] = lambda _: None) -> dict[str, Any]:
    """Return a valid program document after ``change``."""
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
    program = {"format": OLDEST_FORMAT, "node": "node-1", "generation": 4, "routers": [router]}
    change(program)
    return program


def parsed(document: dict[str, Any]) -> EngineProgram:
    """Return a document as the engine would take it from its file."""
    return finished(ProgramReader().parse(read_lines(io.BytesIO(encode(document)))))


def test_parse_program_valid_gives_its_values() -> None:
    program = parsed(document())
    (router,) = program.routers
    assert (program.generation, router.name, router.slot, router.vrid) == (4, "ingress", 3, 51)
    assert router.peers[0].address == bytes([192, 0, 2, 12])
    assert router.addresses[0].add == b"\x00\xff"
    assert router.announcements[0].kind is FrameKind.GRATUITOUS_ARP_REQUEST


@pytest.mark.parametrize(
    ("told_ns", "taken_ns"), [(0, 0), (1, MIN_REFRESH_NS), (3, MIN_REFRESH_NS), (HOUR_NS, HOUR_NS)]
)
def test_refresh_that_nobody_can_keep_up_with_counts_as_the_fastest(
    told_ns: int, taken_ns: int
) -> None:
    """An older agent stored it; the program is taken, because others depend on it."""
    plan = {"burst": 5, "repeatAfterNs": 0, "refreshNs": told_ns}
    program = parsed(document(lambda p: p["routers"][0].update(announcementPlan=plan)))
    assert program.routers[0].announcement_plan.refresh_ns == taken_ns
    assert election.MIN_REFRESH_NS == MIN_REFRESH_NS  # what users are told is what engines take


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
        parsed(document(lambda program: program["routers"][0].update({field: value})))
    assert named in str(caught.value)


@pytest.mark.parametrize("field", ["name", "slot", "vrid"])
def test_parse_program_with_a_double_is_refused(field: str) -> None:
    def add_twin(program: dict[str, Any]) -> None:
        twin = {**program["routers"][0], "name": "other", "slot": 4, "vrid": 52}
        twin[field] = program["routers"][0][field]
        program["routers"].append(twin)

    with pytest.raises(ProgramError, match=rf"routers\[1\]\.{field}: .* is used twice"):
        parsed(document(add_twin))


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        (
            "format",
            OLDEST_FORMAT - 1,
            f"program.format: 2 (accepted: an integer from {OLDEST_FORMAT} to {FORMAT}",
        ),
        ("node", "", "program.node: '' (accepted: a non-empty string)"),
        ("generation", -1, "program.generation: -1 (accepted: an integer from 0"),
        ("routers", [7], "program.routers[0]: 7 is not an object"),
    ],
)
def test_parse_program_wrong_head_is_refused_by_name(field: str, value: object, named: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parsed(document(lambda program: program.update({field: value})))
    assert named in str(caught.value)


def test_parse_program_that_is_empty_is_refused() -> None:
    with pytest.raises(ProgramError, match="program: None is not an object"):
        finished(ProgramReader().parse([]))


def test_load_program_never_has_the_whole_document_in_memory(tmp_path: Path) -> None:
    """What the engine once took it keeps: all routers' documents are a megabyte and a half."""

    def multiply(program: dict[str, Any]) -> None:
        one = program["routers"][0]
        program["routers"] = [
            {**one, "name": f"vip-{n}", "slot": n, "vrid": n + 1} for n in range(255)
        ]

    path = tmp_path / "program.json"
    path.write_bytes(encode(document(multiply)))
    load_program(str(path))  # what is made once in a process is not the program's
    tracemalloc.start()
    try:
        reader = ProgramReader()
        program = reader.read(str(path))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(program.routers) == 255
    assert peak - kept < kept / 5, f"{peak} bytes at most, {kept} in the end"


def test_parse_program_that_could_not_be_placed_needs_no_interface() -> None:
    def lose_interface(program: dict[str, Any]) -> None:
        program["routers"][0].update(
            {"ifindex": 0, "source": "", "addresses": [], "faults": ["InterfaceNotFound: eth9"]}
        )

    (router,) = parsed(document(lose_interface)).routers
    assert router.faults == ("InterfaceNotFound: eth9",)


def test_parse_program_routers_share_what_they_have_in_common() -> None:
    def add_others(program: dict[str, Any]) -> None:
        one = program["routers"][0]
        one |= {"authentication": hmac(), "sourceAnnouncements": [announced()]}
        same = {**one, "name": "same", "slot": 4, "vrid": 52}
        keys = {"authentication": hmac(secret="11" * 32), "peers": [], "sourceAnnouncements": []}
        program["routers"] += [same, {**one, "name": "other", "slot": 5, "vrid": 53, **keys}]

    one, same, other = parsed(document(add_others)).routers
    for field in ("source", "authentication", "peers", "announcement_plan", "source_announcements"):
        assert getattr(one, field) is getattr(same, field), field
    assert one.addresses[0].address is one.announcements[0].address
    assert isinstance(one.authentication, HmacKeys)
    assert one.authentication.keys == {1: bytes(32)}
    assert isinstance(other.authentication, HmacKeys)
    assert other.authentication.keys == {1: b"\x11" * 32}
    assert (other.peers, other.source_announcements) == ((), ())


def test_parse_program_keys_in_another_mode_are_not_shared() -> None:
    def add_other(program: dict[str, Any]) -> None:
        one = program["routers"][0]
        one["authentication"] = hmac()
        other = {**one, "name": "other", "slot": 4, "vrid": 52}
        program["routers"].append({**other, "authentication": hmac(mode="Permissive")})

    one, other = parsed(document(add_other)).routers
    assert one.authentication == HmacKeys({1: bytes(32)}, 1, Mode.ENFORCE)
    assert other.authentication == HmacKeys({1: bytes(32)}, 1, Mode.PERMISSIVE)


def own_keys(*ids: int) -> list[dict[str, Any]]:
    return [{"id": key_id, "secret": bytes((key_id,) * 32).hex()} for key_id in ids]


@pytest.mark.parametrize("stage", Stage)
def test_parse_program_keys_of_the_election_open_its_list(stage: Stage) -> None:
    def add(program: dict[str, Any]) -> None:
        router = program["routers"][0]
        router["authentication"] = hmac(electionKey=str(stage), electionKeys=own_keys(1))

    (router,) = parsed(document(add)).routers
    keys = router.authentication
    assert isinstance(keys, HmacKeys)
    assert (keys.stage, keys.election_keys) == (stage, {1: b"\1" * 32})
    assert keys.keys == {1: bytes(32)}
    assert router.open
    assert not replace(router, multicast=True).open
    assert not replace(router, authentication=HmacKeys(keys.keys, 1, Mode.ENFORCE)).open


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"electionKey": "Refuse", "electionKeys": own_keys(1)}, "electionKey:"),
        ({"electionKey": "Sign"}, "electionKeys:"),
        ({"electionKey": "Sign", "electionKeys": own_keys(2)}, "electionKeys: wrong"),
        ({"electionKey": "Sign", "electionKeys": own_keys(1, 2)}, "electionKeys: wrong"),
    ],
)
def test_parse_program_keys_that_do_not_fit_are_refused(
    changed: dict[str, Any], field: str
) -> None:
    def add(program: dict[str, Any]) -> None:
        program["routers"][0]["authentication"] = hmac(**changed)

    with pytest.raises(ProgramError) as caught:
        parsed(document(add))
    assert f"authentication.{field}" in str(caught.value)
    assert "0202" not in str(caught.value)


def test_load_program_damaged_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "program.json"
    path.write_bytes(encode(document()).replace(b'"vrid":51', b'"vrid":52'))
    with pytest.raises(ProgramError) as caught:
        load_program(str(path))
    assert str(caught.value) == f"{path}: checksum: does not match the content"


def test_load_program_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"program\.json"):
        load_program(str(tmp_path / "program.json"))
