"""What a step waits for, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vrrp_api.conditions import Reason
from vrrp_operator.membership.facts import Seen

_WAY_OUT = (
    "if it is off, delete its Node or taint it node.kubernetes.io/out-of-service;"
    " if it runs, let it reach the API server"
)


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that is not done yet, and the nodes it waits for."""

    reason: Reason
    message: str
    nodes: tuple[str, ...] = ()

    @staticmethod
    def to_join(node: str, waited_for: Iterable[Seen]) -> Wait:
        """Return what keeps a newcomer out: members that do not know it yet."""
        return _wait(f"{node} joins once every member knows it", waited_for)

    @staticmethod
    def to_change(what: str, waited_for: Iterable[Seen]) -> Wait:
        """Return what keeps a change of the election's parameters from going on."""
        return _wait(f"{what} once every member can take part in it", waited_for)

    @staticmethod
    def to_tell(node: Seen) -> Wait:
        """Return that a node was asked to leave and cannot be told."""
        return _wait(
            f"{node.node} is to leave and cannot be told; the others have it yield by their"
            " priority and list it until it says that it left",
            [node],
        )

    @staticmethod
    def to_yield(leaver: Seen, successor: Seen) -> Wait:
        """Return that one who is to leave has the addresses still."""
        text = f"{leaver.node} is to leave once {successor.node} has the addresses"
        return Wait(Reason.WAITING_FOR_SUCCESSOR, text)

    @staticmethod
    def for_successor(leavers: Iterable[str], others: Iterable[Seen]) -> Wait:
        """Return that nobody can have the addresses in place of those who leave."""
        told = [f"{o.node} {o.state or 'without a report'}" for o in others]
        said = ", ".join(told) or "nobody else takes part yet"
        text = f"{', '.join(leavers)} to leave once another node can hold the addresses: {said}"
        return Wait(Reason.WAITING_FOR_SUCCESSOR, text)

    @staticmethod
    def to_restart(what: str, keeper: str, leaving: Iterable[str]) -> Wait:
        """Return that members cannot change while they hear one another."""
        others = ", ".join(leaving)
        return Wait(
            Reason.ELECTION_RESTARTS,
            f"{what}: no two members could hear each other on the way, so {others} leave,"
            f" {keeper} changes alone, and they join again; nobody stands by until then",
        )

    @staticmethod
    def to_begin_anew(what: str, leaving: Iterable[str], coming: Iterable[str]) -> Wait:
        """Return that none that runs it is to stay, and none that comes can hear those who do."""
        return Wait(
            Reason.ELECTION_RESTARTS,
            f"{what}: {', '.join(coming)} could not hear {', '.join(leaving)},"
            " which leave first; nobody has the addresses until then",
        )


def _wait(text: str, waited_for: Iterable[Seen]) -> Wait:
    found = list(waited_for)
    mute = [seen.node for seen in found if not seen.fresh]
    names = ", ".join(mute or (seen.node for seen in found))
    if mute:
        message = f"{text}; no report from {names}: {_WAY_OUT}"
        return Wait(Reason.NODE_UNREACHABLE, message, tuple(mute))
    return Wait(Reason.PENDING, f"{text}; waiting for {names}", tuple(s.node for s in found))
