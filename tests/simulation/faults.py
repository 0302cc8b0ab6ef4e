"""What goes wrong before everything heals: faults of network and nodes, and roll-outs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import (
    KEYS,
    MS,
    SECOND,
    SECOND_KEY,
    NodeConfig,
    draw_interval,
    with_config,
)
from tests.simulation.virtual_time import Deed

from vrrp.authentication import WINDOW_S, HmacKeys, Mode
from vrrp.constants import State

Stage = Callable[[int, NodeConfig], NodeConfig]
"""One step of a roll-out: node and its configuration before, to its configuration after."""
_CLOCK_AT_START_NS = WINDOW_S * SECOND // 2
_STEPS_S = (1, 20, 29, 31, 70, 3_600, 86_400 * 400)


class Faults:
    """Strikes at random until ``heal``; everything it began ends there."""

    def __init__(self, lan: SimulatedLan) -> None:
        self._lan = lan
        self._rng = random.Random(f"{lan.settings.seed} faults")
        self._over = False
        self._stages: list[Stage] = []
        self._kinds: dict[str, Callable[[SimulatedNode], None]] = {
            "split": self._split,
            "one_way": self._one_way,
            "crash": lambda node: self._crash(node, power=False),
            "power_off": lambda node: self._crash(node, power=True),
            "replace_engine": self._replace_engine,
            "freeze": self._freeze,
            "clock_step": self._clock_step,
            "node_fault": self._node_fault,
            "priority_change": self._priority_change,
            "release": self._release,
            "reconfigure": lambda _: self._roll_out(self._reconfiguration()),
            "rotate_keys": lambda _: self._roll_out(self._rotation()),
            "name_successor": lambda node: self._roll_out(self._naming(node)),
        }
        self.longest_interval_ns = self.most_down = 0
        """The longest waits of any configuration that may still have effect."""
        self.forget_old_configurations()

    def begin(self) -> None:
        """Start every node, at nearly the same time, and let things go wrong."""
        lan, rng = self._lan, self._rng
        lan.rates = lan.settings.rates
        for node in self._founders():
            node.wall_offset_ns = self._clock_at_start()
            lan.after(int(rng.random() * SECOND), node.start)
        if lan.settings.late_joiner:
            lan.after(int(rng.random() * 10 * SECOND), lambda _: self._roll_out(self._joining()))
        self._next()

    def _founders(self) -> list[SimulatedNode]:
        nodes = self._lan.nodes
        return nodes[:-1] if self._lan.settings.late_joiner else nodes

    def _clock_at_start(self) -> int:
        """Return how far from the truth the clock of a node that begins may be."""
        if self._rng.random() < 0.8:
            return self._rng.randint(-500, 500) * MS
        return self._rng.randint(-_CLOCK_AT_START_NS, _CLOCK_AT_START_NS)

    def _next(self) -> None:
        gap_ns = self._rng.expovariate(1 / self._lan.settings.rates.mean_gap_ns)
        self._later(int(gap_ns), self._strike)

    def _strike(self, _: int) -> None:
        weights = self._lan.settings.rates.weights
        if any(weights.values()):
            kind = self._rng.choices(list(weights), list(weights.values()))[0]
            self._kinds[kind](self._rng.choice(self._founders()))
            self._next()

    def _later(self, delay_ns: int, deed: Deed) -> None:
        """Do something in a while, unless all has healed by then."""
        self._lan.after(delay_ns, lambda now_ns: None if self._over else deed(now_ns))

    def _duration(self) -> int:
        """Return how long a fault lasts: from less than an interval to several leases."""
        longest_ns = self._rng.choice((300 * MS, 2 * SECOND, 8 * SECOND))
        return 1 + int(self._rng.random() * longest_ns)

    # The network -----------------------------------------------------------------------

    def _split(self, _: SimulatedNode) -> None:
        indices = range(len(self._lan.nodes))
        side = {index for index in indices if self._rng.random() < 0.5}
        cut = {(a, b) for a in indices for b in indices if (a in side) is not (b in side)}
        self._cut(cut, "splits into", sorted(side))

    def _one_way(self, node: SimulatedNode) -> None:
        others = [other.index for other in self._lan.nodes if other is not node]
        mute = self._rng.random() < 0.5
        cut = {(node.index, other) if mute else (other, node.index) for other in others}
        self._cut(cut, "makes mute" if mute else "makes deaf", node.index)

    def _cut(self, cut: set[tuple[int, int]], words: str, detail: object) -> None:
        lan = self._lan
        lan.timeline.note(lan.now_ns, -1, words, detail)
        lan.blocked = cut

        def mend(now_ns: int) -> None:
            if lan.blocked is cut:
                lan.blocked = set()
                lan.timeline.note(now_ns, -1, "is whole again")

        self._later(self._duration(), mend)

    # The nodes -------------------------------------------------------------------------

    def _crash(self, node: SimulatedNode, *, power: bool) -> None:
        if node.router is None:
            return
        node.crash(self._lan.now_ns, power=power)
        if power:
            self._later(self._duration(), lambda now_ns: self._boot(node, now_ns))
            return
        remembers = self._rng.random() < 0.4
        self._later(self._duration(), lambda now_ns: self._restart(node, now_ns, remembers))

    def _boot(self, node: SimulatedNode, now_ns: int) -> None:
        """Start a node after a loss of power; its clock may be wrong until it is put right."""
        if node.router is not None:
            return
        rng, offset_ns = self._rng, self._clock_at_start()
        node.boot(now_ns, rng.randint(1, 60) * SECOND)
        if self._lan.settings.wrong_at_boot:
            offset_ns += rng.choice(_STEPS_S) * SECOND * rng.choice((-1, 1))
            self._later(self._duration(), lambda at_ns: self._put_right(node, at_ns))
        node.forget(offset_ns)
        self._lan.timeline.note(now_ns, node.index, "boots, its clock off by", offset_ns)
        node.start(now_ns)

    def _put_right(self, node: SimulatedNode, now_ns: int) -> None:
        """Let a node that booted lately find out the time."""
        if node.settling(now_ns) and abs(node.wall_offset_ns) > _CLOCK_AT_START_NS:
            node.wall_offset_ns = self._clock_at_start()
            self._lan.timeline.note(now_ns, node.index, "has its clock put right")

    def _restart(self, node: SimulatedNode, now_ns: int, remembers: bool) -> None:
        """Start a node, now or when it is gone; without memory its clock is about right."""
        if node.leaving:
            node.when_gone = lambda gone_ns: self._restart(node, gone_ns, remembers)
        if node.router is not None:
            return
        if not remembers:
            offset_ns = node.wall_offset_ns
            if abs(offset_ns) > _CLOCK_AT_START_NS or self._rng.random() < 0.3:
                offset_ns = self._clock_at_start()
            node.forget(offset_ns)
        self._lan.timeline.note(now_ns, node.index, "starts", "with memory" if remembers else "")
        node.start(now_ns)

    def _replace_engine(self, node: SimulatedNode) -> None:
        """Fork a new engine a moment after the old one died; it resumes where it may."""
        if node.router is None:
            return
        was_active = node.state is State.ACTIVE
        node.crash(self._lan.now_ns)
        if self._rng.random() < 0.2:
            node.faulty = True
            self._later(self._duration(), lambda now_ns: node.set_fault(now_ns, False))

        def fork(now_ns: int) -> None:
            silent_ns = now_ns - node.last_sent_ns
            down_ns = node.config.down_advertisements * node.config.interval_ns
            if node.router is None:
                node.start(now_ns, resume=was_active and silent_ns < down_ns)

        # Not left to the end of the faults: nobody else would start it with its memory.
        self._later(1 + int(self._rng.random() * 50 * MS), fork)

    def _freeze(self, node: SimulatedNode) -> None:
        if node.router is None or node.frozen:
            return
        node.freeze(self._lan.now_ns)
        router = node.router

        def wake(now_ns: int) -> None:
            if node.router is router and node.frozen:
                node.wake(now_ns)

        self._later(self._duration(), wake)

    def _clock_step(self, node: SimulatedNode) -> None:
        """Step the clock of a node that has run for long, by any amount."""
        if node.router is None or node.settling(self._lan.now_ns):
            return  # whoever begins, begins with a clock that is about right, or soon will be
        step_ns = self._rng.choice(_STEPS_S) * SECOND * self._rng.choice((-1, 1))
        node.wall_offset_ns += step_ns
        self._lan.timeline.note(self._lan.now_ns, node.index, "has its clock stepped", step_ns)

    def _node_fault(self, node: SimulatedNode) -> None:
        link = self._rng.random() < 0.4
        if node.faulty and not link:
            return
        node.set_fault(self._lan.now_ns, True, link=link, keeps=self._rng.random() < 0.4)
        self._later(self._duration(), lambda now_ns: node.set_fault(now_ns, False))

    def _priority_change(self, node: SimulatedNode) -> None:
        lowered = max(1, node.config.priority - self._rng.choice((5, 50, 120)))
        node.set_priority(self._lan.now_ns, lowered, unhealthy=self._rng.random() < 0.6)
        base = node.config.priority
        self._later(self._duration(), lambda now_ns: node.set_priority(now_ns, base))

    def _release(self, node: SimulatedNode) -> None:
        if node.router is None or node.frozen or node.leaving:
            return
        node.shut_down(self._lan.now_ns, hand_over=self._rng.random() < 0.8)
        remembers = self._rng.random() < 0.5
        self._later(self._duration(), lambda now_ns: self._restart(node, now_ns, remembers))

    # Roll-outs -------------------------------------------------------------------------

    def _roll_out(self, stages: list[Stage]) -> None:
        """Tell every node each stage, in any order; the next begins when all have the last."""
        if stages and not self._stages:
            self._stages = stages
            self._stage(self._lan.now_ns)

    def _stage(self, _: int) -> None:
        pending = [n for n in self._lan.nodes if n.router is not None and n.config != n.wanted]
        if pending:
            self._later(SECOND, self._stage)
            return
        if not self._stages:
            return
        stage = self._stages.pop(0)
        for node in self._lan.nodes:
            node.wanted = stage(node.index, node.wanted)
            self._note_waits(node)
            self._later(int(self._rng.random() * 2 * SECOND), node.apply_wanted)
        self._later(2 * SECOND, self._stage)

    def _note_waits(self, node: SimulatedNode) -> None:
        self.longest_interval_ns = max(self.longest_interval_ns, node.wanted.interval_ns)
        self.most_down = max(self.most_down, node.wanted.down_advertisements)

    def forget_old_configurations(self) -> None:
        """From now on only the configurations in force have effect."""
        self.longest_interval_ns = self.most_down = 0
        for node in self._lan.nodes:
            self._note_waits(node)

    def _reconfiguration(self) -> list[Stage]:
        rng, version = self._rng, self._lan.cluster.version
        what = rng.choice(("interval", "preempt", "down", "delay", "priorities"))
        number = rng.choice((2, 3, 5))
        interval_ns = draw_interval(rng, version)
        delay_ns = rng.choice((0, 500 * MS, 1_500 * MS))
        fresh = rng.sample(range(20, 255, 40), len(self._lan.nodes))
        if what == "interval":
            return [lambda _, config: with_config(config, interval_ns=interval_ns)]
        if what == "preempt":
            return [lambda _, config: with_config(config, preempt=not config.preempt)]
        if what == "down":
            return [lambda _, config: with_config(config, down_advertisements=number)]
        if what == "delay":
            return [lambda _, config: with_config(config, preempt_delay_ns=delay_ns)]
        return [lambda index, config: with_config(config, priority=fresh[index])]

    def _naming(self, node: SimulatedNode) -> list[Stage]:
        """Name a successor, as the planner does: the highest priority, and not to wait."""
        return [partial(named, node.index, 1 + node.wanted.take_over)]

    def _rotation(self) -> list[Stage]:
        """Sign and then enforce where that is not done yet; then a new key in three stages."""
        return list(rotation(self._lan.nodes[0].wanted))

    def _joining(self) -> list[Stage]:
        """Add the last node to everybody's peers; it starts when it likes."""
        everybody = frozenset(range(len(self._lan.nodes)))
        joiner = self._lan.nodes[-1]
        joiner.wanted = with_config(
            self._lan.nodes[0].wanted, priority=joiner.config.priority, peers=joiner.config.peers
        )
        joiner.wall_offset_ns = self._clock_at_start()
        start = partial(self._restart, joiner, remembers=True)
        self._later(int(self._rng.random() * 3 * SECOND), start)
        return [lambda index, config: with_config(config, peers=everybody - {index})]

    # The end ---------------------------------------------------------------------------

    def heal(self, *, spare_dead: int | None = None, spare_faulty: int | None = None) -> None:
        """End every fault and every roll-out; at most one node stays dead, and one faulty."""
        lan = self._lan
        self._over = True
        lan.rates, lan.blocked = None, set()
        lan.timeline.note(lan.now_ns, -1, "heals")
        self._finish_roll_outs()
        for node in lan.nodes:
            if node.frozen:
                node.wake(lan.now_ns)
                node.apply_wanted(lan.now_ns)
            self._put_right(node, lan.now_ns)
            if (node.router is None or node.leaving) and node.index != spare_dead:
                self._restart(node, lan.now_ns, remembers=True)
            elif node.router is not None and node.index == spare_dead:
                node.crash(lan.now_ns)
            if node.faulty is not (node.index == spare_faulty):
                node.set_fault(lan.now_ns, node.index == spare_faulty)
            node.set_priority(lan.now_ns, node.config.priority)

    def _finish_roll_outs(self) -> None:
        lan = self._lan
        if lan.settings.late_joiner and len(lan.nodes[0].wanted.peers) < len(lan.nodes) - 1:
            self._stages += self._joining()
        for stage in [lambda _, config: config, *self._stages]:
            for node in lan.nodes:
                node.wanted = stage(node.index, node.wanted)
                self._note_waits(node)
            for node in lan.nodes:
                if not node.frozen:
                    node.apply_wanted(lan.now_ns)


def named(
    successor: int, number: int, index: int, config: NodeConfig, priority: int = 254
) -> NodeConfig:
    """Return what a node is told when one is named the successor: nobody else is as good."""
    if index == successor:
        return with_config(config, priority=priority, take_over=number)
    return with_config(config, priority=min(config.priority, priority - 1))


def rotation(config: NodeConfig) -> Iterator[Stage]:
    """Yield the stages that give a cluster which signs a new key, in the order that is safe."""
    keys = config.authentication
    if not isinstance(keys, HmacKeys):
        return
    for mode in (Mode.PERMISSIVE, Mode.ENFORCE):
        if keys.mode is not Mode.ENFORCE:
            yield lambda _, before, mode=mode: _with_keys(before, mode=mode)  # type: ignore[misc]  # binds the loop variable
    new = SECOND_KEY if keys.active != SECOND_KEY else SECOND_KEY + 1
    both = {**keys.keys, new: KEYS[new]}
    yield lambda _, before: _with_keys(before, keys=both)
    yield lambda _, before: _with_keys(before, active=new)
    yield lambda _, before: _with_keys(before, keys={new: KEYS[new]})


def _with_keys(
    config: NodeConfig,
    *,
    keys: dict[int, bytes] | None = None,
    active: int | None = None,
    mode: Mode | None = None,
) -> NodeConfig:
    before = config.authentication
    assert isinstance(before, HmacKeys)
    after = HmacKeys(keys or before.keys, active or before.active, mode or before.mode)
    return with_config(config, authentication=after)
