"""What the engine knows of this node's links and addresses, kept by netlink news."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vrrp_speaker.engine.network.netlink import ADDRESS_PROTOCOL, AddressNews, LinkNews, News


@dataclass(slots=True)
class Digest:
    """What some news amounts to."""

    gone: list[AddressNews] = field(default_factory=list)
    arrived: list[AddressNews] = field(default_factory=list)
    links_up: list[int] = field(default_factory=list)
    links_gone: list[int] = field(default_factory=list)
    concerns_programs: bool = False
    """Whether a compiled program may depend on it."""
    changed: bool = False
    """Whether a link or an address is not as it was; a lease that is renewed changes nothing."""


class NodeNetwork:
    """Links and local addresses of the namespace."""

    def __init__(self) -> None:
        self.known = False
        """Whether the kernel has told what there is."""
        self._links: dict[int, LinkNews] = {}
        self._addresses: dict[tuple[int, bytes], dict[int, int]] = {}
        """By prefix length, the protocol: one IPv4 address may be there with several."""
        self._awaited: set[tuple[int, bytes]] = set()

    def reset(self, news: Iterable[News]) -> None:
        """Forget everything and learn it again from a dump."""
        self.known = True
        self._links.clear()
        self._addresses.clear()
        self._awaited.clear()
        self.learn(news, Digest())

    def learn(self, news: Iterable[News], digest: Digest) -> None:
        """Take in news and add to the digest what it means."""
        for item in news:
            if isinstance(item, LinkNews):
                self._learn_link(item, digest)
            else:
                self._learn_address(item, digest)

    def _learn_link(self, news: LinkNews, digest: Digest) -> None:
        known = self._links.pop(news.ifindex, None)
        digest.changed |= known != news
        if not news.present:
            digest.concerns_programs |= known is not None
            digest.links_gone.append(news.ifindex)
            return
        self._links[news.ifindex] = news
        # Frames carry the hardware address, and programs name links.
        if known is None or (known.name, known.mac) != (news.name, news.mac):
            digest.concerns_programs = True
        if news.running and known is not None and not known.running:
            digest.links_up.append(news.ifindex)

    def _learn_address(self, news: AddressNews, digest: Digest) -> None:
        """Our own addresses come and go with elections; they concern no program."""
        key = (news.ifindex, news.address)
        held = self._addresses.setdefault(key, {})
        known = held.pop(news.prefix_length, None)
        # No router's fault depends on one of ours, and a takeover has more to do than to look.
        if ADDRESS_PROTOCOL not in (known, news.protocol):
            digest.changed |= news.present is (known is None)
        if news.present:
            held[news.prefix_length] = news.protocol
            if known is None:
                digest.arrived.append(news)
                digest.concerns_programs |= news.protocol != ADDRESS_PROTOCOL
            return
        digest.gone.append(news)
        digest.concerns_programs |= known not in (None, ADDRESS_PROTOCOL)
        if not held:
            del self._addresses[key]
            self._awaited.discard(key)

    def ours(self) -> list[AddressNews]:
        """Return the addresses with our mark, as if they were news."""
        return [
            AddressNews(ifindex, address, prefix_length, protocol, present=True)
            for (ifindex, address), held in self._addresses.items()
            for prefix_length, protocol in held.items()
            if protocol == ADDRESS_PROTOCOL
        ]

    def indexes(self) -> list[int]:
        """Return the index of every link."""
        return list(self._links)

    def running(self, ifindex: int) -> bool:
        """Return whether the interface exists, is up and has a carrier.

        Before the kernel has told anything, what the program was compiled for is believed.
        """
        link = self._links.get(ifindex)
        return not self.known if link is None else link.running

    def has_address(self, address: bytes) -> bool:
        """Return whether any interface holds the packed address; as ``running`` at first."""
        return not self.known or any(known == address for _, known in self._addresses)

    def owns_mac(self, mac: bytes) -> bool:
        """Return whether a link of this node has the hardware address; nobody else at first."""
        return not self.known or any(link.mac == mac for link in self._links.values())

    def mac(self, ifindex: int) -> bytes:
        """Return an interface's hardware address; empty where there is none."""
        link = self._links.get(ifindex)
        return link.mac if link is not None else b""

    def on_interface(self, ifindex: int, address: bytes) -> bool:
        """Return whether this interface holds the packed address."""
        return (ifindex, address) in self._addresses

    def await_use(self, ifindex: int, address: bytes) -> None:
        """Note that an address is on the interface, but does not answer yet."""
        self._awaited.add((ifindex, address))

    def note_use(self, ifindex: int, address: bytes) -> None:
        """Note that an address answers."""
        self._awaited.discard((ifindex, address))

    def in_use(self, ifindex: int, address: bytes) -> bool:
        """Return whether the address is on the interface, and not known to be mute."""
        key = (ifindex, address)
        return key in self._addresses and key not in self._awaited
