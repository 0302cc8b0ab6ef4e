"""What two routers are told, and which of them is then Active at each step of a duel.

The rows of ``Kind`` are the whole expectation. They follow from the RFC's election by hand: the
higher priority, then the greater source address, which is the right host's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import Any

from tests.interop.config import Checksum, Mode, RouterConfig
from tests.interop.routers import Router

LEFT, RIGHT, BOTH = frozenset({"left"}), frozenset({"right"}), frozenset({"left", "right"})

LEFT_ONLY = ("Active", "Backup")


class Step(Enum):
    """What happens to both routers, one after the other; the value says it."""

    STARTED = "left is started and becomes Active, then right is started"
    PARTED = "the switch drops what they send to each other"
    HEALED = "the switch drops no more"
    LEFT_STOPPED = "left gets SIGTERM"
    LEFT_BACK = "left is started again"
    RIGHT_KILLED = "right is killed with SIGKILL"
    RIGHT_BACK = "right is started again"
    LEFT_KILLED = "left is killed with SIGKILL"


class Kind(Enum):
    """Who is Active after each step, in the order of ``Step``."""

    LEFT_HIGHER = (LEFT, BOTH, LEFT, RIGHT, LEFT, LEFT, LEFT, RIGHT)
    RIGHT_HIGHER = (RIGHT, BOTH, RIGHT, RIGHT, RIGHT, LEFT, RIGHT, RIGHT)
    EQUAL = (LEFT, BOTH, RIGHT, RIGHT, RIGHT, LEFT, LEFT, RIGHT)
    """An Active router stays; where two are Active the address decides."""
    LEFT_STAYS_BACKUP = (LEFT, BOTH, LEFT, RIGHT, RIGHT, LEFT, LEFT, RIGHT)
    """Left is higher but does not preempt. An Active router yields to it all the same."""

    def active_after(self, step: Step) -> frozenset[str]:
        """Return the sides that are Active."""
        return self.value[list(Step).index(step)]


@dataclass(frozen=True, slots=True)
class Variant:
    """One election of two routers.

    ``left_deaf`` and ``right_deaf`` are the implementations that, on that side, must discard what
    the other one sends.
    """

    name: str
    left: RouterConfig
    right: RouterConfig
    kind: Kind
    left_deaf: frozenset[str]
    right_deaf: frozenset[str]

    @property
    def vrid(self) -> int:
        """The Virtual Router ID of both sides."""
        return self.left.vrid

    @property
    def slug(self) -> str:
        """The name as test runners and file systems like it."""
        return self.name.replace(",", "").replace(" ", "-")

    def lacking(self, left: type[Router], right: type[Router]) -> str | None:
        """Return why these two cannot play it, or None."""
        for side, config in ((left, self.left), (right, self.right)):
            lack = side.lacks(config)
            if lack is not None:
                return f"{side.implementation}: {lack}"
        return None

    def deaf(self, left: type[Router], right: type[Router]) -> tuple[bool, bool]:
        """Return whether left, and whether right, hears nothing of the other one."""
        return left.implementation in self.left_deaf, right.implementation in self.right_deaf

    def expected(
        self, step: Step, left: type[Router], right: type[Router]
    ) -> tuple[str, str] | None:
        """Return left's and right's state after a step; None where nothing is certain.

        One that was stopped or killed has no state, whatever is returned for it.
        """
        if self.deaf(left, right) != (False, False):
            return self._expected_of_the_deaf(step, left, right)
        active = self.kind.active_after(step)
        return _state("left" in active), _state("right" in active)

    def _expected_of_the_deaf(
        self, step: Step, left: type[Router], right: type[Router]
    ) -> tuple[str, str] | None:
        """The higher one is Active wherever it runs; the other one as far as it does not hear that.

        But ours asks before it takes an address, while it has heard nobody, and does not take one
        for which somebody answers. After what comes later, addresses of the dead may answer.
        """
        left_deaf, right_deaf = self.deaf(left, right)
        match step:
            case Step.STARTED:
                alone = "Fault" if right.asks_first else "Active"
                return "Active", alone if right_deaf else "Backup"
            case Step.PARTED:
                return "Active", "Active"
            case Step.HEALED:
                return "Active", _state(right_deaf)
            case Step.LEFT_STOPPED:
                return "", "Active"
            case Step.LEFT_BACK:
                if left_deaf and left.asks_first:
                    return "Fault", "Active"
                return "Active", _state(right_deaf)
        return None


def _state(active: bool) -> str:
    return "Active" if active else "Backup"


# The list ---------------------------------------------------------------------------------

_Settings = Mapping[str, Any]
_FIRST_VRID = 110
_OURS = frozenset({"kube-vrrp"})
_DEBIANS = frozenset({"keepalived", "FRR"})
_EVERYBODY = _OURS | _DEBIANS
_KEEPALIVED = frozenset({"keepalived"})
_V2: _Settings = {"version": 2, "interval_cs": 100}
_V6: _Settings = {"addresses": ("2001:db8:0:1::{vrid}",)}
_V6_LINK_LOCAL: _Settings = {"addresses": ("fe80::{vrid}", "2001:db8:0:1::{vrid}")}
_EQUAL: _Settings = {"priority": 150}
_PASSWORD: _Settings = {**_V2, "password": "s3cret"}
_KEY: _Settings = {"key": "00112233445566778899aabbccddeeff" * 2}
_OTHER_KEY: _Settings = {"key": "ffeeddccbbaa99887766554433221100" * 2}
_MESSAGE_ONLY: _Settings = {"checksum": Checksum.MESSAGE_ONLY}
_FAST: _Settings = {"interval_cs": 20}
_SLOW: _Settings = {"interval_cs": 100}
"""keepalived puts its own advertisement off for an interval with each one that it discards: a left
one that discards what right sends has to be the faster one, or right may never hear it."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A variant without VRID; ``left`` and ``right`` go beyond ``both``."""

    name: str
    both: _Settings
    left: _Settings = field(default_factory=dict)
    right: _Settings = field(default_factory=dict)
    kind: Kind = Kind.LEFT_HIGHER
    left_deaf: frozenset[str] = frozenset()
    right_deaf: frozenset[str] = frozenset()

    def numbered(self, vrid: int) -> Variant:
        """Return the variant, addresses filled in.

        The interval is 200 ms where an election that a stall of this machine has spoilt comes right
        by itself, 1 s where it does not or where two keep answering each other.
        """
        heals = self.kind in (Kind.LEFT_HIGHER, Kind.RIGHT_HIGHER) and not self.right_deaf
        interval = _FAST if heals else _SLOW
        base = {"addresses": ("192.0.2.{vrid}",), **interval, **self.both}
        left = _config(vrid, {"priority": 200, **base, **self.left})
        right = _config(vrid, {"priority": 100, **base, **self.right})
        return Variant(self.name, left, right, self.kind, self.left_deaf, self.right_deaf)


def _config(vrid: int, settings: dict[str, Any]) -> RouterConfig:
    addresses = tuple(address.format(vrid=vrid) for address in settings["addresses"])
    return RouterConfig(vrid=vrid, **{**settings, "addresses": addresses})


def _either_way(mode: Mode, twenty: str) -> Iterator[_Draft]:
    """Yield what is played in unicast and in multicast alike."""
    way: _Settings = {"mode": mode}
    yield _Draft(f"v3 IPv4 {mode}", way)
    yield _Draft(f"v2 IPv4 {mode}", {**way, **_V2})
    yield _Draft(f"v3 IPv6 {mode}", {**way, **_V6})
    yield _Draft(f"v3 IPv6 {mode}, link-local address first", {**way, **_V6_LINK_LOCAL})
    yield _Draft(f"right is higher, {mode}", way, {"priority": 50}, kind=Kind.RIGHT_HIGHER)
    yield _Draft(f"equal priorities, {mode}", {**way, **_EQUAL}, kind=Kind.EQUAL)
    yield _Draft(
        f"left does not preempt, {mode}",
        {**way, "preempt": False},
        kind=Kind.LEFT_STAYS_BACKUP,
    )
    # Right would time out after 0.6 s, between two advertisements of left, did it not learn.
    yield _Draft(f"v3, left has 1 s, right 200 ms, {mode}", way, _SLOW)
    yield _Draft(
        f"v2, left has 1 s, right 2 s, {mode}",
        {**way, **_V2},
        right={"interval_cs": 200},
        left_deaf=_EVERYBODY,
        right_deaf=_EVERYBODY,
    )
    many = [f"{twenty}.{n}" for n in range(1, 21)]
    yield _Draft(f"20 addresses, {mode}", {**way, "addresses": many})
    yield _Draft(
        f"left has one address more, {mode}",
        way,
        {"addresses": ("192.0.2.{vrid}", f"{twenty}.{{vrid}}"), **_FAST},
        _SLOW,
        left_deaf=_KEEPALIVED,
        right_deaf=_KEEPALIVED,  # until 2.3.3
    )


def _one_way() -> Iterator[_Draft]:
    """Yield what makes sense, or a difference, in one mode only."""
    unicast, multicast = {"mode": Mode.UNICAST}, {"mode": Mode.MULTICAST}
    yield _Draft(
        "v3 IPv6 unicast, hop limit as each sends it",
        {**unicast, **_V6, "ttl": None, "ttl_minimum": 64},
    )
    yield _Draft(
        "v3 IPv6 unicast, hop limit 64 where 255 is demanded",
        {**unicast, **_V6, "ttl": 64},
        left_deaf=_OURS,
        right_deaf=_OURS,
    )
    yield _Draft("equal priorities, IPv6 unicast", {**unicast, **_V6, **_EQUAL}, kind=Kind.EQUAL)
    yield _Draft(
        "left waits 300 s before it preempts, unicast",
        unicast,
        {"preempt_delay_s": 300},
        kind=Kind.LEFT_STAYS_BACKUP,
    )
    yield _Draft(
        "left is no peer of right, unicast",
        unicast,
        right={"peers": ("192.0.2.99",)},
        left_deaf=_EVERYBODY,  # right speaks to somebody else
        right_deaf=_OURS,
    )
    yield _Draft(
        "left speaks v3, right v2, multicast",
        multicast,
        right=_V2,
        left_deaf=_EVERYBODY,
        right_deaf=_EVERYBODY,
    )


def _authenticated() -> Iterator[_Draft]:
    unicast, multicast = {"mode": Mode.UNICAST}, {"mode": Mode.MULTICAST}
    yield _Draft("v2 PASS, unicast", {**unicast, **_PASSWORD})
    yield _Draft("v2 PASS, multicast", {**multicast, **_PASSWORD})
    yield _Draft(
        "v2 PASS, right has another one, unicast",
        {**unicast, **_PASSWORD},
        right={"password": "other"},
        left_deaf=_EVERYBODY,
        right_deaf=_EVERYBODY,
    )
    yield _Draft("v3 IPv4 HMAC, unicast", {**unicast, **_KEY})
    yield _Draft("v3 IPv6 HMAC, multicast", {**multicast, **_V6, **_KEY})
    yield _Draft("v2 HMAC, unicast", {**unicast, **_V2, **_KEY})
    yield _Draft(
        "HMAC, right has another key, unicast",
        {**unicast, **_KEY},
        right=_OTHER_KEY,
        left_deaf=_EVERYBODY,
        right_deaf=_EVERYBODY,
    )
    for mode in (unicast, multicast):
        yield _Draft(
            f"left signs, right has no key, {mode['mode']}",
            mode,
            _KEY,
            left_deaf=_EVERYBODY,
            right_deaf=_EVERYBODY,
        )


def _checksums() -> Iterator[_Draft]:
    for mode in (Mode.UNICAST, Mode.MULTICAST):
        way: _Settings = {"mode": mode}
        yield _Draft(
            f"checksum with pseudo-header, {mode}", {**way, "checksum": Checksum.PSEUDO_HEADER}
        )
        yield _Draft(
            f"left sends the message-only checksum, {mode}",
            way,
            _MESSAGE_ONLY,
            right_deaf=_DEBIANS,  # they know the form with a pseudo-header only
        )
        yield _Draft(
            f"right sends the message-only checksum, {mode}",
            way,
            _FAST,
            {**_MESSAGE_ONLY, **_SLOW},
            left_deaf=_DEBIANS,
        )


def _number(drafts: Iterable[_Draft]) -> tuple[Variant, ...]:
    return tuple(draft.numbered(vrid) for vrid, draft in enumerate(drafts, _FIRST_VRID))


VARIANTS = _number(
    chain(
        _either_way(Mode.UNICAST, "198.51.100"),
        _either_way(Mode.MULTICAST, "203.0.113"),
        _one_way(),
        _authenticated(),
        _checksums(),
    )
)
