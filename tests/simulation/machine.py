"""A simulated node of the cluster: takes in its NodeConfig at its own time, and reports."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.api import Object, SimulatedApi
from tests.simulation.node import SimulatedNode
from tests.simulation.reporter import Reporter
from tests.simulation.seat import Seat
from tests.simulation.settings import SECOND
from tests.simulation.speaker_status import SpeakerStatus

from vrrp_api.features import LEASES
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig, parse_node_config
from vrrp_api.node_status import NodeConfigStatus
from vrrp_operator.api.cache import FRESH_S, GONE_S

_SILENCE_LOOKED_FOR_NS = 5 * SECOND
_LONGEST_START_MS = 2_000
GONE_NS = int(GONE_S) * SECOND
TOLD_NS = 60 * SECOND
"""Within this whoever is back is told what it missed."""
_ABSENCE_NS = 10 * SECOND
_FRESH_NS = int(FRESH_S + 1) * SECOND
"""So long after it reported an operator may take it for one that reports yet."""


class Machine:
    """One node: its place in each election, and its speaker.

    ``longest_ms``: how long it takes a change in at most.
    """

    def __init__(
        self,
        api: SimulatedApi,
        name: str,
        seats: tuple[Seat, ...],
        rng: random.Random,
        longest_ms: int,
    ) -> None:
        self._api = api
        self.name = name
        self.seats = seats
        self._rng = rng
        self._longest_ms = longest_ms
        self.knows_keys = True
        """Whether its speaker can sign with a key of the election's own."""
        self.cut_off = False
        """Whether it cannot reach the API server."""
        self._arrived_ns = 0
        """When something of it arrived last."""
        self._behind: int | None = None
        """The generation that it knows better than, once it was told what it missed."""
        self._behind_until_ns = 0
        self._asked: NodeConfig | None = None
        self._moved_alone: dict[str, int] = {}
        """In which generation it was asked for another address, by elections that it was alone in,
        while an operator took it for one that reports."""
        self.running = False
        self._life = 0
        self.applied: Object | None = None
        self._runs = False
        """Whether its engine has loaded anything since it began."""
        self._told_ns = 0
        self._status = SpeakerStatus(name)
        self.reporter = Reporter(api, name, rng, self._look, self._leases_in)
        for seat in seats:
            seat.news = self.reporter.changed
        self.reporter.on_arrival = self._note_arrival
        api.watch(self._hear)

    # Life -------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Begin with the cached configuration; take in the newest soon."""
        self._behind_until_ns = now_ns + TOLD_NS
        self.running = True
        self._life += 1
        life = self._life
        self.reporter.begin(now_ns)

        def load(at_ns: int) -> None:
            if self.applied is not None and self._life == life and not self._runs:
                self._run(at_ns)

        self._api.lan.at(now_ns + self._api.soon_ns(_LONGEST_START_MS), load)
        self._list(now_ns)
        self._look_for_silence(life)

    def crash(self, now_ns: int) -> None:
        """End without a word, and with all addresses."""
        self.running = self._runs = False
        self.reporter.end()
        for seat in self.seats:
            seat.crash(now_ns)

    @property
    def active(self) -> bool:
        """Whether it is Active in any election."""
        return any(seat.active for seat in self.seats)

    @property
    def slot(self) -> SimulatedNode | None:
        """What runs the first election on it, if anything does."""
        return self.seats[0].slot

    @property
    def router(self) -> VirtualRouterConfig | None:
        """What it was asked for of the first election."""
        return self.seats[0].router

    # News -------------------------------------------------------------------------------

    def _hear(self, kind: str, obj: Object, deleted: bool, now_ns: int) -> None:
        if obj["metadata"]["name"] != self.name:
            return
        if kind == "nodes" and deleted:
            self._behind = 0
        if kind != "nodeconfigs":
            return
        if not deleted:
            self._note_address(parse_node_config(obj), now_ns)
        if not self.cut_off:
            self._tell_status(now_ns, {} if deleted else obj.get("status") or {})
        if deleted:
            self._api.lan.at(now_ns + _ABSENCE_NS, self._drop)
        elif self.applied is None or self.applied["spec"] != obj["spec"]:
            self._ask(now_ns)

    def _note_address(self, asked: NodeConfig, now_ns: int) -> None:
        before, self._asked = self._asked, asked
        alone = {router.name for router in asked.virtual_routers if not router.peers}
        for seat in self.seats:
            if before is None or seat.of(before.addresses) is seat.of(asked.addresses):
                continue
            self._moved_alone.pop(seat.election, None)
            if seat.election in alone and now_ns - self._arrived_ns < _FRESH_NS:
                self._moved_alone[seat.election] = asked.generation

    def may_have_either_address(self, seat: Seat) -> bool:
        """Whether it was asked for another address in place, and stopped before it took that in.

        It was alone, and seemed to report. What it begins with nobody can know.
        """
        asked = self._moved_alone.get(seat.election, 0)
        return self.applied is not None and _generation(self.applied) < asked

    def _drop(self, now_ns: int) -> None:
        """Run nothing any more once the node's own object has been away for a while."""
        if self._api.get("nodeconfigs", self.name) is None and not self.cut_off and self.running:
            self.applied = None
            for seat in self.seats:
                seat.run(None, (), now_ns)

    def _tell_status(self, now_ns: int, status: Object) -> None:
        """Let the speaker see in a while what the API server has of it; one watch keeps order."""
        self._told_ns = max(self._told_ns, now_ns + self._api.soon_ns(300))
        self._api.lan.at(self._told_ns, lambda _: self.reporter.reported(status))

    def _list(self, now_ns: int) -> None:
        """Read what the API server has now."""
        if not self.cut_off:
            obj = self._api.get("nodeconfigs", self.name)
            self._tell_status(now_ns, obj.get("status") or {} if obj is not None else {})
            if obj is None:
                self._api.lan.at(now_ns + _ABSENCE_NS, self._drop)
        self._ask(now_ns)

    def lose_api(self) -> None:
        """Reach the API server no more."""
        self.cut_off = self.reporter.cut_off = True

    @property
    def was_gone(self) -> bool:
        """Whether it was away for so long that others may have joined without its knowing."""
        now_ns = self._api.lan.now_ns
        late = self.cut_off or now_ns < self._behind_until_ns
        silent = now_ns - self._arrived_ns >= GONE_NS
        return silent or self.is_deleted or (self._behind is not None and late)

    @property
    def is_deleted(self) -> bool:
        """Whether it is no node any more, as somebody said who deleted its Node."""
        return self._api.get("nodes", self.name) is None

    def reconnect(self, now_ns: int) -> None:
        """Reach the API server again."""
        self._behind_until_ns = now_ns + TOLD_NS
        self.cut_off = False
        self.reporter.back()
        self._list(now_ns)

    def _note_arrival(self, now_ns: int) -> None:
        if now_ns - self._arrived_ns >= GONE_NS:
            read = self._api.get("nodeconfigs", self.name)
            self._behind = _generation(read) if read is not None else 0
            self._behind_until_ns = now_ns + TOLD_NS
        self._arrived_ns = now_ns

    def _ask(self, now_ns: int) -> None:
        """Take the newest configuration in after a while, unless it cannot be read by then."""
        longest_ms = self._longest_ms if self._rng.random() < 0.3 else min(1000, self._longest_ms)
        life = self._life
        read = self._api.get("nodeconfigs", self.name)

        def take_in(at_ns: int) -> None:
            if read is None or not self.running or self._life != life or self.cut_off:
                return
            mine = self.applied
            same = mine is not None and mine["metadata"]["uid"] == read["metadata"]["uid"]
            if mine is not None and same and _generation(mine) >= _generation(read):
                return
            if not self.knows_keys and _has_own_key(read):
                return  # refused by a speaker that does not know the field
            self.applied = read
            self._api.lan.timeline.note(
                at_ns, -1, f"{self.name} runs generation", _generation(read)
            )
            if self._behind is not None and _generation(read) > self._behind:
                self._behind = None  # it was told after it came back
            self._run(at_ns, news=self._runs or mine is None)

        if not self.cut_off:
            self._api.lan.at(now_ns + self._api.soon_ns(longest_ms), take_in)

    def _run(self, now_ns: int, *, news: bool = False) -> None:
        assert self.applied is not None
        self._runs = True
        self.reporter.changed(now_ns)
        config = parse_node_config(self.applied)
        asked = {router.name: router for router in config.virtual_routers}
        for seat in self.seats:
            seat.run(asked.get(seat.election), config.addresses, now_ns, news=news)

    # Reports ----------------------------------------------------------------------------

    def _look_for_silence(self, life: int) -> None:
        def look(now_ns: int) -> None:
            if self.running and self._life == life:
                self.reporter.changed(now_ns)
                self._look_for_silence(life)

        self._api.lan.after(_SILENCE_LOOKED_FOR_NS, look)

    def _look(self, now_ns: int) -> NodeConfigStatus:
        generation = _generation(self.applied) if self.applied and self._runs else 0
        running = [found for seat in self.seats if (found := seat.running) is not None]
        status = self._status.build(now_ns, generation, running)
        return status if self.knows_keys else replace(status, features=(LEASES,))

    def upgrade(self, now_ns: int) -> None:
        """Have a speaker that knows elections' own keys from now on."""
        self.knows_keys = True
        self._list(now_ns)
        self.reporter.changed(now_ns)

    def _leases_in(self) -> str | None:
        spec = self.applied["spec"] if self.applied is not None else {}
        namespace: str | None = spec.get("leaseNamespace")
        return namespace


def _generation(obj: Object) -> int:
    return int(obj["metadata"]["generation"])


def _has_own_key(obj: Object) -> bool:
    routers = parse_node_config(obj).virtual_routers
    said = [router.election.authentication for router in routers]
    return any(a is not None and a.election_key is not None for a in said)
