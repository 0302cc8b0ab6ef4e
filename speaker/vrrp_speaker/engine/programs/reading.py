"""From a program file to an engine program, and again whenever the file is another one.

The agent makes the file (``program_file``). It is taken whole or refused whole; a refusal names the
field, and what ran before goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import replace

from vrrp.constants import NS_PER_SECOND, PRIORITY_MAXIMUM, TTL, VERSION_2, VERSION_3, Family
from vrrp_speaker.engine.programs.fields import Fields, ProgramError, Shared
from vrrp_speaker.engine.programs.filling import MAX_INDEX, Links, as_written, filled, links_of
from vrrp_speaker.engine.programs.program import Concerns, EngineProgram, RouterProgram
from vrrp_speaker.engine.programs.router_fields import (
    authentication_of,
    interval_of,
    peers_of,
    plan_of,
)
from vrrp_speaker.engine.programs.set_aside import NOTHING_ASIDE, SetAside
from vrrp_speaker.lease import lease_seconds
from vrrp_speaker.program_file import (
    FORMAT,
    OLDEST_FORMAT,
    TEMPLATES_FORMAT,
    checksum,
    copy_file,
    read_lines,
)
from vrrp_speaker.shared_state import EngineFault
from vrrp_speaker.shared_state.layout import SLOTS

CHECKSUMS = ("Auto", "MessageOnly", "PseudoHeader")
_MAX_DOWN_ADVERTISEMENTS = 100
_MAX_PREEMPT_DELAY_NS = 1000 * NS_PER_SECOND
_MOST_SHARED = 50_000


class ProgramReader:
    """Reads program files; of a router whose line is what it was, nothing is read again."""

    def __init__(self) -> None:
        self._raw_links: object = None
        self._links: Links = {}
        self._raw_concerns: object = None
        self._concerns: Concerns | None = None
        self._aside = NOTHING_ASIDE
        self._known: dict[int, RouterProgram] = {}
        """By what tells a router's line from any other in this process."""
        self._ready = False
        self._shared: Shared = {}

    def read(self, path: str, aside: SetAside = NOTHING_ASIDE) -> EngineProgram:
        """Read and check the program file at ``path``; routers that are set aside wait in Fault.

        Raises:
            ProgramError: the file is missing, damaged, wrong or set aside; nothing was changed.
        """
        return finished(self.steps(path, aside))

    def steps(
        self, path: str, aside: SetAside, copy: str = ""
    ) -> Generator[None, None, EngineProgram]:
        """As ``read``, in steps of one router that is read; the file may be replaced meanwhile.

        ``copy``: where a program that could be read is kept too, if the disk lets us.
        """
        try:
            with open(path, "rb") as file:
                if aside.programs and checksum(file) in aside.programs:
                    raise ProgramError(f"{path}: set aside, because engines ended under it")
                file.seek(0)
                program = yield from self.parse(read_lines(file), aside)
                if copy:
                    with suppress(OSError):  # it is for worse days; the program was read
                        copy_file(file, copy)
                return program
        except (OSError, ValueError) as error:
            raise ProgramError(f"{path}: {error}") from error

    def parse(
        self, lines: Iterable[bytes], aside: SetAside = NOTHING_ASIDE
    ) -> Generator[None, None, EngineProgram]:
        """Check what a program file holds, its head and then its routers, in steps of one router.

        Raises:
            ProgramError: the first wrong field; what is known is as it was.
            ValueError: a line is no JSON.
        """
        lines = iter(lines)
        if len(self._shared) > _MOST_SHARED:
            self._shared = {}
        head = Fields(json.loads(next(lines, b"null")), "program", self._shared)
        ready = head.integer("format", OLDEST_FORMAT, FORMAT) < TEMPLATES_FORMAT
        node, generation = head.text("node"), head.integer("generation", 0, 2**63)
        links = {} if ready else self._links_of(head)
        known = self._still_known(links, aside) if ready is self._ready else {}
        taken: dict[int, RouterProgram] = {}
        for i, line in enumerate(lines):
            mark = hash(line)
            router = known.get(mark)
            if mark in taken:
                raise ProgramError(f"program.routers[{i}]: is there twice")
            if router is None:
                fields = Fields(json.loads(line), f"program.routers[{i}]", self._shared)
                router = _taken(fields, None if ready else links, aside)
                yield
            taken[mark] = router
        routers = tuple(taken.values())
        _refuse_doubles(routers)
        concerns = self._concerns_of(head)
        self._raw_links, self._links = head.raw.get("links"), links
        self._raw_concerns, self._concerns = head.raw.get("concerns"), concerns
        self._aside, self._known, self._ready = aside, taken, ready
        return EngineProgram(node, generation, routers, concerns)

    def _links_of(self, head: Fields) -> Links:
        """Return the templates of a program, as the same objects where they are what they were."""
        if self._raw_links is not None and head.raw.get("links") == self._raw_links:
            return self._links
        return links_of(head)

    def _concerns_of(self, head: Fields) -> Concerns | None:
        """Return what a program names of the node, as the same object where that is what it was."""
        if self._raw_concerns is not None and head.raw.get("concerns") == self._raw_concerns:
            return self._concerns
        return _concerns(head)

    def _still_known(self, links: Links, aside: SetAside) -> dict[int, RouterProgram]:
        """Return the routers of whose links all is as it was when they were read."""
        if aside != self._aside:
            return {}
        if links is self._links:
            return self._known
        before, indexes = self._links, links.keys() | self._links.keys()
        others = {index for index in indexes if links.get(index) != before.get(index)}
        return {
            mark: router
            for mark, router in self._known.items()
            if router.ifindex not in others
            and not any(address.ifindex in others for address in router.addresses)
        }


def load_program(path: str, aside: SetAside = NOTHING_ASIDE) -> EngineProgram:
    """Read a program file once, for who knows none (``ProgramReader.read``).

    Raises:
        ProgramError: the file is missing, damaged, wrong or set aside.
    """
    return ProgramReader().read(path, aside)


def finished(steps: Generator[None, None, EngineProgram]) -> EngineProgram:
    """Take all steps at once; return what they come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            program: EngineProgram = end.value
            return program


def _router(fields: Fields, links: Links | None) -> RouterProgram:
    faults = fields.texts("faults")
    # A router the compiler could not place on an interface or a source is held in Fault; the
    # placeholders are never used.
    placed = not faults
    version = fields.integer("version", VERSION_2, VERSION_3)
    family = Family(fields.choice("family", (4, 6)))
    base_priority = fields.integer("basePriority", 1, PRIORITY_MAXIMUM)
    interval_ns = interval_of(fields, version)
    down_advertisements = fields.integer("downAdvertisements", 1, _MAX_DOWN_ADVERTISEMENTS)
    lease_s = lease_seconds(version, base_priority, interval_ns, down_advertisements)
    sent = as_written(fields) if links is None else filled(fields, family, lease_s, links)
    return RouterProgram(
        name=fields.text("name"),
        slot=fields.integer("slot", 0, SLOTS - 1),
        vrid=fields.integer("vrid", 1, 255),
        version=version,
        family=family,
        ifindex=fields.integer("ifindex", 1, MAX_INDEX) if placed else 0,
        source=fields.address("source", family) if placed else bytes(family.address_length),
        base_priority=base_priority,
        adver_interval_ns=interval_ns,
        down_advertisements=down_advertisements,
        preempt=fields.boolean("preempt"),
        preempt_delay_ns=fields.integer("preemptDelayNs", 0, _MAX_PREEMPT_DELAY_NS),
        require_majority=fields.boolean("requireMajority"),
        take_over=fields.optional_text("takeOver"),
        multicast=fields.boolean("multicast"),
        ttl_send=fields.integer("ttlSend", 1, TTL),
        ttl_minimum=fields.integer("ttlMinimum", 1, TTL),
        checksum=fields.choice("checksum", CHECKSUMS),
        authentication=authentication_of(fields.item("authentication")) if placed else None,
        peers=peers_of(fields, family),
        addresses=sent.addresses,
        announcements=sent.announcements,
        announcement_plan=fields.share(plan_of(fields.item("announcementPlan"))),
        source_announcements=sent.source_announcements,
        probes=sent.probes,
        faults=faults,
        has_checks=bool(fields.items("checks")),
    )


def _concerns(head: Fields) -> Concerns | None:
    if "concerns" not in head.raw:
        return None
    concerns = head.item("concerns")
    networks = (
        (item.address("address", Family(item.choice("family", (4, 6)))), _length(item))
        for item in concerns.items("networks")
    )
    return Concerns(
        frozenset(concerns.texts("interfaces")),
        frozenset(concerns.addresses("addresses")),
        frozenset(networks),
    )


def _length(network: Fields) -> int:
    return network.integer("prefixLength", 0, 128)


def _taken(fields: Fields, links: Links | None, aside: SetAside) -> RouterProgram:
    """Return a router; of one that engines ended over only its place, in Fault."""
    router = _router(fields, links)
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
