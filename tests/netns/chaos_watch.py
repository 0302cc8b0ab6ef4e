"""Looks at the shared state of every node all the time: what became what, when, and by what.

The engine writes single fields; a look takes those that change with a state (some microseconds a
node), and the rest only when one of them has. A transition carries its own time, so looking every
few milliseconds loses none, and none of it waits for the engine or makes it wait.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from types import TracebackType

from tests.chaos.observed import NOT_RUNNING, Turn

from vrrp.constants import State
from vrrp_lab.node import Node
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.shared_state.reader import SharedStateReader
from vrrp_speaker.shared_state.values import EngineState

_LOOK_S = 0.004
_COUNTERS_S = 0.5
_STALL_NS = 60_000_000
"""Whoever looks has real-time priority: this late it is only on a machine that stands still."""
_REAL_TIME_PRIORITY = 3
_BEGINS_NS = 500_000_000
"""So long after its first word an engine has loaded a program, or has none."""
_FIELDS = struct.Struct("<7Q")
"""From ``S_STATE``: state, since, two priorities, transitions, sent, last sent."""
_TRANSITIONS = [
    (str(before), str(after), str(reason), shm.transition_offset(before, after, reason))
    for before in shm.STATES
    for after in shm.STATES
    for reason in shm.REASONS
]
_DISAGREES = 4
"""After so many looks it is believed: no transition, or an engine that was killed as it wrote."""
_WRITES_NS = 5_000_000
"""An engine writes what it decided, and did, so much later at most."""
Triple = tuple[str, str, str]


@dataclass
class _Router:
    """One router of one node as it was last seen."""

    slot: int
    counted: Counter[Triple]
    fields: tuple[int, ...] = ()
    disagreed: int = 0
    """For how many looks it has not agreed with itself: the engine is writing it just now."""
    quiet_ns: int = 0
    """When it was last looked at and had not changed."""


class _Watched:
    """One node: its shared memory while there is one, and its routers."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.memory: mmap.mmap | None = None
        self.reader: SharedStateReader | None = None
        self.routers: dict[str, _Router] = {}
        self.starts = 0
        self.life_ns = 0
        """When the first engine after a death began; what is older may be of an earlier life."""
        self.waits = False
        """Whether nothing is believed until another engine has begun."""
        self.powered_off = False
        self.last: EngineState | None = None

    def open(self) -> bool:
        """Map the file if that was not done yet; return whether there is something to see."""
        if self.memory is not None:
            return True
        path = self.node.run_dir / "state.shm"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(descriptor).st_size == shm.SIZE:
                self.reader = SharedStateReader(path)
                self.memory = mmap.mmap(descriptor, shm.SIZE, prot=mmap.PROT_READ)
        except ValueError:
            return False  # not written yet
        finally:
            os.close(descriptor)
        return self.memory is not None

    def close(self) -> None:
        """Forget the memory: the file is gone, and another one will be made."""
        self.memory = self.reader = self.last = None
        self.routers = {}
        self.starts = 0

    def number(self, offset: int) -> int:
        """Return the integer at an offset of the shared memory."""
        assert self.memory is not None
        value: int = struct.unpack_from("<Q", self.memory, offset)[0]
        return value

    def transitions(self, slot: int) -> Counter[Triple]:
        """Return what a router's transition counters say."""
        assert self.memory is not None
        found: Counter[Triple] = Counter()
        for before, after, reason, offset in _TRANSITIONS:
            position = shm.slot_offset(slot) + offset
            count = struct.unpack_from("<I", self.memory, position)[0]
            if count:
                found[before, after, reason] = count
        return found


class ChaosWatch:
    """Looks while the block runs; everything it collects counts nodes from 0, in nanoseconds."""

    def __init__(self, nodes: Sequence[Node], names: Sequence[str]) -> None:
        self._hashes = {shm.name_hash(name): name for name in names}
        self._watched = [_Watched(node) for node in nodes]
        self._looking = threading.Lock()
        self._counters_ns = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None
        self._looked_ns = 0
        self._states = {(name, node): NOT_RUNNING for name in names for node in range(len(nodes))}
        self.turns: dict[str, list[Turn]] = {name: [] for name in names}
        self.starts: list[tuple[int, int]] = []
        """(when, node) of every engine that began."""
        self.stalls: list[tuple[int, int]] = []
        self.wrong: list[str] = []
        """What no counter may do."""
        self.looks = 0
        self.cpu_s = 0.0

    def __enter__(self) -> ChaosWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def sees_everything(self) -> bool:
        """Whether every router of every node was seen."""
        return NOT_RUNNING not in self._states.values()

    # What the carrying out tells --------------------------------------------------------

    def died(self, node: int) -> None:
        """Believe nothing until another engine has begun."""
        with self._looking:
            self._watched[node].waits = True
            self._lose(node)

    def powered_off(self, node: int) -> None:
        """Believe nothing; the file is gone as well."""
        with self._looking:
            self._watched[node].close()
            self._watched[node].powered_off = self._watched[node].waits = True
            self._lose(node)

    def powered_on(self, node: int) -> None:
        """The file will come with the speaker."""

    def _lose(self, node: int) -> None:
        now_ns = time.monotonic_ns()
        for name in self.turns:
            self._say(name, Turn(now_ns, node, NOT_RUNNING))

    def _say(self, name: str, turn: Turn) -> None:
        self.turns[name].append(turn)
        self._states[name, turn.node] = turn.state

    # Looking ---------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_REAL_TIME_PRIORITY))
        try:
            while not self._ended.wait(_LOOK_S):
                self.look()
        except BaseException as error:
            self._failure = error
        self.cpu_s = time.thread_time()

    def look(self) -> None:
        """Look at every node once."""
        with self._looking:
            now_ns = time.monotonic_ns()
            if now_ns - self._looked_ns > _STALL_NS and self.looks:
                self.stalls.append((self._looked_ns, now_ns))
            self.looks += 1
            for index, watched in enumerate(self._watched):
                if watched.open():
                    self._look(index, watched, now_ns)
            self._looked_ns = now_ns
            if now_ns >= self._counters_ns:
                self._counters_ns = now_ns + int(_COUNTERS_S * 1e9)
                self.compare_counters()

    def _look(self, index: int, watched: _Watched, now_ns: int) -> None:
        starts = watched.number(shm.H_ENGINE_STARTS)
        if starts != watched.starts:
            if self.looks > 1:
                self.starts += [(now_ns, index)] * (starts - watched.starts)
            watched.starts = starts
            if watched.waits:
                watched.waits, watched.life_ns = False, self._looked_ns
        if watched.waits:
            return
        if len(watched.routers) < len(self._hashes):
            self._find_routers(watched)
        goes_on = self._may_go_on(watched, now_ns)
        for name, router in watched.routers.items():
            assert watched.memory is not None
            start = shm.slot_offset(router.slot) + shm.S_STATE
            fields = _FIELDS.unpack_from(watched.memory, start)
            # One that advertises changes its last two all the time.
            told = (watched.life_ns, *fields[:5])
            if told == router.fields:
                router.quiet_ns = now_ns
                continue
            believed = goes_on or max(fields[1], fields[6]) >= watched.life_ns
            if believed and self._note(index, watched, name, router):
                router.fields = told

    def _may_go_on(self, watched: _Watched, now_ns: int) -> bool:
        """Return whether what is older than the engine is its own: it goes on as its predecessor.

        An engine says that it has no program before it looks at what it finds; it has by then.
        """
        return now_ns > watched.life_ns + _BEGINS_NS and bool(watched.number(shm.H_LOADED))

    def _find_routers(self, watched: _Watched) -> None:
        for slot in range(shm.SLOTS):
            name = self._hashes.get(watched.number(shm.slot_offset(slot) + shm.S_NAME_HASH))
            if name is not None and name not in watched.routers:
                # What was counted before the first look is of no interest.
                before = Counter() if watched.powered_off else watched.transitions(slot)
                watched.routers[name] = _Router(slot, before)

    def _note(self, index: int, watched: _Watched, name: str, router: _Router) -> bool:
        """Say what a router became since the last look, or False to look again later."""
        assert watched.memory is not None
        start = shm.slot_offset(router.slot)
        fields = _FIELDS.unpack_from(watched.memory, start + shm.S_STATE)
        counted = watched.transitions(router.slot)
        known, state = self._states[name, index], str(shm.STATES[fields[0]])
        # A transition is counted last; without one only whoever resumes or begins is another.
        agrees = fields[4] == counted.total() and (counted != router.counted or state == known)
        router.disagreed += 1
        if not agrees and router.disagreed < _DISAGREES:
            return False
        router.disagreed = 0
        at_ns = max(fields[1], watched.life_ns)
        detail = self._faults(watched, start) if state == State.FAULT else ""
        news = _in_order(counted - router.counted, known, state)
        for number, (before, after, reason) in enumerate(news, start=1):
            # Only the last one's time is known; the others came since nothing was new.
            earliest_ns = max(router.quiet_ns - _WRITES_NS, watched.life_ns)
            then_ns = at_ns if number == len(news) else min(at_ns, earliest_ns)
            if before == State.INITIALIZE and self._states[name, index] not in ("", before):
                self._say(name, Turn(then_ns, index, before))  # another engine began
            self._say(name, Turn(then_ns, index, after, reason, before, detail))
        if self._states[name, index] != state:
            # No transition: whoever resumes, or begins.
            self._say(name, Turn(at_ns, index, state))
        router.counted = counted
        return True

    def _faults(self, watched: _Watched, start: int) -> str:
        """Return what the engine finds wrong with a router."""
        bits = watched.number(start + shm.S_FAULTS)
        return ",".join(str(fault) for bit, fault in enumerate(shm.FAULTS) if bits >> bit & 1)

    # Counters --------------------------------------------------------------------------

    def compare_counters(self) -> None:
        """Take note of what nodes have counted, and of what fell since the last time."""
        for watched in self._watched:
            if watched.reader is None:
                continue
            state, last = watched.reader.snapshot(), watched.last
            watched.last = state
            if last is None:
                continue
            before, after = counters(last), counters(state)
            self.wrong += [
                f"{watched.node.name}: {name} fell from {value} to {after.get(name, 0)}"
                for name, value in before.items()
                if after.get(name, 0) < value
            ]


def _in_order(counted: Counter[Triple], state: str, last: str) -> list[Triple]:
    """Return transitions as they must have followed each other; any order if none is possible."""
    triples = list(counted.elements())
    for order in permutations(triples) if len(triples) < 6 else ():
        chain = [state, *(after for _, after, _ in order)]
        fits = all(b in (at, State.INITIALIZE) for (b, _, _), at in zip(order, chain, strict=False))
        if fits and chain[-1] == last:
            return list(order)
    return triples


def counters(state: EngineState) -> dict[str, int]:
    """Return everything a node counts; none of it ever falls while its memory lives."""
    found: dict[str, int] = {
        "engine starts": state.engine_starts,
        "generation": state.generation,
        "events dropped": state.events_dropped,
        "send errors": state.send_errors,
        "lateness": state.lateness_sum_ns,
        "deadlines": sum(state.lateness_counts),
    }
    groups: Mapping[str, Mapping[str, int]] = {
        "rejected": state.rejected,
        "observed": state.observed,
        "announced": state.announcements_sent,
        "fenced": state.fencing,
    }
    for group, counts in groups.items():
        found.update({f"{group} {name}": count for name, count in counts.items()})
    for slot, router in state.routers.items():
        found[f"slot {slot} transitions"] = router.transitions
        found[f"slot {slot} sent"] = router.advertisements_sent
        found[f"slot {slot} restored"] = router.addresses_restored
        found[f"slot {slot} dual Active"] = router.dual_active_ns
        found[f"slot {slot} received"] = sum(peer.received for peer in router.peers)
    return found
