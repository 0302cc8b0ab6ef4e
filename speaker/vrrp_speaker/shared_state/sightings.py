"""Whom the engine saw that it would rather not have seen, as the shared state keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conflict:
    """The host outside the election that was last seen with one of the addresses (packed)."""

    address: bytes
    mac: bytes
    seen_ns: int


@dataclass(frozen=True, slots=True)
class HeldByMember:
    """The address (packed) that a member of the election has, and which member that is.

    ``member`` is the hash of the packed address by which that one takes part.
    """

    address: bytes
    member: int


@dataclass(frozen=True, slots=True)
class ForeignRouter:
    """The router outside the election that last used its VRID: packed source, priority."""

    source: bytes
    priority: int
    seen_ns: int
