"""The engine program: one node's configuration, compiled to ready bytes.

The compiler makes it, the agent stores it (``program_file``), the engine reads it. It is taken
whole or refused whole; a refusal names the field, and what ran before goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from vrrp.authentication import (
    KEY_LENGTHS,
    PASSWORD_LENGTH,
    Authentication,
    HmacKeys,
    Mode,
    SimplePassword,
    Stage,
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
from vrrp_speaker.engine.programs.fields import Fields, ProgramError, Shared
from vrrp_speaker.engine.programs.set_aside import NOTHING_ASIDE, SetAside
from vrrp_speaker.program_file import FORMAT, OWN_KEYS_FORMAT, checksum, read_values
from vrrp_speaker.shared_state import AnnouncementKind, EngineFault
from vrrp_speaker.shared_state.layout import IPV6_KINDS, KINDS, MAX_PEERS, SLOTS

CHECKSUMS = ("Auto", "MessageOnly", "PseudoHeader")
MIN_REFRESH_NS = NS_PER_SECOND
_MAX_DOWN_ADVERTISEMENTS = 100
_MAX_PREEMPT_DELAY_NS = 1000 * NS_PER_SECOND


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
    """Asks for ``TakeOver`` whenever it changes to something; empty asks for nothing.

    FIRST_HOLDER asks a router that comes to a running engine for no more than to listen first.
    """
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
    def open(self) -> bool:
        """Whether members beyond the list are known by their signature."""
        keys = self.authentication
        return isinstance(keys, HmacKeys) and keys.stage is not None and not self.multicast

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


def load_program(path: str, aside: SetAside = NOTHING_ASIDE) -> EngineProgram:
    """Read and check the program file at ``path``; routers that are set aside wait in Fault.

    Raises:
        ProgramError: the file is missing, damaged, wrong or set aside; nothing was changed.
    """
    try:
        with open(path, "rb") as file:
            if aside.programs and checksum(file) in aside.programs:
                raise ProgramError(f"{path}: set aside, because engines ended under it")
            file.seek(0)
            return parse_program(read_values(file), aside)
    except (OSError, ValueError) as error:
        raise ProgramError(f"{path}: {error}") from error


def parse_program(values: Iterator[object], aside: SetAside = NOTHING_ASIDE) -> EngineProgram:
    """Check what a program file holds, its head and then its routers, and return it as values.

    Raises:
        ProgramError: the first wrong field.
    """
    shared: Shared = {}
    head = Fields(next(values, None), "program", shared)
    head.integer("format", FORMAT, OWN_KEYS_FORMAT)
    node, generation = head.text("node"), head.integer("generation", 0, 2**63)
    routers = tuple(
        _taken(Fields(value, f"program.routers[{i}]", shared), aside)
        for i, value in enumerate(values)
    )
    _refuse_doubles(routers)
    return EngineProgram(node, generation, routers)


def _router(fields: Fields) -> RouterProgram:
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


def _taken(fields: Fields, aside: SetAside) -> RouterProgram:
    """Return a router; of one that engines ended over only its place, in Fault."""
    router = _router(fields)
    if not aside.concerns(router.name, fields.raw):
        return router
    return replace(
        router,
        ifindex=0,
        source=bytes(router.family.address_length),
        authentication=None,
        peers=(),
        addresses=(),
        announcements=(),
        source_announcements=(),
        probes=(),
        multicast=False,
        require_majority=False,
        take_over="",
        faults=(EngineFault.SET_ASIDE,),
    )


def _interval(fields: Fields, version: int) -> int:
    key = "advertisementIntervalNs"
    step_ns, most = NS_PER_CENTISECOND, MAX_INTERVAL_CENTISECONDS
    if version == VERSION_2:
        step_ns, most = NS_PER_SECOND, MAX_INTERVAL_SECONDS_V2
    interval_ns = fields.integer(key, step_ns, most * step_ns)
    if interval_ns % step_ns:
        raise fields.fail(key, f"a multiple of {step_ns}")
    return interval_ns


def _authentication(fields: Fields) -> Authentication:
    kind = fields.choice("type", ("None", "Simple", "HMAC"))
    if kind == "None":
        return None
    if kind == "Simple":
        password = fields.hexadecimal("password")
        if len(password) > PASSWORD_LENGTH:
            raise fields.hidden("password", f"1 to {PASSWORD_LENGTH} bytes")
        return SimplePassword(password)
    keys, active = _keys(fields, "keys"), fields.integer("active", 1, 255)
    if active not in keys:
        raise fields.fail("active", "the id of one of the keys")
    mode = Mode(fields.choice("mode", tuple(Mode)))
    if "electionKey" not in fields.raw:
        return fields.share(HmacKeys(keys, active, mode), (*keys.items(), active, mode))
    stage, derived = (
        Stage(fields.choice("electionKey", tuple(Stage))),
        _keys(fields, "electionKeys"),
    )
    if keys.keys() != derived.keys():
        raise fields.hidden("electionKeys", "one for each of the keys")
    return HmacKeys(keys, active, mode, stage=stage, election_keys=derived)


def _keys(fields: Fields, key: str) -> dict[int, bytes]:
    """Return keys by id; equal ones of several routers are the same object."""
    keys: dict[int, bytes] = {}
    for item in fields.items(key):
        secret = item.hexadecimal("secret")
        if len(secret) not in KEY_LENGTHS:
            raise item.hidden("secret", f"{KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]} bytes")
        keys[item.integer("id", 1, 255)] = fields.share(secret)
    return keys


def _address(fields: Fields) -> AddressProgram:
    return AddressProgram(
        address=fields.address("address", Family(fields.choice("family", (4, 6)))),
        prefix_length=fields.integer("prefixLength", 0, 128),
        ifindex=fields.integer("ifindex", 1, 2**31 - 1),
        add=fields.hexadecimal("add"),
        delete=fields.hexadecimal("delete"),
    )


def _announcement(fields: Fields) -> Announcement:
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


def _plan(fields: Fields) -> AnnouncementPlan:
    hour_ns = 3600 * NS_PER_SECOND
    plan = AnnouncementPlan(
        burst=fields.integer("burst", 1, 100),
        repeat_after_ns=fields.integer("repeatAfterNs", 0, hour_ns),
        refresh_ns=fields.integer("refreshNs", 0, hour_ns),
    )
    if 0 < plan.refresh_ns < MIN_REFRESH_NS:  # of an agent that knew no least one
        return replace(plan, refresh_ns=MIN_REFRESH_NS)
    return plan


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
