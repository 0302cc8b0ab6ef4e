"""What kind of link it is, as far as that decides what it can be used for."""

from __future__ import annotations

from dataclasses import dataclass

OF_THIS_NODE = frozenset(
    {
        "dummy", "ifb", "nlmon", "vcan", "vrf",
        "tun", "wireguard", "ppp", "ipip", "sit", "gre", "gretap", "erspan", "vti", "vti6", "xfrm",
        "ip6tnl", "ip6gre", "ip6gretap", "ip6erspan", "vxlan", "geneve", "gtp", "bareudp", "fou",
    }
)  # fmt: skip
"""Kinds (IFLA_INFO_KIND) that end on the node itself, or lead to a network that was made up."""
OF_CONTAINERS = frozenset({"veth", "tun"})
"""Kinds of ports by which containers and virtual machines hang on a bridge."""


@dataclass(frozen=True, slots=True)
class Nature:
    """What a link is besides its name and addresses.

    Attributes:
        kind: IFLA_INFO_KIND; empty for a network card.
        resolves: whether it asks neighbours for hardware addresses: no loopback, no tunnel.
        other_names: alternative names (``ip link property``).
        master: the index of the bridge or bond that it is a port of; 0 for none.
        quiet: whether it answers ARP for its own addresses only, not for other links' (arp_ignore).
        has_ipv6: whether it may have IPv6 addresses (disable_ipv6, ipv6.disable).
    """

    kind: str = ""
    resolves: bool = True
    other_names: tuple[str, ...] = ()
    master: int = 0
    quiet: bool = False
    has_ipv6: bool = True


ORDINARY = Nature()
