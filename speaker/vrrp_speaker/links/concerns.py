"""What a configuration names of the node: news of these could change its program.

The counterpart is ``engine.network.interest``. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Asked = tuple[str | None, tuple[VipAddress, ...]]


@dataclass(frozen=True, slots=True)
class _Named:
    """What one router names."""

    asked: _Asked
    interfaces: frozenset[str]
    addresses: tuple[str, ...]
    networks: frozenset[_Network]


class Concerns:
    """Finds out what configurations name; what comes again is the same object as before."""

    def __init__(self) -> None:
        self._known: dict[str, _Named] = {}
        self._addresses: tuple[str, ...] = ()
        self._found: Mapping[str, Any] | None = None

    def of(self, config: NodeConfig) -> Mapping[str, Any]:
        """Return the interfaces that are named, and all addresses: virtual ones and the node's own.

        And the networks of virtual addresses: whoever has an address in one of these may be chosen.
        """
        before, self._known = self._known, {}
        for router in config.virtual_routers:
            self._known[router.name] = _named(router, before.get(router.name))
        same = config.addresses == self._addresses and before == self._known
        if self._found is None or not same:
            self._found = _together(config.addresses, self._known.values())
        self._addresses = config.addresses
        return self._found


def _named(router: VirtualRouterConfig, before: _Named | None) -> _Named:
    asked = router.interface, router.addresses
    if before is not None and before.asked == asked:
        return before
    named = (router.interface, *(address.interface for address in router.addresses))
    return _Named(
        asked,
        frozenset(name for name in named if name is not None),
        tuple(address.address for address in router.addresses),
        frozenset(
            ipaddress.ip_network(f"{address.address}/{address.prefix_length}", strict=False)
            for address in router.addresses
            if address.prefix_length < (128 if address.family == 6 else 32)
        ),
    )


def _together(own: Iterable[str], named: Collection[_Named]) -> dict[str, Any]:
    interfaces = frozenset[str]().union(*(one.interfaces for one in named))
    addresses = set(own).union(*(one.addresses for one in named))
    networks = frozenset[_Network]().union(*(one.networks for one in named))
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
        ],
    }
