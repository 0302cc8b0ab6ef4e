"""What the kernel tells of links and addresses while everything is read again."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vrrp_speaker.engine.network.changes import NetworkChanges
from vrrp_speaker.engine.network.interest import Interest
from vrrp_speaker.engine.network.netlink import LinkNews, News
from vrrp_speaker.engine.network.news import NewsLostError
from vrrp_speaker.engine.network.news_filter import Attention
from vrrp_speaker.engine.network.node_network import NodeNetwork

UP, DOWN = LinkNews(2, "eth0", True, True), LinkNews(2, "eth0", False, True)


class Rig:
    """Changes over a kernel whose news, and whose dumps, come when a test says so."""

    def __init__(self) -> None:
        self.news: list[list[News] | None] = []
        """What is received next; None: that some were lost."""
        self.dumps: list[Callable[[list[News]], None]] = []
        self.faults_looked_at = 0
        self.attention = Attention(everything=True)
        self.network = NodeNetwork()
        groups = SimpleNamespace(forget=lambda _: None, join=lambda: None)
        parts: dict[str, Any] = {
            "news": SimpleNamespace(
                receive=self._receive, discard=self.news.clear, attend=self._attend
            ),
            "worker": SimpleNamespace(call=lambda _do, then: self.dumps.append(then)),
            "groups": groups,
            "faults": SimpleNamespace(refresh_all=self._refresh),
            "addresses": SimpleNamespace(missing=list, announce_sources=lambda *_: None),
            "caught_up_ns": lambda: 0,
            "tell_agent": lambda: None,
        }
        self.changes = NetworkChanges(network=self.network, **parts)

    def _attend(self, attention: Attention) -> bool:
        before, self.attention = self.attention, attention
        return attention.wider_than(before)

    def _receive(self) -> list[News] | None:
        if not self.news:
            return None
        batch = self.news.pop(0)
        if batch is None:
            raise NewsLostError
        return batch

    def _refresh(self, _now_ns: int) -> None:
        self.faults_looked_at += 1

    def tell(self, *batches: list[News] | None) -> None:
        """Let news come; None: some were lost."""
        self.news += batches
        self.changes.receive(0, 0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_before_the_kernel_has_told_anything_the_program_is_believed(rig: Rig) -> None:
    assert rig.network.running(2)
    assert rig.network.has_address(bytes(4))
    rig.changes.ask()
    rig.dumps[0]([DOWN])
    assert not rig.network.running(2)
    assert not rig.network.has_address(bytes(4))
    assert rig.faults_looked_at == 1


def test_news_of_while_everything_was_read_are_newer_than_that(rig: Rig) -> None:
    rig.changes.ask()
    rig.tell([DOWN])
    rig.dumps[0]([UP])
    assert not rig.network.running(2)
    rig.tell([UP])
    assert rig.network.running(2)


def test_news_that_are_lost_while_everything_is_read_have_it_read_again(rig: Rig) -> None:
    rig.changes.ask()
    rig.tell([UP])
    rig.tell(None)
    rig.tell([DOWN])
    older, newer = rig.dumps
    older([UP])
    assert not rig.network.running(2)
    newer([UP])
    assert not rig.network.running(2)  # what was told after the loss is newer than both


def test_what_matters_only_now_is_read_and_believed_until_then(rig: Rig) -> None:
    """Its news were kept back before; the program was made for it a moment ago."""
    rig.changes.mind(Interest(frozenset({3})))
    assert (rig.dumps, rig.network.known) == ([], False)  # nothing was kept back until now
    rig.network.reset([UP])
    rig.changes.mind(Interest(frozenset({2})))
    assert rig.network.running(2)
    assert len(rig.dumps) == 1
    rig.dumps[0]([DOWN])
    assert not rig.network.running(2)
    rig.changes.mind(Interest(frozenset({2})))
    assert (len(rig.dumps), rig.network.known) == (1, True)
