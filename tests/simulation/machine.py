"""A simulated node of the cluster: takes in its NodeConfig at its own time, and reports."""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import Any

from tests.simulation.api import Object, SimulatedApi
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import KEYS, SECOND, NodeConfig

from vrrp.authentication import Authentication, HmacKeys, Mode
from vrrp.constants import State
from vrrp_api.node_config import VirtualRouterConfig, parse_node_config
from vrrp_operator.cache import GONE_S

ELECTION = "web"
HEARTBEAT_NS = 10 * SECOND
GONE_NS = int(GONE_S) * SECOND
TOLD_NS = 60 * SECOND
"""Within this whoever is back is told what it missed."""
_ABSENCE_NS = 10 * SECOND
_KEY = {1: KEYS[1]}


class Machine:
    """One node: its routers on the LAN, one for each address it may have, and its speaker.

    ``longest_ms``: how long it takes a change in at most.
    """

    def __init__(
        self,
        api: SimulatedApi,
        name: str,
        slots: tuple[SimulatedNode, ...],
        rng: random.Random,
        longest_ms: int,
    ) -> None:
        self._api = api
        self.name = name
        self.slots = slots
        self._rng = rng
        self._longest_ms = longest_ms
        self.cut_off_ns: int | None = None
        self._silent_ns: int | None = None
        self._behind: int | None = None
        self._behind_until_ns = 0
        self.running = False
        self._life = 0
        self.applied: Object | None = None
        self.router: VirtualRouterConfig | None = None
        self._written_ns = 0
        api.watch(self._hear)

    # Life -------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Begin with the cached configuration; take in the newest soon."""
        self._note_return(now_ns)
        self._silent_ns = None
        self.running = True
        self._life += 1
        if self.applied is not None:
            self._run(now_ns)
        self._ask(now_ns)
        self._heartbeat(self._life)

    def crash(self, now_ns: int) -> None:
        """End without a word, and with all addresses."""
        self.running = False
        self._silent_ns = self._silent_ns or now_ns
        for slot in self.slots:
            if slot.router is not None:
                slot.crash(now_ns, power=True)
                slot.forget(0)

    def address_of(self, number: int) -> str:
        """Return an address that it may have, as text."""
        return str(ip_address(self.slots[number].address))

    @property
    def active(self) -> bool:
        """Whether it is Active."""
        return any(slot.state is State.ACTIVE for slot in self.slots)

    @property
    def slot(self) -> SimulatedNode | None:
        """What runs the election on it, if anything does."""
        return next((s for s in self.slots if s.router is not None and not s.leaving), None)

    # News -------------------------------------------------------------------------------

    def _hear(self, kind: str, obj: Object, deleted: bool, now_ns: int) -> None:
        if kind != "nodeconfigs" or obj["metadata"]["name"] != self.name:
            return
        if deleted:
            self._api.lan.at(now_ns + _ABSENCE_NS, self._drop)
        elif self.applied is None or self.applied["spec"] != obj["spec"]:
            self._ask(now_ns)

    def _drop(self, now_ns: int) -> None:
        """Run nothing any more once the node's own object has been away for a while."""
        if self._api.get("nodeconfigs", self.name) is None and not self.cut_off and self.running:
            self.applied = self.router = None
            for slot in self.slots:
                if slot.router is not None and not slot.leaving:
                    slot.shut_down(now_ns)

    @property
    def cut_off(self) -> bool:
        """Whether it cannot reach the API server."""
        return self.cut_off_ns is not None

    @property
    def was_gone(self) -> bool:
        """Whether it was away for so long that others may have joined without its knowing."""
        now_ns = self._api.lan.now_ns
        silent_ns = now_ns - min(self.cut_off_ns or now_ns, self._silent_ns or now_ns)
        behind = self._behind is not None and self._api.lan.now_ns < self._behind_until_ns
        return behind or silent_ns >= GONE_NS

    def reconnect(self, now_ns: int) -> None:
        """Reach the API server again."""
        self._note_return(now_ns)
        self.cut_off_ns = None
        self._ask(now_ns)
        self._report(now_ns)

    def _note_return(self, now_ns: int) -> None:
        if self.was_gone:
            read = self._api.get("nodeconfigs", self.name)
            self._behind = _generation(read) if read is not None else 0
            self._behind_until_ns = now_ns + TOLD_NS

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
            self.applied = read
            self._api.lan.timeline.note(
                at_ns, -1, f"{self.name} runs generation", _generation(read)
            )
            if self._behind is not None and _generation(read) > self._behind:
                self._behind = None  # it was told after it came back
            self._run(at_ns)
            self._report(at_ns)

        if not self.cut_off:
            self._api.lan.at(now_ns + self._api.soon_ns(longest_ms), take_in)

    def _run(self, now_ns: int) -> None:
        assert self.applied is not None
        config = parse_node_config(self.applied)
        routers = [r for r in config.virtual_routers if r.name == ELECTION]
        self.router = routers[0] if routers else None
        mine = {self.address_of(n): slot for n, slot in enumerate(self.slots)}
        own = next((mine[a] for a in config.addresses if a in mine), None)
        stays = own if self.router is not None else None
        for slot in self.slots:
            if slot is not stays and slot.router is not None and not slot.leaving:
                slot.shut_down(now_ns)
        if self.router is None or own is None:
            return
        own.wanted = self._simulated(self.router)
        if own.router is None:
            own.start(now_ns)
        elif own.leaving:
            own.when_gone = own.start
        else:
            own.apply_wanted(now_ns)

    def _simulated(self, router: VirtualRouterConfig) -> NodeConfig:
        election = router.election
        indices = {str(ip_address(n.address)): n.index for n in self._api.lan.nodes}
        return NodeConfig(
            priority=router.base_priority,
            interval_ns=election.advertisement_interval_ns,
            down_advertisements=election.down_advertisements,
            preempt=election.preemption.preempt,
            preempt_delay_ns=election.preemption.delay_ns,
            peers=frozenset(indices[peer.address] for peer in router.peers),
            authentication=_authentication(router),
            take_over=sum(router.take_over.encode()) if router.take_over else 0,
        )

    # Reports ----------------------------------------------------------------------------

    def changed(self, now_ns: int) -> None:
        """Report soon: a router changed its state."""
        self._api.lan.at(now_ns + self._api.soon_ns(100), self._report)

    def _heartbeat(self, life: int) -> None:
        def beat(now_ns: int) -> None:
            if self.running and self._life == life:
                self._report(now_ns)
                self._heartbeat(life)

        self._api.lan.after(HEARTBEAT_NS, beat)

    def _report(self, now_ns: int) -> None:
        if self.cut_off or not self.running or self._api.get("nodeconfigs", self.name) is None:
            return
        routers: list[dict[str, Any]] = []
        slot = self.slot
        if slot is not None and self.router is not None:
            routers.append(
                {
                    "name": ELECTION,
                    "virtualIPGeneration": self.router.virtual_ip_generation,
                    "state": str(slot.state),
                    "since": "2026-01-01T00:00:00Z",
                    "effectivePriority": slot.priority,
                    "faults": [],
                    "transitions": 0,
                }
            )
        status = {
            "observedGeneration": _generation(self.applied) if self.applied else 0,
            "heartbeatTime": f"{now_ns}",
            "virtualRouters": routers,
            "checks": [],
            "speaker": {"version": "0"},
        }
        # One writer: what is said later arrives later.
        self._written_ns = max(self._written_ns, now_ns + self._api.soon_ns(200))
        self._api.lan.at(self._written_ns, lambda _: self._write(status))

    def _write(self, status: Object) -> None:
        if self._api.get("nodeconfigs", self.name) is not None and not self.cut_off:
            self._api.put("nodeconfigs", self.name, status=status)


def _generation(obj: Object) -> int:
    return int(obj["metadata"]["generation"])


def _authentication(router: VirtualRouterConfig) -> Authentication:
    said = router.election.authentication
    if said is None or said.type == "None":
        return None
    return HmacKeys(_KEY, 1, Mode(said.mode))
