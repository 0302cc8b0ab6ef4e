"""Lists of members that reach each node at its own time, in any order, or never.

What is told is arbitrary: any node may get any list at any moment, also while nodes begin, end,
lose their memory, or are cut off from each other. One thing is kept up: of two nodes at least one
has the other on its list, as the newcomer has whom it joins. The elections are signed with a key of
their own. Then, once what passes between whom has been the same for long enough: each node that can
be is Active or hears somebody that is, and of two Active ones that hear each other one yields, of
two with one way between them the one that hears a better one (``Bounds.dual_ns``).
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from itertools import permutations

from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.oracles import Bounds
from tests.simulation.settings import (
    KEYS,
    MS,
    SECOND,
    Cluster,
    FaultRates,
    NodeConfig,
    Settings,
    draw_interval,
    node_addresses,
    with_config,
)
from tests.simulation.simulation import Failure
from tests.simulation.timeline import OracleViolation

from vrrp.authentication import HmacKeys, Mode, Stage
from vrrp.constants import VERSION_3, Family, State
from vrrp.packet import ChecksumForm

OWN_KEY = HmacKeys({1: KEYS[1]}, 1, Mode.ENFORCE, stage=Stage.REQUIRE, election_keys={1: KEYS[2]})
_HEALTHY = FaultRates(0, 0, 0, 0, SECOND, {})
_LOOK_NS = 20 * MS
_POWER_OFF = 0.3


class Membership:
    """One seed: what is told when, what goes wrong, and what must hold meanwhile."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = random.Random(f"{seed} membership")
        size = rng.choice((2, 3, 3, 4, 5))
        family = rng.choice((Family.IPV4, Family.IPV6))
        form = ChecksumForm.MESSAGE_ONLY if family is Family.IPV4 else ChecksumForm.PSEUDO_HEADER
        addresses = node_addresses(rng, family, size)
        cluster = Cluster(VERSION_3, family, False, form, addresses, MS // 2, 0)
        interval_ns, preempt = draw_interval(rng, VERSION_3), rng.random() < 0.7
        everybody = frozenset(range(size))
        configs = tuple(
            NodeConfig(priority, interval_ns, 3, preempt, 0, everybody - {index}, OWN_KEY)
            for index, priority in enumerate(rng.sample(range(20, 255, 40), size))
        )
        self.lan = lan = SimulatedLan(Settings(seed, cluster, configs, _HEALTHY, False))
        lan.nodes += [SimulatedNode(lan, i, config) for i, config in enumerate(configs)]
        self._bounds = Bounds(lan, interval_ns, 3)
        self._disturbed_ns = 0
        self._two_since_ns: dict[tuple[int, int], int] = {}
        self._none_since_ns: dict[tuple[int, int], int] = {}
        for node in lan.nodes:
            node.start(0)

    def run(self, seconds: int) -> None:
        """Let things happen, and look all the time."""
        lan, rng = self.lan, self._rng
        deeds: tuple[Callable[[SimulatedNode], None], ...]
        deeds = (self._tell, self._tell, self._tell, self._tell, self._move, self._end, self._split)
        due_ns = lan.now_ns
        while lan.now_ns < seconds * SECOND:
            if lan.now_ns >= due_ns:
                rng.choice(deeds)(rng.choice(lan.nodes))
                due_ns = lan.now_ns + int(rng.expovariate(1 / (3 * SECOND)))
            lan.run_for(_LOOK_NS)
            self._look()

    # What happens ----------------------------------------------------------------------

    def _tell(self, node: SimulatedNode) -> None:
        """Give a node any list that leaves out only who lists the node."""
        free = {o.index for o in self.lan.nodes if node.index in o.wanted.peers & o.config.peers}
        left_out = {index for index in sorted(free) if self._rng.random() < 0.6}
        others = {other.index for other in self.lan.nodes} - {node.index}
        node.wanted = with_config(node.wanted, peers=frozenset(others - left_out))
        if self._rng.random() < 0.9:  # else it is told when it begins the next time
            node.apply_wanted(self.lan.now_ns)

    def _move(self, node: SimulatedNode) -> None:
        """Give a node another priority: the election may move."""
        self._disturb()
        taken = {other.wanted.priority for other in self.lan.nodes}
        free = [priority for priority in range(20, 255, 20) if priority not in taken]
        node.wanted = with_config(node.wanted, priority=self._rng.choice(free))
        node.apply_wanted(self.lan.now_ns)

    def _end(self, node: SimulatedNode) -> None:
        """End a node, one way or another; it begins again in a while, perhaps without memory."""
        if node.router is None or node.leaving:
            return
        lan, power = self.lan, self._rng.random() < _POWER_OFF
        self._disturb()
        if self._rng.random() < 0.5:
            node.shut_down(lan.now_ns, hand_over=False)
        else:
            node.crash(lan.now_ns, power=power)
        if power:
            node.forget(0)

        def begin(now_ns: int) -> None:
            self._disturb()
            node.start(now_ns)

        lan.after(int(self._rng.random() * 8 * SECOND), begin)

    def _split(self, _: SimulatedNode) -> None:
        """Cut the LAN in two, or in part and perhaps one way round, or make it whole."""
        lan = self.lan
        self._disturb()
        if lan.blocked:
            lan.blocked = set()
            return
        side = {node.index for node in lan.nodes if self._rng.random() < 0.5}
        pairs = list(permutations(range(len(lan.nodes)), 2))
        kind = self._rng.choice(("halves", "halves", "pairs", "ways"))
        if kind == "halves":
            lan.blocked = {(a, b) for a, b in pairs if (a in side) is not (b in side)}
        else:
            lan.blocked = {pair for pair in pairs if self._rng.random() < 0.4}
        if kind == "pairs":
            lan.blocked |= {(b, a) for a, b in lan.blocked}

    def _disturb(self) -> None:
        """Something happened after which an election needs its time."""
        self._disturbed_ns = self.lan.now_ns

    # What must hold --------------------------------------------------------------------

    def _look(self) -> None:
        lan = self.lan
        if lan.now_ns - self._disturbed_ns < self._bounds.settle_ns:
            self._two_since_ns.clear()
            self._none_since_ns.clear()
            return
        active = [node for node in lan.nodes if node.state is State.ACTIVE]
        for one, other in permutations(active, 2):
            wrong = self._should_yield(one, other)
            pair = one.index, other.index
            self._judge(self._two_since_ns, pair, wrong, self._bounds.dual_ns, active)
        for node in lan.nodes:
            alone = not any(other is node or self._passes(other, node) for other in active)
            none = alone and node.may_be_active
            pair = node.index, node.index
            self._judge(self._none_since_ns, pair, none, self._bounds.down_ns, active)

    def _should_yield(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        """Return whether of two that are Active one has to hear that the other one is better."""
        if not self._passes(other, one):
            return False
        if self._passes(one, other):
            return one.index < other.index  # one of them, whichever
        # Who cannot be heard is not learned: it is known by the other one's list, or from before.
        known = one.index in other.config.peers or one.address in other.learned.known_ns
        return known and (one.priority, one.address) < (other.priority, other.address)

    def _judge(
        self,
        since_ns: dict[tuple[int, int], int],
        pair: tuple[int, int],
        wrong: bool,
        least_ns: int,
        active: list[SimulatedNode],
    ) -> None:
        now_ns = self.lan.now_ns
        if not wrong:
            since_ns.pop(pair, None)
        elif now_ns - since_ns.setdefault(pair, now_ns) > least_ns + _LOOK_NS:
            lists = {node.index: sorted(node.config.peers) for node in self.lan.nodes}
            names = [node.index for node in active]
            raise OracleViolation(
                f"{pair}: Active are {names} for too long; lists: {lists},"
                f" blocked: {sorted(self.lan.blocked)}"
            )

    def _passes(self, sender: SimulatedNode, receiver: SimulatedNode) -> bool:
        return (sender.index, receiver.index) not in self.lan.blocked


def run_membership_seed(seed: int, seconds: int = 60) -> Failure | None:
    """Run a seed; return what went wrong, or None."""
    membership = Membership(seed)
    try:
        membership.run(seconds)
    except OracleViolation as violation:
        rule = str(violation)
    except Exception:
        rule = traceback.format_exc()
    else:
        return None
    options = f"--membership {seed} --seconds {seconds}"
    return Failure(f"membership {seed}", rule, membership.lan.timeline.text(), options)
