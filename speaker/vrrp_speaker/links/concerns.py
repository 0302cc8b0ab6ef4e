"""What a configuration names of the node: news of these could change its program.

The counterpart is ``engine.network.interest``.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from vrrp_api.node_config import NodeConfig


def concerns(config: NodeConfig) -> dict[str, Any]:
    """Return the interfaces that are named, and all addresses: virtual ones and the node's own.

    And the networks of virtual addresses: whoever has an address in one of these may be chosen.
    """
    interfaces, addresses = set[str](), set(config.addresses)
    networks = set[ipaddress.IPv4Network | ipaddress.IPv6Network]()
    for router in config.virtual_routers:
        named = [router.interface, *(address.interface for address in router.addresses)]
        interfaces.update(name for name in named if name is not None)
        addresses.update(address.address for address in router.addresses)
        networks.update(
            ipaddress.ip_network(f"{address.address}/{address.prefix_length}", strict=False)
            for address in router.addresses
        )
    return {
        "interfaces": sorted(interfaces),
        "addresses": sorted(addresses),
        "networks": [
            {
                "address": str(network.network_address),
                "prefixLength": network.prefixlen,
                "family": network.version,
            }
            for network in sorted(networks, key=str)
            if network.prefixlen < network.max_prefixlen
        ],
    }
