"""Carries a chaos plan out on real nodes, in real time, and notes when each fault was in effect."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.chaos.observed import Struck
from tests.chaos.plan import Fault, Kind

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node


class Onlooker(Protocol):
    """Has to know which nodes die and come back."""

    def died(self, node: int) -> None:
        """Every process of a node's speaker is gone."""

    def powered_off(self, node: int) -> None:
        """A node is gone with all its files in memory."""

    def powered_on(self, node: int) -> None:
        """It has a network again; nothing runs yet."""


class ChaosNodes:
    """Strikes and mends; what happened is in ``struck`` when ``run`` has ended."""

    def __init__(self, lab: Lab, onlookers: Sequence[Onlooker], recordings: Path) -> None:
        self._lab = lab
        self._onlookers = onlookers
        self._recordings = recordings
        self._in_force: list[Fault] = []
        self._lives = self._kept = 0
        self._begun: dict[Fault, tuple[int, int]] = {}
        self.struck: list[Struck] = []
        self.behind_ns = 0
        """How late the latest of the strikes and mends began."""

    def start_all(self) -> None:
        """Start every speaker."""
        for node in self._lab.nodes:
            self._start(node)

    def run(self, faults: Sequence[Fault]) -> None:
        """Do everything when it is due, one after another, until the last fault is mended."""
        due = [(fault.begins_ms, 1, fault) for fault in faults]
        due += [(fault.ends_ms, 0, fault) for fault in faults]
        begun_ns = time.monotonic_ns()
        for at_ms, strikes, fault in sorted(due, key=lambda item: item[:2]):
            due_ns = begun_ns + at_ms * 1_000_000
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self.behind_ns = max(self.behind_ns, time.monotonic_ns() - due_ns)
            if strikes:
                self._strike(fault)
            else:
                self._mend(fault)

    def _strike(self, fault: Fault) -> None:
        begun_ns = time.monotonic_ns()
        self._in_force.append(fault)
        node = self._lab.nodes[fault.node]
        match fault.kind:
            case Kind.KILL:
                node.kill_speaker()
                self._tell("died", fault.node)
            case Kind.ENGINE:
                with contextlib.suppress(LookupError, ProcessLookupError):
                    os.kill(node.processes()["engine"], signal.SIGKILL)
            case Kind.STOP:
                os.kill(node.processes()["supervisor"], signal.SIGTERM)
            case Kind.FREEZE:
                node.freeze()
            case Kind.CUT:
                node.host.cut_link()
            case Kind.POWER:
                node.power_off()
                self._tell("powered_off", fault.node)
            case Kind.PARTITION | Kind.MUTE | Kind.LOSS:
                self._lay_out()
        self._begun[fault] = begun_ns, time.monotonic_ns()

    def _mend(self, fault: Fault) -> None:
        mending_ns = time.monotonic_ns()
        self._in_force.remove(fault)
        node = self._lab.nodes[fault.node]
        match fault.kind:
            case Kind.KILL:
                self._start(node)
            case Kind.STOP:
                node.stop_speaker()  # asks once more, and waits for the end
                self._start(node)
            case Kind.FREEZE:
                node.thaw()
            case Kind.CUT:
                node.host.restore_link()
            case Kind.POWER:
                node.host.power_on()
                self._tell("powered_on", fault.node)
                self._start(node)
            case Kind.PARTITION | Kind.MUTE | Kind.LOSS:
                self._lay_out()
            case Kind.ENGINE:
                self._keep_recording(node)  # its supervisor has mended the rest
        mended_ns = time.monotonic_ns()
        self.struck.append(Struck(fault, *self._begun.pop(fault), mending_ns, mended_ns))

    def _start(self, node: Node) -> None:
        """Start a speaker with a recording of its own: each begins its file anew."""
        self._lives += 1
        path = self._recordings / f"{self._lives:04}-{node.name}.jsonl"
        node.start_speaker("--record", str(path))

    def _keep_recording(self, node: Node) -> None:
        """Put away what the engine recorded that was killed: the next one's death replaces it."""
        for path in self._recordings.glob(f"*-{node.name}.jsonl.1"):
            self._kept += 1
            path.rename(path.with_name(f"{path.name.partition('.')[0]}-{self._kept:04}.jsonl"))

    def _tell(self, what: str, node: int) -> None:
        for onlooker in self._onlookers:
            getattr(onlooker, what)(node)

    def _lay_out(self) -> None:
        """Replace the switch's rules by those of the faults in force, in one transaction."""
        chain = "bridge faults forward"
        commands = [f"flush chain {chain}"]
        commands += [
            f"add rule {chain} {rule} drop"
            for fault in self._in_force
            for rule in self._rules(fault)
        ]
        self._lab.lan.switch.run("nft", "; ".join(commands))

    def _rules(self, fault: Fault) -> list[str]:
        """Return what a fault lets the switch drop."""
        port = self._lab.lan.hosts[fault.node].port
        far = [self._lab.lan.hosts[other].port for other in fault.others]
        there = [f"iifname {port} oifname {other}" for other in far]
        back = [f"iifname {other} oifname {port}" for other in far]
        match fault.kind:
            case Kind.PARTITION:
                return [*there, *back]
            case Kind.MUTE:
                return there
            case Kind.LOSS:
                chance = f"numgen random mod 100 < {fault.percent}"
                return [f"iifname {port} {chance}", f"oifname {port} {chance}"]
            case _:
                return []
