"""A simulated node of the cluster: takes in its NodeConfig at its own time, and reports."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

from tests.simulation.api import Object, SimulatedApi
from tests.simulation.node import SimulatedNode
from tests.simulation.reporter import Reporter
from tests.simulation.settings import KEYS, SECOND, NodeConfig
from tests.simulation.sim_operator import KEY_REF
from tests.simulation.speaker_status import SpeakerStatus

from vrrp.actions import StateChanged
from vrrp.authentication import Authentication, HmacKeys, Mode, Stage
from vrrp.constants import State
from vrrp.validation import Datagram
from vrrp_api.features import LEASES
from vrrp_api.node_config import VirtualRouterConfig, parse_node_config
from vrrp_api.node_status import NodeConfigStatus
from vrrp_operator.cache import GONE_S

ELECTION = "web"
_SILENCE_LOOKED_FOR_NS = 5 * SECOND
_LONGEST_START_MS = 2_000
GONE_NS = int(GONE_S) * SECOND
TOLD_NS = 60 * SECOND
"""Within this whoever is back is told what it missed."""
_ABSENCE_NS = 10 * SECOND
_KEYS = {"own": {1: KEYS[1]}, "other": {1: KEYS[2]}, KEY_REF: {1: KEYS[3]}}
_OWN_KEY = {1: bytes(range(64, 128))}
"""What nodes derive from the cluster's key for the election."""


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
        self.knows_keys = True
        """Whether its speaker can sign with a key of the election's own."""
        self.cut_off_ns: int | None = None
        self._silent_ns: int | None = None
        self._behind: int | None = None
        self._behind_until_ns = 0
        self.running = False
        self._life = 0
        self.applied: Object | None = None
        self.router: VirtualRouterConfig | None = None
        self._runs = False
        """Whether its engine has loaded anything since it began."""
        self._told_ns = 0
        self._status = SpeakerStatus(name)
        self.reporter = Reporter(api, name, rng, self._look, self._leases_in)
        for slot in slots:
            slot.on_accept = self._heard
        api.watch(self._hear)

    # Life -------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Begin with the cached configuration; take in the newest soon."""
        self._note_return(now_ns)
        self._silent_ns = None
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
        if not self.cut_off:
            self._tell_status(now_ns, {} if deleted else obj.get("status") or {})
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

    def _tell_status(self, now_ns: int, status: Object) -> None:
        """Let the speaker see in a while what the API server has of it; one watch keeps order."""
        self._told_ns = max(self._told_ns, now_ns + self._api.soon_ns(300))
        self._api.lan.at(self._told_ns, lambda _: self.reporter.reported(status))

    def _list(self, now_ns: int) -> None:
        """Read what the API server has now."""
        if not self.cut_off:
            obj = self._api.get("nodeconfigs", self.name) or {}
            self._tell_status(now_ns, obj.get("status") or {})
        self._ask(now_ns)

    @property
    def cut_off(self) -> bool:
        """Whether it cannot reach the API server."""
        return self.cut_off_ns is not None

    def lose_api(self, now_ns: int) -> None:
        """Reach the API server no more."""
        self.cut_off_ns = now_ns
        self.reporter.cut_off = True

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
        self.reporter.back()
        self._list(now_ns)

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
            if not self.knows_keys and _has_own_key(read):
                return  # refused by a speaker that does not know the field
            self.applied = read
            self._api.lan.timeline.note(
                at_ns, -1, f"{self.name} runs generation", _generation(read)
            )
            if self._behind is not None and _generation(read) > self._behind:
                self._behind = None  # it was told after it came back
            self._run(at_ns)

        if not self.cut_off:
            self._api.lan.at(now_ns + self._api.soon_ns(longest_ms), take_in)

    def _run(self, now_ns: int) -> None:
        assert self.applied is not None
        self._runs = True
        self.reporter.changed(now_ns)
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
            self._begin(own, now_ns)
        elif own.leaving:
            own.when_gone = partial(self._begin, own)
        else:
            own.apply_wanted(now_ns)

    def _begin(self, slot: SimulatedNode, now_ns: int) -> None:
        self._status.begin(now_ns)
        slot.start(now_ns)

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

    def changed(self, now_ns: int, change: StateChanged) -> None:
        """Report soon: a router changed its state."""
        self._status.changed(now_ns, change)
        self.reporter.changed(now_ns)

    def _heard(self, slot: SimulatedNode, datagram: Datagram) -> None:
        if slot is self.slot and self._status.hear(self._api.lan.now_ns, datagram):
            self.reporter.changed(self._api.lan.now_ns)

    def _look_for_silence(self, life: int) -> None:
        def look(now_ns: int) -> None:
            if self.running and self._life == life:
                self.reporter.changed(now_ns)
                self._look_for_silence(life)

        self._api.lan.after(_SILENCE_LOOKED_FOR_NS, look)

    def _look(self, now_ns: int) -> NodeConfigStatus:
        generation = _generation(self.applied) if self.applied and self._runs else 0
        status = self._status.build(now_ns, generation, self.router, self.slot)
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


def _authentication(router: VirtualRouterConfig) -> Authentication:
    said = router.election.authentication
    if said is None or said.type == "None":
        return None
    assert said.key_ref is not None
    keys, mode = _KEYS[said.key_ref], Mode(said.mode)
    if said.election_key is None:
        return HmacKeys(keys, 1, mode)
    return HmacKeys(keys, 1, mode, stage=Stage(said.election_key), election_keys=_OWN_KEY)
