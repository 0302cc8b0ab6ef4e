"""Which addresses checks may ask: what the node's administrator allows, and some never.

It is judged where a question is sent, after names are resolved, so that no name leads elsewhere
than its author may ask. Checks follow no redirects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vrrp_api.conditions import Reason
from vrrp_speaker.agent.checks.routes import Address, Distance, distance

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NODE, SUBNETS = "Node", "Subnets"

_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local, and nearly every cloud's metadata
        "fe80::/10",
        "fd00:ec2::/32",  # Amazon's
        "fd20:ce::254/128",  # Google's
        "fd00:42::42/128",  # Scaleway's
        "100.100.100.200/32",  # Alibaba's
        "168.63.129.16/32",  # Azure's
        "192.0.0.192/32",  # Oracle's
    )
)
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64 (RFC 6052)
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


class TargetNotAllowed(Exception):
    """An address that a check may not ask; nothing was sent to it."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"{Reason.TARGET_NOT_ALLOWED}: {address} {why}")


class TargetsError(Exception):
    """A list of targets has an entry that is none."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What checks may ask: the node's own addresses, its subnets, networks."""

    node: bool
    subnets: bool
    networks: tuple[Network, ...]
    said_by: str = "--check-targets"
    distance: Callable[[Address], Distance] = distance

    def require(self, text: str) -> None:
        """Return if an address may be asked.

        Raises:
            TargetNotAllowed: it may not.
            OSError: the kernel does not say whether it is the node's, or in a subnet of it.
        """
        address = _plain(ipaddress.ip_address(text))
        if address.is_multicast or address == _BROADCAST:
            raise TargetNotAllowed(text, "is no unicast address")
        if any(_within(meant, network) for meant in _meant(address) for network in _NEVER):
            raise TargetNotAllowed(text, "is link-local or a metadata service: never asked")
        if any(_within(address, network) for network in self.networks):
            return
        # To the unspecified address the kernel connects to itself.
        found = Distance.NODE if address.is_unspecified else self.distance(address)
        if (found is Distance.NODE and self.node) or (found is Distance.SUBNET and self.subnets):
            return
        raise TargetNotAllowed(text, f"is not among {self.said_by} (accepted: {self})")

    def __str__(self) -> str:
        words = [name for name, given in ((NODE, self.node), (SUBNETS, self.subnets)) if given]
        return ", ".join([*words, *map(str, self.networks)])


def parse_targets(entries: Iterable[str], said_by: str = "--check-targets") -> Targets:
    """Return what a list of ``Node``, ``Subnets`` and networks allows; ``said_by`` names it.

    Raises:
        TargetsError: the first wrong entry, or that there is none.
    """
    given = tuple(entries)
    networks: list[Network] = []
    for entry in given:
        if entry in (NODE, SUBNETS):
            continue
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError as error:
            raise TargetsError(
                f"{said_by}: {entry!r} is no network (accepted: Node, Subnets, 10.96.0.0/12, ::/0)"
            ) from error
    if not given:
        raise TargetsError(f"{said_by}: is empty (accepted: Node, Subnets, 10.96.0.0/12)")
    return Targets(NODE in given, SUBNETS in given, tuple(networks), said_by)


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 socket would send IPv4 to."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _meant(address: Address) -> tuple[Address, ...]:
    """Return an address and whom a translator would make of it."""
    if address in _TRANSLATED:
        return address, ipaddress.IPv4Address(address.packed[-4:])
    return (address,)


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
