"""Peers whose hardware address the kernel does not know are asked for at the pace of elections.

A kernel whose ARP request or Neighbor Solicitation is lost asks again after a second, and holds
back what is sent meanwhile; a peer that hears nothing for so long may become Active beside us. So
while something is held back, the engine asks too: once an advertisement interval. The answer is
what the kernel waits for, and what was held back leaves at once. Questions make no entry and change
none: one that is permanent, known, stale or being confirmed is in use, and left alone.

At rest this is one ioctl for each socket now and then: what a kernel holds back for an unknown
neighbour counts as not sent yet (SIOCOUTQ). Only then are neighbours looked up, a bounded number at
a time. A look-up takes the kernel's rtnl lock, so the worker makes it, and the loop goes on.
Source: RFC 4861 §7.2.2; Linux, net/core/neighbour.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from vrrp_speaker.engine.addresses.worker import AddressWorker
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.neighbours.presence import candidates
from vrrp_speaker.engine.neighbours.questions import question
from vrrp_speaker.engine.network.netlink import NUD_INCOMPLETE, RequestSocket
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import Frame, Pace, RouterProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.wire.frame_sender import FrameSender

_MS = 1_000_000
LOOK_EVERY_NS = 20 * _MS
"""How often at most the sockets are asked whether something is held back."""
LEAST_PACE_NS = 50 * _MS
"""One peer is asked for no more often than this."""
LOOKUPS, QUESTIONS = 16, 8
"""How many neighbours are looked up, and how many asked for, at most at one time."""
_NAME = "questions for peers"
"""Names them for the frame sender; no VirtualIP has a name with spaces."""
_ONCE = Pace(burst=1, repeat_after_ns=0, refresh_ns=0)
_FIRST = 0
"""Longer due than any announcement: those have their budget, and advertisements wait for these."""
_MAC_LENGTH = 6


_Sender = tuple[RouterProgram, bool, tuple[bytes, ...]]
"""A router's program, whether it holds, and the members that its program does not list."""


@dataclass(slots=True, eq=False)
class _Peer:
    """Somebody we send to on one interface: from where, how often, and when to ask next."""

    ifindex: int
    address: bytes
    source: bytes
    interval_ns: int
    ask_at_ns: int = 0


class Resolution(Concern):
    """Watches over the peers of routers that send in unicast."""

    def __init__(
        self,
        worker: AddressWorker,
        network: NodeNetwork,
        frames: FrameSender,
        holds_back: Iterable[Callable[[], bool]],
        routers: Mapping[str, RunningRouter],
    ) -> None:
        self._worker = worker
        self._network = network
        self._frames = frames
        self._holds_back = tuple(holds_back)
        self._routers = routers
        self._peers: deque[_Peer] = deque()
        self._senders: list[_Sender] = []
        self._held = self._due = False
        self._looking_up = False
        """Whether the worker is at it."""
        self._unknown: list[_Peer] = []
        """Whom it found the kernel to wait for."""
        self._look_at_ns = 0
        self._again_ns: int | None = None
        self._pace_ns = LEAST_PACE_NS

    def next_deadline_ns(self) -> int | None:
        """Return when somebody is to be asked for again; None at rest: other turns do to look."""
        return self._again_ns if self._held and not self._looking_up else None

    def woken(self, now_ns: int) -> None:
        """Find out whether the kernel holds something back.

        Best done after the loop has waited, before it sends again: what is only on its way to the
        wire has left by then.
        """
        if now_ns >= self._look_at_ns:
            self._look_at_ns = now_ns + LOOK_EVERY_NS
            self._held = any(holds_back() for holds_back in self._holds_back)
            self._due = self._held

    def run(self, now_ns: int) -> None:
        """Ask for peers that are unknown, if something was held back at the last look."""
        looks = self._due and not self._looking_up
        if not looks and not self._unknown:
            return
        senders = [
            (r.program, r.machine.holding, tuple(r.others.learned.known_ns))
            for r in self._routers.values()
        ]
        if senders != self._senders:  # as a rule the same objects, which compare at once
            self._senders = senders
            self._watch(senders)
        self._ask(now_ns)
        if looks:
            self._due = False
            self._look_at_ns = now_ns + min(self._pace_ns, LEAST_PACE_NS)
            self._look_up(now_ns)
        self._note_next(now_ns)

    def _watch(self, senders: Iterable[_Sender]) -> None:
        """Take in whom the routers send to: whoever has a vote always, and else peers.

        Those while a router holds its addresses: as Active, and after it said its last as that.
        """
        before = {(peer.ifindex, peer.address): peer for peer in self._peers}
        found: dict[tuple[int, bytes], _Peer] = {}
        for program, holding, learned in senders:
            addresses = candidates(program) if program.require_majority else ()
            if holding and not program.multicast:
                addresses = (*(peer.address for peer in program.peers), *learned)
            for address in addresses:
                key, interval_ns = (program.ifindex, address), program.adver_interval_ns
                peer = found.get(key)
                if peer is not None:
                    peer.interval_ns = min(peer.interval_ns, interval_ns)
                    continue
                peer = found[key] = before.get(key) or _Peer(*key, program.source, interval_ns)
                peer.source, peer.interval_ns = program.source, interval_ns
        self._peers = deque(found.values())
        self._pace_ns = min((peer.interval_ns for peer in self._peers), default=LEAST_PACE_NS)

    def _look_up(self, now_ns: int) -> None:
        """Find out for whom the kernel waits; whoever is not looked up is first the next time.

        Where it has given up, or never asked, it asks as soon as the next advertisement leaves.
        """
        wanted: list[_Peer] = []
        for _ in range(len(self._peers)):
            peer = self._peers[0]
            self._peers.rotate(-1)
            if now_ns >= peer.ask_at_ns and len(self._network.mac(peer.ifindex)) == _MAC_LENGTH:
                wanted.append(peer)
                if len(wanted) == LOOKUPS:
                    break
        if not wanted:
            return
        self._looking_up = True

        def unknown(requests: RequestSocket) -> list[_Peer]:
            states = ((p, requests.neighbour_state(p.ifindex, p.address)) for p in wanted)
            return [peer for peer, state in states if state == NUD_INCOMPLETE]

        self._worker.call(unknown, self._looked_up)

    def _looked_up(self, unknown: list[_Peer]) -> None:
        self._looking_up, self._unknown = False, unknown

    def _ask(self, now_ns: int) -> None:
        """Ask for those that the kernel waits for; whoever is too many is looked up first again."""
        unknown, self._unknown = [p for p in self._unknown if p in self._peers], []
        frames: list[Frame] = []
        for peer in unknown[:QUESTIONS]:
            mac = self._network.mac(peer.ifindex)
            if len(mac) == _MAC_LENGTH:
                peer.ask_at_ns = now_ns + max(peer.interval_ns, LEAST_PACE_NS)
                frames.append(question(peer.ifindex, mac, peer.source, peer.address))
        for peer in reversed(unknown[QUESTIONS:]):
            self._peers.remove(peer)
            self._peers.appendleft(peer)
        if frames:
            self._frames.begin(_NAME, tuple(frames), _ONCE, _FIRST)

    def _note_next(self, now_ns: int) -> None:
        """Note when somebody who was asked for is to be asked for again."""
        asked = (peer.ask_at_ns for peer in self._peers if peer.ask_at_ns > now_ns)
        again_ns = min(asked, default=None)
        self._again_ns = None if again_ns is None else max(again_ns, self._look_at_ns)
