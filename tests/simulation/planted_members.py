"""Faults in how an election knows its members; a member that is dropped at once was the old way."""

from __future__ import annotations

from tests.simulation.planted_fault import in_authentication, in_members, in_validation

MEMBER_FAULTS = (
    in_validation(
        "election = self._open.get((datagram.family, datagram.message[:2]))",
        "election = None",
        "a member that is not on the list does not exist",
    ),
    in_validation(
        "                learned.note(result.source, now_ns)",
        "                pass",
        "a member is heard, and not sent to",
    ),
    in_members(
        "                self.known_ns[source] = now_ns\n\n",
        "                pass\n\n",
        "whom the list drops is dropped at once",
    ),
    in_members(
        "if now_ns - at_ns >= LEARNED_FOR_NS]",
        "if now_ns < 0]",
        "members are remembered for ever",
    ),
    in_authentication(
        "shared = self.stage is None or self.stage is Stage.ACCEPT",
        "shared = self.stage is not Stage.REQUIRE",
        "the shared key signs until no other is believed",
    ),
    in_authentication(
        "shared = self.stage is None or self.stage is Stage.ACCEPT",
        "shared = self.stage is None",
        "the election's key signs before all have it",
    ),
    in_authentication(
        "    if listed and stage is not None and stage is not Stage.REQUIRE:",
        "    if listed and stage is Stage.ACCEPT:",
        "the shared key is refused as soon as it does not sign",
    ),
)
