"""What of a node's links and addresses matters to the elections it takes part in.

A node of a cluster has hundreds of links and thousands of addresses that come and go with pods and
Services. Of these matter: the links that the program uses; those that bear a name which the
configuration gives; and addresses through which another link could be chosen, or an address of ours
be another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from vrrp_speaker.engine.programs.program import EngineProgram

Network = tuple[bytes, int]
"""An address of it, packed, and its prefix length."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What a program depends on, and what could make it another one.

    ``links``: indexes it was compiled for. ``names``: of interfaces that the configuration names.
    ``addresses``: virtual ones, the node's own and the sources of advertisements, packed.
    ``networks``: those of virtual addresses.
    ``everything``: nobody has told, so all of it matters.
    """

    links: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    addresses: frozenset[bytes] = frozenset()
    networks: frozenset[Network] = frozenset()
    everything: bool = False

    def wider_than(self, other: Interest) -> bool:
        """Return whether a link or an address matters that did not."""
        if other.everything:
            return False
        known = self.links <= other.links and self.addresses <= other.addresses
        known &= self.networks <= other.networks
        return self.everything or not known

    def could_lead(self, address: bytes, prefix_length: int) -> bool:
        """Return whether a link may be chosen because of an address that it has."""
        if address in self.addresses:
            return True
        if _is_link_local(address):
            return False
        if prefix_length < 8 * len(address) and any(
            _holds((address, prefix_length), wanted) for wanted in self.addresses
        ):
            return True
        return any(_holds(network, address) for network in self.networks)


def _holds(network: Network, address: bytes) -> bool:
    """Return whether an address is in a network."""
    inside, prefix_length = network
    shift = 8 * len(inside) - prefix_length
    same = len(inside) == len(address)
    return same and int.from_bytes(inside) >> shift == int.from_bytes(address) >> shift


def _is_link_local(address: bytes) -> bool:
    """Return whether every link has this address's subnet, so that it leads to none (RFC 4291)."""
    return len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80


EVERYTHING = Interest(everything=True)


def interest_of(program: EngineProgram) -> Interest:
    """Return what matters while this program runs; of one that an earlier version made, all."""
    concerns = program.concerns
    if concerns is None:
        return EVERYTHING
    routers = program.routers
    return Interest(
        links=frozenset(
            {router.ifindex for router in routers if router.ifindex}
            | {address.ifindex for router in routers for address in router.addresses}
        ),
        names=concerns.interfaces,
        addresses=concerns.addresses | {router.source for router in routers if router.ifindex},
        networks=concerns.networks,
    )
