"""What a simulated node tells the API server, and when: by the speaker's own pace.

A Lease says that the node is there; its status is written when there is news, and again where the
API server has another than was written last. Writes are lost, or arrive when they were given up:
then an older status is written over a newer one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tests.simulation.api import Object, SimulatedApi
from tests.simulation.settings import MS, SECOND

from vrrp_api.lease import lease_name, renewal
from vrrp_api.node_status import NodeConfigStatus
from vrrp_speaker.agent.status.pace import WritePace

COALESCE_NS = 30 * MS
_CONNECT_NS, _ANSWER_NS = 3 * SECOND, 10 * SECOND
"""How long a speaker waits for a connection, and for an answer."""
_LOST, _LATE = 0.01, 0.02
"""Shares of writes that nobody hears of again, and that arrive when they are given up."""
_RESENT = 0.3
"""Share of the writes of a node that is cut off which arrive once it is back."""
_LATEST_MS = 20_000


class _PaceOfBefore(WritePace):
    """Tells at once, also that a node runs nothing yet."""

    def is_known(self, _: NodeConfigStatus) -> bool:
        """Return True."""
        return True


class Reporter:
    """The writer of one speaker; ``look`` returns what there is to tell."""

    def __init__(
        self,
        api: SimulatedApi,
        node: str,
        rng: random.Random,
        look: Callable[[int], NodeConfigStatus],
        lease_namespace: Callable[[], str | None],
    ) -> None:
        self._api = api
        self._node = node
        self._rng = rng
        self._look = look
        self._lease_namespace = lease_namespace
        self._pace = WritePace(rng.random)
        self._life = 0
        self._running = self._busy = False
        self._due_ns = 0
        self._unsent: list[Callable[[], object]] = []
        self.on_arrival: Callable[[int], None] = lambda _: None
        """Called with the virtual time before what it wrote is there."""
        self.cut_off = False
        self.is_older = False
        """Whether, from ``begin`` on, it is of a version that told of elections too early."""

    def begin(self, now_ns: int) -> None:
        """Begin to tell, as a program that has told nothing yet."""
        self._life += 1
        self._running, self._busy = True, False
        kind = _PaceOfBefore if self.is_older else WritePace
        self._pace = kind(self._rng.random)
        self.changed(now_ns)

    def end(self) -> None:
        """Tell no more; what was sent is on its way."""
        self._running = False

    def back(self) -> None:
        """Reach the API server again: what connections still had arrives."""
        self.cut_off = False
        for write in self._unsent:
            self._api.lan.after(self._api.soon_ns(_LATEST_MS), partial(self._arrive_late, write))
        self._unsent = []

    def reported(self, status: Object) -> None:
        """Note which status the API server has."""
        self._pace.reported(status.get("heartbeatTime", ""))

    def changed(self, now_ns: int) -> None:
        """Look soon whether there is news."""
        self._look_at(now_ns + COALESCE_NS)

    def _look_at(self, due_ns: int) -> None:
        self._due_ns = due_ns
        self._api.lan.at(due_ns, partial(self._turn, self._life))

    def _turn(self, life: int, now_ns: int) -> None:
        if life != self._life or now_ns != self._due_ns or self._busy or not self._running:
            return
        status = self._look(now_ns)
        wait_s = self._pace.wait_s(status, now_ns / SECOND)
        if wait_s:
            self._look_at(now_ns + int(wait_s * SECOND) + 1)
            return
        self._busy = True
        told_by_lease = self._lease_namespace() is not None and self._pace.is_there
        if told_by_lease and self._pace.tells_nothing(status, now_ns / SECOND):
            self._send(partial(self._renew, status), partial(self._pace.beat, status), status)
        else:
            wrote = partial(self._pace.wrote, status, status.heartbeat_time)
            self._send(partial(self._write, status), wrote, status)

    def _send(
        self,
        write: Callable[[], bool],
        worked: Callable[[float], object],
        status: NodeConfigStatus,
    ) -> None:
        """Send a write; it arrives, or is given up after a while."""
        fate, lan, life = self._rng.random(), self._api.lan, self._life
        if self.cut_off:
            if fate < _RESENT:
                self._unsent.append(write)
            lan.after(_CONNECT_NS, lambda now_ns: self._failed(life, status, now_ns))
            return
        if fate < _LOST + _LATE:
            if fate < _LATE:
                late_ns = _ANSWER_NS + self._api.soon_ns(_LATEST_MS)
                lan.after(late_ns, partial(self._arrive_late, write))
            lan.after(_ANSWER_NS, lambda now_ns: self._failed(life, status, now_ns))
            return

        def arrive(now_ns: int) -> None:
            if self.cut_off or not write():
                self._failed(life, status, now_ns)
            elif life == self._life:
                worked(now_ns / SECOND)
                self._answered(now_ns)

        lan.after(self._api.soon_ns(200), arrive)

    def _failed(self, life: int, status: NodeConfigStatus, now_ns: int) -> None:
        if life == self._life:
            self._pace.failed(status, now_ns / SECOND)
            self._answered(now_ns)

    def _answered(self, now_ns: int) -> None:
        self._busy = False
        self.changed(now_ns)

    # What arrives -----------------------------------------------------------------------

    @staticmethod
    def _arrive_late(write: Callable[[], object], _: int) -> None:
        write()

    def _write(self, status: NodeConfigStatus) -> bool:
        if self._api.get("nodeconfigs", self._node) is None:
            return False
        said = status.observed_generation, *(r.state for r in status.virtual_routers)
        self._api.lan.timeline.note(self._api.lan.now_ns, -1, f"{self._node} reports", said)
        self.on_arrival(self._api.lan.now_ns)
        self._api.put("nodeconfigs", self._node, status=status.to_object())
        return True

    def _renew(self, status: NodeConfigStatus) -> bool:
        name = lease_name(self._node)
        assert name is not None
        if self._api.get("nodeconfigs", self._node) is None:
            return False
        said = renewal(self._node, status.heartbeat_time)
        self.on_arrival(self._api.lan.now_ns)
        self._api.put("leases", name, labels=said["metadata"]["labels"], spec=said["spec"])
        return True
