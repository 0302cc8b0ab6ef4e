"""Changes of this node's links and addresses, as the kernel tells of them, and what follows.

News may be lost; then everything is read again by a dump, and so it is at the start. A dump takes
the kernel's rtnl lock, so the worker makes it and the loop goes on meanwhile, with what was known
and with the news that come. Those are kept, and taken in once more after the dump: it may be older.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vrrp_speaker.engine.addresses.address_watch import AddressWatch
from vrrp_speaker.engine.addresses.worker import AddressWorker
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.network.interest import Interest
from vrrp_speaker.engine.network.netlink import News
from vrrp_speaker.engine.network.news import NewsLostError, NewsSocket
from vrrp_speaker.engine.network.node_network import Digest, NodeNetwork
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.wire.wanted_groups import WantedGroups

_BATCH = 64


class NetworkChanges(Concern):
    """Takes in news and dumps, and tells routers what they mean."""

    def __init__(
        self,
        news: NewsSocket,
        worker: AddressWorker,
        network: NodeNetwork,
        *,
        groups: WantedGroups,
        faults: Faults,
        addresses: AddressWatch,
        caught_up_ns: Callable[[], int],
        tell_agent: Callable[[], None],
    ) -> None:
        """``caught_up_ns``: handles what has passed its deadline and returns the time."""
        self._news = news
        self._worker = worker
        self._network = network
        self._groups = groups
        self._faults = faults
        self._addresses = addresses
        self._caught_up_ns = caught_up_ns
        self._tell_agent = tell_agent
        self._since_asked: list[News] | None = None
        """The news since a dump was asked for; None where none is under way."""
        self._dumps = 0
        self._lost = False
        """Whether news were lost that the next dump is to make up for."""

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return (self._news.fileno(),)

    def begin(self, interest: Interest) -> None:
        """Hear of what a program depends on, before anything is known; ``ask`` is to follow."""
        self._network.mind(interest)
        self._news.attend(self._network.attention())

    def mind(self, interest: Interest) -> None:
        """Hear of what a program that is about to be loaded depends on, and of nothing else.

        What did not matter may not be known yet: until it is, it is believed to be as the program
        was made for.
        """
        if self._network.minds(interest):
            return
        passed_over = self._network.mind(interest)
        if self._news.attend(self._network.attention()) or passed_over:
            self._network.known = False
            self.ask()

    def ask(self, then: Callable[[list[News]], None] = lambda _found: None) -> None:
        """Have everything read; ``then`` is told what was found, once that is known."""
        self._dumps += 1
        number, self._since_asked = self._dumps, []

        def dumped(found: list[News]) -> None:
            if number == self._dumps:  # else news were lost since, and another one is under way
                self._dumped(found)
            then(found)

        self._worker.call(lambda requests: requests.dump(), dumped)

    def receive(self, _descriptor: int, _now_ns: int) -> None:
        """Take in a bounded batch of news."""
        digest = Digest()
        try:
            self._network.learn(self._pending(), digest)
        except NewsLostError:
            # What is queued is older than a dump, and would be believed after it.
            self._news.discard()
            self._lost = True
            self.ask()
        if self._news.attend(self._network.attention()):
            self.ask()  # more is of interest than was heard of
        self._follow(digest)

    def _pending(self) -> Iterator[News]:
        for _ in range(_BATCH):
            batch = self._news.receive()
            if batch is None:
                return
            if self._since_asked is not None:
                self._since_asked += batch
            yield from batch

    def _dumped(self, found: list[News]) -> None:
        digest, since = Digest(), self._since_asked or []
        self._since_asked = None
        if self._lost:
            digest.links_gone += self._network.indexes()  # any of them may be another by now
            self._lost = False
        self._network.reset(found)
        self._network.learn(since, Digest())
        if self._news.attend(self._network.attention()):
            self.ask()  # a link matters for an address that was not known to be there
        digest.concerns_programs = digest.changed = True
        digest.gone, digest.arrived = self._addresses.missing(), self._network.ours()
        self._follow(digest)

    def _follow(self, digest: Digest) -> None:
        now_ns = self._caught_up_ns()
        for ifindex in digest.links_gone:
            self._groups.forget(ifindex)
        if digest.concerns_programs:
            self._groups.join()
        # Faults first: an address that went with its link is not to be put back.
        if digest.changed:
            self._faults.refresh_all(now_ns)
        for ifindex in digest.links_up:
            self._addresses.announce_sources(ifindex, now_ns)
        for address in digest.gone:
            self._addresses.restore(address, now_ns)
        for address in digest.arrived:
            self._addresses.await_use(address, now_ns)
        if digest.concerns_programs:
            self._tell_agent()
