"""Two or three that held an address hear each other again: what clients miss from then on.

Which side hears the other first depends on their timers at the moment of the heal. So a cut is
healed when one side has just spoken, and each round is counted for the side that was first indeed.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.realtime import real_time
from tests.bench.report import Report
from tests.eventually import eventually
from tests.netns.inside import all_at, manifest, routers
from tests.netns.observe import Capture, Frame

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.lan import Host
from vrrp_lab.node import Node
from vrrp_lab.probe import Probe

ADDRESSES = {"IPv4": "192.0.2.50", "IPv6": "2001:db8:0:1::50"}
_LENGTHS = {"IPv4": 24, "IPv6": 64}
_SWITCH, _TRUNK = "br1", ("t0", "t1")
_ANSWER_NS = 5_000_000
"""Whoever hears another Active one speaks within this; who speaks by its timer does not."""
_SEEN_S = 1.5
"""For so long clients are watched after a heal: announcements end after a second."""
_SETTLED_S = 1.2
"""So long the new holder announces before the cut heals."""
_MOST_ROUNDS = 5
"""How many times as many rounds as are wanted of each side are tried at most."""
_TEXT = """A client probes both addresses with an ICMP echo every millisecond; lost are probes sent
from the heal on, for 1.5 s. *Node*: the best node's port leaves the switch, the carrier stays, and
the client is on the other side. *Switch*: the trunk between the best node's switch and that of the
others is cut, with the client on either side in turn. *Three parts*: all three nodes hold, healed
at once. *First*: who hears the other one first, of the two that held. Each side has at least as
many rounds as were asked for, in the order in which they came; a prober that stood still for longer
than 20 ms makes a round of its own kind."""
_STALL_NS = 20_000_000


@dataclass
class Tally:
    """Rounds of one kind."""

    rounds: int = 0
    lossless: int = 0
    lost: list[int] = field(default_factory=list)
    stalled: int = 0

    def add(self, lost: int, stall_ns: int) -> None:
        """Count a round; one in which the prober stood still tells nothing."""
        if stall_ns > _STALL_NS:
            self.stalled += 1
            return
        self.rounds += 1
        self.lossless += lost == 0
        self.lost.append(lost)


def measure_heals(report: Report, runs: int, interval_ms: int = 200) -> None:
    """Cut and heal until each side was first so often, in both families; print what was lost."""
    rows: list[tuple[object, ...]] = []
    for cut in ("node", "switch", "three parts"):
        with stage(interval_ms) as here:
            tallies = here.rounds(cut, runs)
        for (family, first), tally in sorted(tallies.items()):
            worst = max(tally.lost, default=0)
            stalled = tally.stalled or ""
            rows.append((cut, family, first, f"{tally.lossless} of {tally.rounds}", worst, stalled))
    report.section(f"Cuts that heal, {interval_ms} ms", _TEXT)
    report.table(("cut", "", "first", "nothing lost", "most lost", "prober stood still"), rows)


@contextmanager
def stage(interval_ms: int, spec: str = "") -> Iterator[Stage]:
    """Three nodes with an address of each family, the best one on a switch of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path, given = folder / "m.yaml", f"advertisementInterval: {interval_ms}ms"
        path.write_text(
            "".join(
                manifest(
                    family.lower(),
                    vrid,
                    f"{address}/{_LENGTHS[family]}",
                    ranks=(1, 2, 3),
                    spec=f"{given}, {spec}" if spec else given,
                )
                for vrid, (family, address) in enumerate(ADDRESSES.items(), 51)
            )
        )
        lab = stack.enter_context(Lab(LabOptions(standalone=(path,))))
        yield Stage(lab)


class Stage:
    """The LAN and what is cut on it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.home, self.second, self.third = lab.nodes
        switch = lab.lan.switch
        switch.run("ip", "link", "add", _SWITCH, "type", "bridge", "stp_state", "0")
        switch.run("ip", "link", "set", _SWITCH, "type", "bridge", "mcast_snooping", "0")
        switch.run("ip", "link", "add", _TRUNK[0], "type", "veth", "peer", "name", _TRUNK[1])
        for port, bridge in zip(_TRUNK, ("br0", _SWITCH), strict=True):
            switch.run("ip", "link", "set", port, "master", bridge, "up")
        switch.run("ip", "link", "set", _SWITCH, "up")
        self._plug(self.home.host, _SWITCH)

    def rounds(self, cut: str, wanted: int) -> dict[tuple[str, str], Tally]:
        """Cut and heal until each side was first so often; return what came of it."""
        sides = ("any",) if cut == "three parts" else ("loser", "winner")
        tallies = {(family, side): Tally() for family in ADDRESSES for side in sides}
        for number in range(wanted * _MOST_ROUNDS):
            open_sides = [
                side
                for side in sides
                if any(tally.rounds < wanted for (_, of), tally in tallies.items() if of == side)
            ]
            if not open_sides:
                break
            side = open_sides[number % len(open_sides)]
            # Whoever has just spoken hears the other one before it speaks again.
            quiet = {"winner": self.home, "loser": self.second}.get(side, self._any(number))
            for family, (first, lost, stall_ns) in self.round(cut, number, quiet).items():
                side = first if first in sides else "any"
                tallies[family, side].add(lost, stall_ns)
        return tallies

    def _any(self, number: int) -> Node:
        return self.lab.nodes[number % len(self.lab.nodes)]

    def round(self, cut: str, number: int, quiet: Node) -> dict[str, tuple[str, int, int]]:
        """Cut, and heal once a node has just spoken.

        Returns who was first, the probes lost and the prober's stall, by family.
        """
        if cut == "switch":
            self._plug(self.lab.client, _SWITCH if number % 2 else "br0")
        elif cut == "three parts":  # between ports of one switch
            self._plug(self.home.host, "br0")
        all_at(self.lab, self.home)
        with ExitStack() as stack:
            capture = stack.enter_context(Capture(self.second.host))
            with real_time():
                probes = {
                    family: stack.enter_context(self.lab.client.probe(address))
                    for family, address in ADDRESSES.items()
                }
            self._cut(cut)
            losers = (self.second, self.third) if cut == "three parts" else (self.second,)
            eventually(
                lambda: all(n.host.holds(a) for n in losers for a in ADDRESSES.values()),
                within_s=40,
            )
            time.sleep(_SETTLED_S)
            for probe in probes.values():
                probe.wait_answered(20)
            wait_until_spoken(quiet)
            healed_ns = self._heal(cut)
            time.sleep(_SEEN_S)
            frames = capture.until_now(healed_ns)
            return {
                family: self._seen(family, probe, frames, healed_ns)
                for family, probe in probes.items()
            }

    def _seen(
        self, family: str, probe: Probe, frames: list[Frame], healed_ns: int
    ) -> tuple[str, int, int]:
        report = probe.report(healed_ns)
        first = first_to_hear(frames, self.home.host, self.second.host, six=family == "IPv6")
        text = f"{family}: {first} first, {report.lost} of {report.sent} lost, {report.macs}"
        print(f"  {text}, stall {report.stall_ns / 1e6:.0f} ms", flush=True)
        return first, report.lost, report.stall_ns

    def _cut(self, cut: str) -> None:
        lan = self.lab.lan
        if cut == "node":
            lan.switch.run("ip", "link", "set", self.home.host.port, "nomaster")
        elif cut == "switch":
            lan.switch.run("ip", "link", "set", _TRUNK[0], "nomaster")
        else:
            for first, second in (
                (self.home.host, self.second.host),
                (self.home.host, self.third.host),
                (self.home.host, self.lab.client),
                (self.second.host, self.third.host),
                (self.second.host, self.lab.client),
            ):
                lan.partition(first, second)

    def _heal(self, cut: str) -> int:
        """End the cut; return when that began."""
        begun_ns = time.monotonic_ns()
        if cut == "node":
            self._plug(self.home.host, _SWITCH)
        elif cut == "switch":
            self.lab.lan.switch.run("ip", "link", "set", _TRUNK[0], "master", "br0")
        else:
            self.lab.lan.heal()
        return begun_ns

    def _plug(self, host: Host, bridge: str) -> None:
        self.lab.lan.switch.run("ip", "link", "set", host.port, "master", bridge)


def wait_until_spoken(node: Node) -> None:
    """Return right after a node has advertised."""
    (name, before), *_ = routers(node).items()
    eventually(
        lambda: routers(node)[name].last_sent_ns > before.last_sent_ns, within_s=10, every_s=0.001
    )


def first_to_hear(frames: list[Frame], winner: Host, loser: Host, *, six: bool) -> str:
    """Return who of two Active routers heard the other first, by frames at the loser since a heal.

    Whoever hears another one answers at once; so the winner was first where its first frame follows
    one of the loser's.
    """
    spoken = [(f.time_ns, sender(f, six=six)) for f in frames]
    names = {
        socket.inet_pton(
            socket.AF_INET6 if six else socket.AF_INET, h.address6 if six else h.address
        ): name
        for h, name in ((winner, "winner"), (loser, "loser"))
    }
    heard_ns = next((at_ns for at_ns, who in spoken if names.get(who) == "winner"), None)
    if heard_ns is None:
        return "nobody"
    own = [at_ns for at_ns, who in spoken if names.get(who) == "loser" and at_ns < heard_ns]
    return "winner" if own and heard_ns - own[-1] < _ANSWER_NS else "loser"


def sender(frame: Frame, *, six: bool) -> bytes:
    """Return the packed source of an advertisement of that family; b"" for other frames."""
    data = frame.data
    if six:
        return data[22:38] if data[12:14] == b"\x86\xdd" and data[20] == 112 else b""
    return data[26:30] if frame.is_vrrp else b""
