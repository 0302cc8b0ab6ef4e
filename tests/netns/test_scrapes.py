"""Metrics at every moment of failovers: beside what engines did and what the kernels had.

Every node is scraped 50 times a second while the address moves: by a link that goes down on the
node, which it knows, and by one that is cut in the switch, which it does not, so that two nodes
are Active. ``KUBE_VRRP_FAILOVERS`` moves (12 by default).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.netns.inside import manifest, routers, states

from vrrp_lab.lab import Lab
from vrrp_lab.node import METRICS_PORT, Node

pytestmark = pytest.mark.netns
NODES = 3
VIP, ADDRESS = "scraped", "192.0.2.50"
MANIFEST = manifest(VIP, 51, f"{ADDRESS}/24", ranks=(1, 2, 3), spec="advertisementInterval: 50ms")
FAILOVERS = int(os.environ.get("KUBE_VRRP_FAILOVERS", "12"))
SLACK_NS = 150_000_000
"""How old what is scraped may be on a machine whose processes wait for their turn."""
TOGETHER_NS = 40_000_000
"""Scrapes of two nodes within this time are one look at both."""


class Scrape(NamedTuple):
    """One scrape of one node and what it said."""

    node: str
    begun_ns: int
    ended_ns: int
    series: dict[str, float]

    @property
    def master(self) -> float:
        """What it said of the address's holder."""
        return self.series.get("kube_vrrp_master", 0.0)


@dataclass
class Scrapers:
    """A scraper on each node, and what the engines did meanwhile."""

    lab: Lab
    scrapes: list[Scrape] = field(default_factory=list)
    pasts: dict[str, dict[int, tuple[int, bool]]] = field(default_factory=dict)
    """Node to sequence to (when, on CLOCK_MONOTONIC; whether it was Active then)."""

    def __post_init__(self) -> None:
        self._processes = {node.name: _start(node) for node in self.lab.nodes}
        self._offset_ns = _offset_ns()

    def collect(self) -> list[Scrape]:
        """Take in what came since the last call, and return it."""
        fresh = []
        for name, process in self._processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            fresh += [Scrape(name, begun, ended, series) for begun, ended, series in answer]
        self.scrapes += fresh
        for node in self.lab.nodes:
            for past in routers(node)[VIP].history:
                moment = past.wall_ns - self._offset_ns, past.after == "Active"
                self.pasts.setdefault(node.name, {})[past.sequence] = moment
        return fresh

    def active(self, node: str) -> list[tuple[int, bool]]:
        """Return when a node became Active and when it ceased to be, in order."""
        return [moment for _, moment in sorted(self.pasts[node].items())]

    def takeovers(self) -> int:
        """Return how often a node became Active."""
        return sum(active for past in self.pasts.values() for _, active in past.values())

    def close(self) -> None:
        """End the scrapers."""
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def _offset_ns() -> int:
    """Return how far the wall clock is ahead; read again where something came in between."""
    while True:
        before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after_ns - before_ns < 50_000:
            return wall_ns - before_ns


def _start(node: Node) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.netns.scraper", str(METRICS_PORT), VIP]
    return node.host.namespace.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@contextmanager
def scraping(lab: Lab) -> Iterator[Scrapers]:
    """Scrape every node while the block runs."""
    made = Scrapers(lab)
    try:
        eventually(lambda: len({s.node for s in made.collect()}) == NODES, within_s=10)
        yield made
    finally:
        made.close()


def possible(moments: list[tuple[int, bool]], begun_ns: int, ended_ns: int) -> set[bool]:
    """Return what was true at some time between the two."""
    value, found = False, set()
    for at_ns, after in moments:
        if at_ns > ended_ns:
            break
        if at_ns >= begun_ns:
            found.add(value)
        value = after
    return {*found, value}


def both_active(scrapes: list[Scrape]) -> list[tuple[Scrape, Scrape]]:
    """Return looks at two nodes at once that both said they hold the address."""
    claims = sorted((s for s in scrapes if s.master), key=lambda s: s.begun_ns)
    found = []
    for place, first in enumerate(claims):
        for second in claims[place + 1 :]:
            if second.begun_ns - first.begun_ns > TOGETHER_NS:
                break
            together = max(first.ended_ns, second.ended_ns) - first.begun_ns <= TOGETHER_NS
            if together and first.node != second.node:
                found.append((first, second))
    return found


def home(lab: Lab) -> Node:
    """Wait until the best node is Active, alone; return it."""
    best = lab.node("node-1")
    wanted = {node.name: "Active" if node is best else "Backup" for node in lab.nodes}
    eventually(lambda: {n.name: states(n)[VIP] for n in lab.nodes} == wanted, within_s=20)
    return best


def away(lab: Lab, *, cut: bool) -> None:
    """Let the best node lose its link, another one take over, and the best one come back."""
    best = home(lab)
    others = [node for node in lab.nodes if node is not best]
    if cut:
        best.host.cut_link()
    else:
        best.host.exec("ip", "link", "set", "eth0", "down")
    eventually(lambda: "Active" in [states(node)[VIP] for node in others], within_s=10)
    until_ns = time.monotonic_ns() + 100_000_000  # some scrapes of what is now
    eventually(lambda: time.monotonic_ns() > until_ns, within_s=5)
    if cut:
        best.host.restore_link()
    else:
        best.host.exec("ip", "link", "set", "eth0", "up")
    home(lab)


def dual_seconds(scrapes: list[Scrape]) -> float:
    """Return the largest dual counters of all nodes, added up."""
    largest: dict[str, float] = {}
    for scrape in scrapes:
        value = scrape.series.get("kube_vrrp_dual_active_seconds_total", 0.0)
        largest[scrape.node] = max(value, largest.get(scrape.node, 0.0))
    return sum(largest.values())


def test_every_scrape_during_failovers_says_what_is(sized: Lab) -> None:
    home(sized)
    holders = Holders([node.host for node in sized.nodes])
    with scraping(sized) as scrapers:
        begun_with = scrapers.takeovers()
        rounds = unseen = 0
        while scrapers.takeovers() - begun_with < FAILOVERS:
            cut = rounds % 2 == 1
            before = dual_seconds(scrapers.scrapes)
            seen: list[Scrape] = []
            away(sized, cut=cut)
            # What the counters say of the end is in a scrape that began after it.
            ended_ns = time.monotonic_ns()
            eventually(partial(_all_after, scrapers, seen, ended_ns), within_s=10)
            doubles = both_active(seen)
            assert all(len({a.node, b.node}) == 2 for a, b in doubles)
            if doubles:
                assert dual_seconds(scrapers.scrapes) > before, doubles[0]
            # On a busy machine scrapes may take longer than two nodes are Active: once more.
            unseen = unseen + 1 if cut and not doubles else 0
            assert unseen < 4, "two nodes were Active and no scrape saw it"
            rounds += not unseen
        _compare(scrapers, holders)


def _all_after(scrapers: Scrapers, seen: list[Scrape], ended_ns: int) -> bool:
    """Collect; return whether every node was scraped after ``ended_ns``."""
    seen += scrapers.collect()
    return len({s.node for s in seen if s.begun_ns > ended_ns}) == NODES


def _compare(scrapers: Scrapers, holders: Holders) -> None:
    """Compare every scrape with what the engine did and with what the kernel had."""
    held = {node.name: [(0, False)] for node in scrapers.lab.nodes}
    first_ns = min(scrape.begun_ns for scrape in scrapers.scrapes)
    best = scrapers.lab.nodes[0].name
    held[best] = [(0, True)]
    for change in holders.timeline(ADDRESS).changes:
        held[change.host].append((change.at_ns, change.held))
    wrong = []
    for scrape in scrapers.scrapes:
        window = scrape.begun_ns - SLACK_NS, scrape.ended_ns + SLACK_NS
        active = possible(scrapers.active(scrape.node), *window)
        present = possible(held[scrape.node], *window)
        if bool(scrape.master) not in active:
            wrong.append(("master", scrape))
        if bool(scrape.series["kube_vrrp_address_present"]) not in present:
            wrong.append(("address_present", scrape))
    assert not wrong, f"{len(wrong)} of {len(scrapers.scrapes)}, from {first_ns}: {wrong[:3]}"


def test_engine_that_is_frozen_with_its_supervisor_holds_nothing(sized: Lab) -> None:
    best = home(sized)
    frozen = [best.processes()[name] for name in ("supervisor", "engine")]
    with scraping(sized) as scrapers:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            others = [node for node in sized.nodes if node is not best]
            eventually(lambda: "Active" in [states(n)[VIP] for n in others], within_s=10)
            eventually(lambda: _holders_told(scrapers, others) == 1, within_s=10)
            eventually(lambda: _holders_told(scrapers, sized.nodes) == 1, within_s=10)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
    home(sized)


def _holders_told(scrapers: Scrapers, nodes: list[Node]) -> float:
    """Return the sum of ``kube_vrrp_master`` over the newest scrape of each of these nodes."""
    scrapers.collect()
    newest = {scrape.node: scrape.master for scrape in scrapers.scrapes}
    return sum(newest[node.name] for node in nodes)


def test_series_go_with_their_virtual_ip(sized: Lab, tmp_path: Path) -> None:
    home(sized)
    other = tmp_path / "other.yaml"
    other.write_text(manifest("other", 52, "192.0.2.60/24", ranks=(1, 2, 3)))
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text(MANIFEST)
    try:
        sized.render([other])
        eventually(lambda: not any(_named(node) for node in sized.nodes), within_s=20)
    finally:
        sized.render([wanted])
    home(sized)


def _named(node: Node) -> list[str]:
    text = node.get("/metrics")
    assert "kube_vrrp_build_info" in text
    return [line for line in text.splitlines() if f'"{VIP}"' in line]
