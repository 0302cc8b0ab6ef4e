"""What a planted fault is: a line that enforces a rule, gone, and the test that notices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

RULES = {
    1: "Membership first; what is rejected changes a counter and nothing else",
    2: "An empty peer list means alone, never multicast",
    3: "Advertisement, then addresses, then announcements: queued and paced",
    4: "An address is a lease that nothing on the node adopts",
    5: "Who wakes late removes its addresses first and becomes Backup",
    6: "Resume, else last will",
    7: "Hand-over is make-before-break",
    8: "An address that is taken away comes back",
    9: "Announcements after every change, and slowly for ever",
    10: "Two Active routers: the loser yields, the winner announces, both count",
    11: "A stranger with the address is told, and never fought",
    12: "Reconfiguration never restarts what did not change",
    13: "One election carries all addresses of a VirtualIP",
    14: "Clock steps do nothing",
    15: "Elections are authenticated by default",
    16: "Cost is bounded by the candidates",
    17: "Priorities 1 to 254 only",
    18: "Configuration that disappears wholesale does not stop what runs",
    19: "An election cannot be split by its configuration",
    20: "The loop waits for nobody, and not for the kernel's rtnl lock",
    21: "One bad thing costs itself: an object, a node, a file, a program, a moment",
    22: "Every link that matters is watched, and no other costs anything",
}
"""The rules of architecture §4 in a few words."""


@dataclass(frozen=True, slots=True)
class Fault:
    """With ``old``, which occurs once in ``file``, replaced by ``new``, ``test`` has to fail.

    ``removed`` says which behaviour is gone then; ``test`` is a pytest node id.
    """

    rule: int
    removed: str
    file: str
    old: str
    new: str
    test: str

    @property
    def path(self) -> str:
        """The file of the test."""
        return self.test.partition("::")[0]

    @property
    def function(self) -> str:
        """The node id without parameters."""
        return self.test.partition("[")[0]
