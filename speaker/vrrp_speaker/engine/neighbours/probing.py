"""Rounds of probes: how they are spaced, and what the election explains of what is seen."""

from __future__ import annotations

from dataclasses import dataclass

from vrrp.constants import PRIORITY_MINIMUM
from vrrp.states import Parameters
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.programs.program import Place, RouterProgram
from vrrp_speaker.lease import lease_seconds

_SECOND = 1_000_000_000
PROBES = 3
REPROBE_NS = 5 * _SECOND
"""How often it is asked again for an address that a stranger has."""
REPROBE_WAIT_NS = 1 * _SECOND
"""How long after it began a round of probes is judged where nothing else says when."""
_LEASE_SLACK_NS = 1 * _SECOND
"""The kernel takes an address off up to half a second after its lease."""
_LONGEST_SETTLING_NS = 1 * _SECOND


def places(program: RouterProgram) -> frozenset[Place]:
    """Return where the router has addresses whose conflicts matter."""
    return frozenset((probe.ifindex, probe.address) for probe in program.probes)


def quiet_ns(parameters: Parameters) -> int:
    """Return how long after another router was heard its node may still have the addresses.

    If it died, until the longest lease that a candidate binds them for.
    """
    lease_s = lease_seconds(
        parameters.version,
        PRIORITY_MINIMUM,
        parameters.adver_interval_ns,
        parameters.down_advertisements,
    )
    return lease_s * _SECOND + _LEASE_SLACK_NS


def settling_ns(parameters: Parameters) -> int:
    """Return how long after a sighting the router that explains it may take to be heard.

    Long enough for lost advertisements where that is short, and never less than one and a skew.
    """
    interval_ns = parameters.adver_interval_ns
    down_ns = min(parameters.down_ns(interval_ns), _LONGEST_SETTLING_NS)
    return max(down_ns, interval_ns + parameters.skew_ns(interval_ns))


@dataclass(slots=True)
class Round:
    """A few probes, evenly spaced, and the last answer to them."""

    begun_ns: int
    spacing_ns: int
    sent: int = 0
    answer: Sighting | None = None
    answered_ns: int = 0
    """When the first answer came."""
    last_ns: int = 0
    """When the last one came."""

    def due_ns(self) -> int | None:
        """Return when the next probe is due; None once all were sent."""
        return self.begun_ns + self.sent * self.spacing_ns if self.sent < PROBES else None

    def answered(self, sighting: Sighting, now_ns: int) -> None:
        """Take in an answer."""
        if self.answer is None:
            self.answered_ns = now_ns
        self.answer, self.last_ns = sighting, now_ns

    def take_due(self, now_ns: int) -> bool:
        """Return whether to send a probe now; one that is late does not make the next early."""
        due_ns = self.due_ns()
        if due_ns is None or now_ns < due_ns:
            return False
        self.sent += 1
        return True
