"""What the engine knows of this node's links and addresses, kept by netlink news."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from vrrp_speaker.engine.network.interest import EVERYTHING, Interest
from vrrp_speaker.engine.network.netlink import ADDRESS_PROTOCOL, AddressNews, LinkNews, News
from vrrp_speaker.engine.network.news_filter import Attention


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
    """Whether a link or an address that matters is not as it was; a lease that is renewed changes
    nothing."""


class NodeNetwork:
    """Links of the namespace, and those local addresses that matter."""

    def __init__(self) -> None:
        self.known = False
        """Whether the kernel has told what there is."""
        self._interest = EVERYTHING
        self._links: dict[int, LinkNews] = {}
        self._addresses: dict[tuple[int, bytes], dict[int, int]] = {}
        """By prefix length, the protocol: one IPv4 address may be there with several."""
        self._holders: dict[bytes, set[int]] = {}
        """The interfaces that hold an address: nearly always one."""
        self._awaited: set[tuple[int, bytes]] = set()
        self._used: frozenset[int] | None = None

    def mind(self, interest: Interest) -> bool:
        """Keep, and judge by, what matters from now on.

        Returns whether some of it may have been passed over until now: then a dump is due.
        """
        before, self._interest, self._used = self._interest, interest, None
        return interest.wider_than(before)

    def minds(self, interest: Interest) -> bool:
        """Return whether that is what matters already."""
        return interest == self._interest

    def attention(self) -> Attention:
        """Return what news have to be about to be of any use here."""
        interest = self._interest
        if interest.everything:
            return Attention(everything=True)
        names = interest.names
        if names:
            for link in self._links.values():
                names = names.difference((link.name, *link.alternatives))
        return Attention(
            self._used_links(), interest.addresses, interest.networks, all_links=bool(names)
        )

    def _used_links(self) -> frozenset[int]:
        """Return the links of the program, and those that have an address which it is about."""
        if self._used is None:
            interest = self._interest
            holders = (self._holders.get(address, ()) for address in interest.addresses)
            self._used = interest.links.union(*holders)
        return self._used

    def reset(self, news: Iterable[News]) -> None:
        """Forget everything and learn it again from a dump."""
        self.known = True
        self._links.clear()
        self._addresses.clear()
        self._holders.clear()
        self._awaited.clear()
        self._used = None
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
        if news.present:
            self._links[news.ifindex] = news
        else:
            digest.links_gone.append(news.ifindex)
        if known == news or not self._matters(known, news):
            return
        digest.changed = True
        # Frames carry the hardware address, and programs name links.
        if not news.present:
            digest.concerns_programs |= known is not None
        elif known is None or _named(known) != _named(news) or known.mac != news.mac:
            digest.concerns_programs = True
        if news.running and known is not None and not known.running:
            digest.links_up.append(news.ifindex)

    def _matters(self, known: LinkNews | None, news: LinkNews) -> bool:
        """Return whether anything depends on a link, or could by the name that it has or had."""
        interest = self._interest
        if interest.everything or news.ifindex in self._used_links():
            return True
        return any(link and not interest.names.isdisjoint(_named(link)) for link in (known, news))

    def _learn_address(self, news: AddressNews, digest: Digest) -> None:
        """Our own addresses come and go with elections; they concern no program."""
        if not self._is_wanted(news):
            return
        key, self._used = (news.ifindex, news.address), None
        held = self._addresses.setdefault(key, {})
        known = held.pop(news.prefix_length, None)
        # No router's fault depends on one of ours, and a takeover has more to do than to look.
        if ADDRESS_PROTOCOL not in (known, news.protocol):
            digest.changed |= news.present is (known is None)
        if news.present:
            held[news.prefix_length] = news.protocol
            self._holders.setdefault(news.address, set()).add(news.ifindex)
            if known is None:
                digest.arrived.append(news)
                digest.concerns_programs |= news.protocol != ADDRESS_PROTOCOL
            return
        digest.gone.append(news)
        digest.concerns_programs |= known not in (None, ADDRESS_PROTOCOL)
        if not held:
            del self._addresses[key]
            self._awaited.discard(key)
            self._let_go(*key)

    def _is_wanted(self, news: AddressNews) -> bool:
        """Return whether an address is on a link that is used, or could lead to another one."""
        interest = self._interest
        return (
            interest.everything
            or news.ifindex in interest.links
            or news.protocol == ADDRESS_PROTOCOL
            or interest.could_lead(news.address, news.prefix_length)
        )

    def _let_go(self, ifindex: int, address: bytes) -> None:
        holders = self._holders.get(address)
        if holders is not None:
            holders.discard(ifindex)
            if not holders:
                del self._holders[address]

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

    def holders(self, address: bytes) -> Collection[int]:
        """Return the interfaces that hold the packed address."""
        return self._holders.get(address, ())

    def has_address(self, address: bytes) -> bool:
        """Return whether any interface holds the packed address; as ``running`` at first."""
        return not self.known or address in self._holders

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


def _named(link: LinkNews) -> tuple[str, ...]:
    return link.name, *link.alternatives
