"""What a planted fault is: an edit to the protocol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """``old`` occurs once in ``speaker/<module>.py``; ``new`` in its place is wrong."""

    module: str
    old: str
    new: str
    why: str


def in_router(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``virtual_router``."""
    return PlantedFault("vrrp/virtual_router", old, new, why)


def in_states(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``states``."""
    return PlantedFault("vrrp/states", old, new, why)


def in_rivals(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``rivals``."""
    return PlantedFault("vrrp/rivals", old, new, why)


def in_members(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``members``."""
    return PlantedFault("vrrp/members", old, new, why)


def in_timers(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``timers``."""
    return PlantedFault("vrrp/timers", old, new, why)


def in_lease(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``lease``."""
    return PlantedFault("vrrp_speaker/lease", old, new, why)


def in_validation(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``validation``."""
    return PlantedFault("vrrp/validation", old, new, why)


def in_packet(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``packet``."""
    return PlantedFault("vrrp/packet", old, new, why)


def in_authentication(old: str, new: str, why: str) -> PlantedFault:
    """Return an edit of ``authentication``."""
    return PlantedFault("vrrp/authentication", old, new, why)
