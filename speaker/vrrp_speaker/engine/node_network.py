"""What the engine knows of this node's links and addresses, kept by netlink news."""

from __future__ import annotations

from collections.abc import Iterable

from vrrp_speaker.engine.netlink import ADDRESS_PROTOCOL, AddressNews, LinkNews, News


class NodeNetwork:
    """Running links and local addresses of the namespace."""

    def __init__(self) -> None:
        self._running: dict[int, bool] = {}
        self._addresses: dict[tuple[int, bytes], int] = {}

    def reset(self, news: Iterable[News]) -> None:
        """Forget everything and learn it again from a dump."""
        self._running.clear()
        self._addresses.clear()
        for item in news:
            self.learn(item)

    def learn(self, news: News) -> bool:
        """Take in one piece of news; return whether a compiled program may depend on it.

        Our own addresses come and go with elections; they concern no program.
        """
        if isinstance(news, LinkNews):
            if not news.present:
                return self._running.pop(news.ifindex, None) is not None
            known = self._running.get(news.ifindex)
            self._running[news.ifindex] = news.running
            return known is None
        return self._learn_address(news)

    def _learn_address(self, news: AddressNews) -> bool:
        key = (news.ifindex, news.address)
        if news.present:
            known = key in self._addresses
            self._addresses[key] = news.protocol
            return not known and news.protocol != ADDRESS_PROTOCOL
        return self._addresses.pop(key, ADDRESS_PROTOCOL) != ADDRESS_PROTOCOL

    def running(self, ifindex: int) -> bool:
        """Return whether the interface exists, is up and has a carrier."""
        return self._running.get(ifindex, False)

    def has_address(self, address: bytes) -> bool:
        """Return whether any interface holds the packed address."""
        return any(known == address for _, known in self._addresses)

    def on_interface(self, ifindex: int, address: bytes) -> bool:
        """Return whether this interface holds the packed address."""
        return (ifindex, address) in self._addresses
