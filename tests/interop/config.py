"""One Virtual Router as a test wants it, in nobody's configuration language."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PRIORITY_RELEASE = 0


class Mode(StrEnum):
    """How advertisements travel."""

    UNICAST = "unicast"
    MULTICAST = "multicast"


class Checksum(StrEnum):
    """Which checksum of version 3 over IPv4 is sent."""

    AUTO = "Auto"
    MESSAGE_ONLY = "MessageOnly"
    PSEUDO_HEADER = "PseudoHeader"


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """One Virtual Router on one side.

    The first address decides the family. ``ttl`` None leaves it to the implementation;
    ``ttl_minimum`` is what is accepted where the implementation has such a thing. ``key`` is an
    HMAC key in hexadecimal.
    """

    vrid: int
    addresses: tuple[str, ...]
    priority: int
    version: int = 3
    mode: Mode = Mode.UNICAST
    peers: tuple[str, ...] = ()
    interval_cs: int = 20
    down_advertisements: int = 3
    preempt: bool = True
    preempt_delay_s: int = 0
    password: str | None = None
    key: str | None = None
    checksum: Checksum = Checksum.AUTO
    ttl: int | None = 255
    ttl_minimum: int = 255

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.addresses[0] else 4

    @property
    def name(self) -> str:
        """What the implementations call it."""
        return f"vrid-{self.vrid}"

    @property
    def interval_s(self) -> float:
        """The advertisement interval in seconds."""
        return self.interval_cs / 100
