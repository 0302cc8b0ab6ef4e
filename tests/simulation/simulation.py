"""One seed from beginning to end: faults, then peace, then what a healthy cluster must do."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.attacker import Attacker
from tests.simulation.faults import Faults
from tests.simulation.lan import SimulatedLan
from tests.simulation.liveness import Liveness
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import SECOND, draw
from tests.simulation.timeline import OracleViolation, first_difference

from vrrp.constants import RejectReason, TransitionReason

SECONDS = 60
ATTACKED = 5
"""Every so many seeds are run a second time, with an attacker on the link."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that broke a rule."""

    name: str
    rule: str
    timeline: str
    options: str
    """What replays it."""

    def __str__(self) -> str:
        return (
            f"{self.timeline}\n\n{self.name}: {self.rule}\n"
            f"replay: python -m tests.simulation {self.options}"
        )


def new_lan(seed: int) -> SimulatedLan:
    """Return the LAN of a seed, nothing running yet."""
    lan = SimulatedLan(draw(seed))
    for index, config in enumerate(lan.settings.configs):
        lan.nodes.append(SimulatedNode(lan, index, config))
    return lan


def run_seed(seed: int, seconds: int = SECONDS) -> Failure | None:
    """Run a seed under every oracle; return what went wrong, or None."""
    lan = new_lan(seed)
    try:
        _run(lan, seconds)
        if seed % ATTACKED == 0:
            quiet, lan = lan, new_lan(seed)
            Attacker(lan)
            _run(lan, seconds)
            difference = first_difference(lan.timeline, quiet.timeline)
            if difference:
                raise OracleViolation(f"rejected datagrams changed what happens: {difference}")
    except OracleViolation as violation:
        rule = str(violation)
    except Exception:
        rule = traceback.format_exc()
    else:
        return None
    options = f"--seeds {seed} --seconds {seconds}"
    return Failure(f"seed {seed}", rule, lan.timeline.text(), options)


def reach(seeds: Iterable[int]) -> tuple[set[TransitionReason], set[RejectReason]]:
    """Return which transitions and which rejections these seeds provoke, attacked."""
    transitions: set[TransitionReason] = set()
    rejections: set[RejectReason] = set()
    for seed in seeds:
        lan = new_lan(seed)
        Attacker(lan)
        lan.watchers.append(lambda _now, _node, change: transitions.add(change.reason))
        _run(lan, SECONDS)
        for node in lan.nodes:
            rejections.update(node.rejected)
    return transitions, rejections


def _run(lan: SimulatedLan, seconds: int) -> None:
    """Two thirds of the time things go wrong; then they heal, and must be right."""
    faults = Faults(lan)
    faults.begin()
    lan.run_until(seconds * SECOND * 2 // 3)
    Liveness(lan, faults).run(seconds * SECOND)
