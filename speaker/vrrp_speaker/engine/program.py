"""The engine program: one node's configuration, compiled to ready bytes.

The compiler makes it, the agent stores it (``program_file``), the engine reads it. It is taken
whole or refused whole; a refusal names the field, and what ran before goes on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from vrrp.authentication import (
    KEY_LENGTHS,
    PASSWORD_LENGTH,
    Authentication,
    HmacKeys,
    Mode,
    SimplePassword,
)
from vrrp.constants import (
    MAX_INTERVAL_CENTISECONDS,
    MAX_INTERVAL_SECONDS_V2,
    NS_PER_CENTISECOND,
    NS_PER_SECOND,
    PRIORITY_MAXIMUM,
    TTL,
    VERSION_2,
    VERSION_3,
    Family,
)
from vrrp_speaker.program_file import FORMAT, read_values
from vrrp_speaker.shared_state import AnnouncementKind
from vrrp_speaker.shared_state.layout import IPV6_KINDS, KINDS, MAX_PEERS, SLOTS

CHECKSUMS = ("Auto", "MessageOnly", "PseudoHeader")
ADDRESS_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_MAX_DOWN_ADVERTISEMENTS = 100
_MAX_PREEMPT_DELAY_NS = 1000 * NS_PER_SECOND
_Choice = TypeVar("_Choice", str, int)
_Value = TypeVar("_Value")
_Shared = dict[Hashable, Any]
"""What routers of one program have in common, while it is read."""


class ProgramError(Exception):
    """The program cannot be used; the message names the field, the value and what is accepted."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another router of the same election; ``address`` is packed, ``external`` not of ours."""

    node: str
    address: bytes
    external: bool = False


@dataclass(frozen=True, slots=True)
class AddressProgram:
    """One address: what it is, and the netlink requests that bind (or renew) and remove it."""

    address: bytes
    prefix_length: int
    ifindex: int
    add: bytes
    delete: bytes


@dataclass(frozen=True, slots=True)
class Announcement:
    """One ready Ethernet frame that tells where ``address`` is."""

    address: bytes
    ifindex: int
    kind: AnnouncementKind
    frame: bytes


@dataclass(frozen=True, slots=True)
class AnnouncementPlan:
    """How often an Active router announces: rounds of the burst, one more later, then refreshes.

    ``repeat_after_ns`` and ``refresh_ns`` 0: never.
    """

    burst: int
    repeat_after_ns: int
    refresh_ns: int


@dataclass(frozen=True, slots=True)
class RouterProgram:
    """One Virtual Router; ``faults`` are those the compiler found, and hold it in Fault."""

    name: str
    slot: int
    vrid: int
    version: int
    family: Family
    ifindex: int
    source: bytes
    base_priority: int
    adver_interval_ns: int
    down_advertisements: int
    preempt: bool
    preempt_delay_ns: int
    require_majority: bool
    """Whether the router takes part only while most candidates answer."""
    take_over: str
    """Asks for ``TakeOver`` whenever it changes to something; empty asks for nothing."""
    multicast: bool
    ttl_send: int
    ttl_minimum: int
    checksum: str
    authentication: Authentication
    peers: tuple[Peer, ...]
    addresses: tuple[AddressProgram, ...]
    announcements: tuple[Announcement, ...]
    announcement_plan: AnnouncementPlan
    source_announcements: tuple[Announcement, ...]
    """Tell peers where the node's own address is, when the link comes up."""
    probes: tuple[Announcement, ...]
    """Ask who has the addresses; none where conflicts are not looked for."""
    faults: tuple[str, ...]
    has_checks: bool

    @property
    def identity(self) -> tuple[int, int, Family]:
        """What a running router keeps for life; where it differs, another router begins."""
        return self.vrid, self.version, self.family


@dataclass(frozen=True, slots=True)
class EngineProgram:
    """Everything one engine runs; ``generation`` is the NodeConfig's."""

    node: str
    generation: int
    routers: tuple[RouterProgram, ...]


def load_program(path: str) -> EngineProgram:
    """Read and check the program file at ``path``.

    Raises:
        ProgramError: the file is missing, damaged or wrong; nothing was changed.
    """
    try:
        with open(path, "rb") as file:
            return parse_program(read_values(file))
    except (OSError, ValueError) as error:
        raise ProgramError(f"{path}: {error}") from error


def parse_program(values: Iterator[object]) -> EngineProgram:
    """Check what a program file holds, its head and then its routers, and return it as values.

    Raises:
        ProgramError: the first wrong field.
    """
    shared: _Shared = {}
    head = _Fields(next(values, None), "program", shared)
    head.integer("format", FORMAT, FORMAT)
    node, generation = head.text("node"), head.integer("generation", 0, 2**63)
    routers = tuple(
        _router(_Fields(value, f"program.routers[{i}]", shared)) for i, value in enumerate(values)
    )
    _refuse_doubles(routers)
    return EngineProgram(node, generation, routers)


class _Fields:
    """Typed access to one JSON object; every failure names the path."""

    def __init__(self, raw: object, path: str, shared: _Shared) -> None:
        if not isinstance(raw, dict):
            raise ProgramError(f"{path}: {raw!r} is not an object")
        self.raw: dict[str, Any] = raw
        self.path = path
        self._shared = shared

    def share(self, value: _Value, key: Hashable = None) -> _Value:
        """Return the equal value that was there before, if any; ``key`` is of one without hash.

        Routers have mostly the same peers and keys: half of the memory that a program would take.
        """
        found: _Value = self._shared.setdefault(value if key is None else key, value)
        return found

    def fail(self, key: str, accepted: str) -> ProgramError:
        """Return the error for one field."""
        return ProgramError(f"{self.path}.{key}: {self.raw.get(key)!r} (accepted: {accepted})")

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer between ``low`` and ``high``."""
        value = self.raw.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.fail(key, f"an integer from {low} to {high}")
        return value

    def text(self, key: str) -> str:
        """Return a non-empty string."""
        value = self.raw.get(key)
        if not isinstance(value, str) or not value:
            raise self.fail(key, "a non-empty string")
        return value

    def optional_text(self, key: str) -> str:
        """Return a string that may be empty."""
        value = self.raw.get(key)
        if not isinstance(value, str):
            raise self.fail(key, "a string")
        return value

    def boolean(self, key: str) -> bool:
        """Return a boolean."""
        value = self.raw.get(key)
        if not isinstance(value, bool):
            raise self.fail(key, "true or false")
        return value

    def hexadecimal(self, key: str) -> bytes:
        """Return bytes written in hexadecimal; they may be a secret, so no error shows them."""
        try:
            return bytes.fromhex(self.text(key))
        except ValueError as error:
            raise self.hidden(key, "hexadecimal bytes") from error

    def address(self, key: str, family: Family) -> bytes:
        """Return a packed address of the family."""
        try:
            return self.share(socket.inet_pton(ADDRESS_FAMILIES[family], self.text(key)))
        except OSError as error:
            raise self.fail(key, "an IP address") from error

    def choice(self, key: str, choices: tuple[_Choice, ...]) -> _Choice:
        """Return one of the choices."""
        value = self.raw.get(key)
        for choice in choices:
            if value == choice and not isinstance(value, bool):
                return choice
        raise self.fail(key, ", ".join(map(str, choices)))

    def hidden(self, key: str, accepted: str) -> ProgramError:
        """Return the error for a secret, whose value nobody is to read in a log."""
        return ProgramError(f"{self.path}.{key}: wrong (accepted: {accepted})")

    def item(self, key: str) -> _Fields:
        """Return one nested object."""
        return _Fields(self.raw.get(key), f"{self.path}.{key}", self._shared)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self.raw.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, "a list of strings")
        return tuple(value)

    def items(self, key: str) -> list[_Fields]:
        """Return a list of objects, each with its own path."""
        value = self.raw.get(key)
        if not isinstance(value, list):
            raise self.fail(key, "a list")
        path = f"{self.path}.{key}"
        return [_Fields(item, f"{path}[{i}]", self._shared) for i, item in enumerate(value)]


def _router(fields: _Fields) -> RouterProgram:
    faults = fields.texts("faults")
    # A router the compiler could not place on an interface or a source is held in Fault; the
    # placeholders are never used.
    placed = not faults
    version = fields.integer("version", VERSION_2, VERSION_3)
    family = Family(fields.choice("family", (4, 6)))
    peers = tuple(
        Peer(p.text("node"), p.address("address", family), p.boolean("external"))
        for p in fields.items("peers")
    )
    if len(peers) > MAX_PEERS:
        raise ProgramError(f"{fields.path}.peers: {len(peers)} (accepted: up to {MAX_PEERS})")
    return RouterProgram(
        name=fields.text("name"),
        slot=fields.integer("slot", 0, SLOTS - 1),
        vrid=fields.integer("vrid", 1, 255),
        version=version,
        family=family,
        ifindex=fields.integer("ifindex", 1, 2**31 - 1) if placed else 0,
        source=fields.address("source", family) if placed else bytes(family.address_length),
        base_priority=fields.integer("basePriority", 1, PRIORITY_MAXIMUM),
        adver_interval_ns=_interval(fields, version),
        down_advertisements=fields.integer("downAdvertisements", 1, _MAX_DOWN_ADVERTISEMENTS),
        preempt=fields.boolean("preempt"),
        preempt_delay_ns=fields.integer("preemptDelayNs", 0, _MAX_PREEMPT_DELAY_NS),
        require_majority=fields.boolean("requireMajority"),
        take_over=fields.optional_text("takeOver"),
        multicast=fields.boolean("multicast"),
        ttl_send=fields.integer("ttlSend", 1, TTL),
        ttl_minimum=fields.integer("ttlMinimum", 1, TTL),
        checksum=fields.choice("checksum", CHECKSUMS),
        authentication=_authentication(fields.item("authentication")) if placed else None,
        peers=fields.share(peers),
        addresses=tuple(_address(item) for item in fields.items("addresses")),
        announcements=tuple(_announcement(item) for item in fields.items("announcements")),
        announcement_plan=fields.share(_plan(fields.item("announcementPlan"))),
        source_announcements=fields.share(
            tuple(_announcement(item) for item in fields.items("sourceAnnouncements"))
        ),
        probes=tuple(_announcement(item) for item in fields.items("probes")),
        faults=faults,
        has_checks=bool(fields.items("checks")),
    )


def _interval(fields: _Fields, version: int) -> int:
    key = "advertisementIntervalNs"
    step_ns, most = NS_PER_CENTISECOND, MAX_INTERVAL_CENTISECONDS
    if version == VERSION_2:
        step_ns, most = NS_PER_SECOND, MAX_INTERVAL_SECONDS_V2
    interval_ns = fields.integer(key, step_ns, most * step_ns)
    if interval_ns % step_ns:
        raise fields.fail(key, f"a multiple of {step_ns}")
    return interval_ns


def _authentication(fields: _Fields) -> Authentication:
    kind = fields.choice("type", ("None", "Simple", "HMAC"))
    if kind == "None":
        return None
    if kind == "Simple":
        password = fields.hexadecimal("password")
        if len(password) > PASSWORD_LENGTH:
            raise fields.hidden("password", f"1 to {PASSWORD_LENGTH} bytes")
        return SimplePassword(password)
    keys: dict[int, bytes] = {}
    for item in fields.items("keys"):
        secret = item.hexadecimal("secret")
        if len(secret) not in KEY_LENGTHS:
            raise item.hidden("secret", f"{KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]} bytes")
        keys[item.integer("id", 1, 255)] = secret
    active = fields.integer("active", 1, 255)
    if active not in keys:
        raise fields.fail("active", "the id of one of the keys")
    mode = Mode(fields.choice("mode", tuple(Mode)))
    return fields.share(HmacKeys(keys, active, mode), (*keys.items(), active, mode))


def _address(fields: _Fields) -> AddressProgram:
    return AddressProgram(
        address=fields.address("address", Family(fields.choice("family", (4, 6)))),
        prefix_length=fields.integer("prefixLength", 0, 128),
        ifindex=fields.integer("ifindex", 1, 2**31 - 1),
        add=fields.hexadecimal("add"),
        delete=fields.hexadecimal("delete"),
    )


def _announcement(fields: _Fields) -> Announcement:
    kind = fields.text("kind")
    if kind not in KINDS:
        raise fields.fail("kind", ", ".join(KINDS))
    family = Family.IPV6 if kind in IPV6_KINDS else Family.IPV4
    return Announcement(
        address=fields.address("address", family),
        ifindex=fields.integer("ifindex", 1, 2**31 - 1),
        kind=AnnouncementKind(kind),
        frame=fields.hexadecimal("frame"),
    )


def _plan(fields: _Fields) -> AnnouncementPlan:
    hour_ns = 3600 * NS_PER_SECOND
    return AnnouncementPlan(
        burst=fields.integer("burst", 1, 100),
        repeat_after_ns=fields.integer("repeatAfterNs", 0, hour_ns),
        refresh_ns=fields.integer("refreshNs", 0, hour_ns),
    )


def _refuse_doubles(routers: tuple[RouterProgram, ...]) -> None:
    rules: tuple[tuple[str, Callable[[RouterProgram], object]], ...] = (
        ("name", lambda router: router.name),
        ("slot", lambda router: router.slot),
        ("vrid", lambda router: (router.family, router.vrid)),
    )
    for field, key in rules:
        seen: set[object] = set()
        for index, router in enumerate(routers):
            if key(router) in seen:
                raise ProgramError(
                    f"program.routers[{index}].{field}: {key(router)!r} is used twice"
                )
            seen.add(key(router))
