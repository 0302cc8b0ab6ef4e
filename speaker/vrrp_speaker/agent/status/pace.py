"""When the status is written: soon after a change, a heartbeat without one, no storms (pure).

A write costs the API server a write to etcd and the operator a message. Nodes are many, so none of
them writes in step with another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vrrp_api.node_status import CheckStatus, NodeConfigStatus

HEARTBEAT_S = 10.0
"""Of a node that takes part in elections: the operator takes it for dead after three."""
IDLE_HEARTBEAT_S = 30.0
"""Of any other node: it is to be known within five minutes whether it could take part."""
MESSAGES_S = 60.0
"""How often what checks say is written where their verdicts stay."""
BURST, REFILL_S = 10, 1.0
"""So many changes are written at once, then one a second: what is written is always the newest."""
_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 5.0
_CHANGED_BACKOFF_S = 0.5
"""After a failure, something new is worth another try; but not more often than this."""
UNKNOWN_S = 20.0
"""So long after a boot nothing is said while no configuration is loaded: it is on the disk, or
comes. Whoever says that it runs no election is dropped by the others, and may run one yet."""


class WritePace:
    """Decides from what was written and when; times are seconds of one monotonic clock."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """Start with nothing written; ``chance`` returns numbers from 0 to 1."""
        self._chance = chance
        self._written: NodeConfigStatus | None = None
        self._told_checks: tuple[CheckStatus, ...] = ()
        self._written_at_s = 0.0
        self._heartbeat_due_s = 0.0
        self._tokens, self._tokens_at_s = float(BURST), 0.0
        self._backoff_s = _MIN_BACKOFF_S
        self._begun_s: float | None = None
        self._failed: tuple[NodeConfigStatus, float, float] | None = None
        """What could not be written, when, and until when to wait."""
        self._written_mark = self._there_mark = ""
        """By which one tells the status that was written last, and the one that is there."""

    def reported(self, mark: str) -> None:
        """Note by which one tells the status that the API server has."""
        self._there_mark = mark

    @property
    def is_there(self) -> bool:
        """Whether the API server has the status that was written last, as far as is known."""
        return self._there_mark == self._written_mark

    def is_known(self, status: NodeConfigStatus) -> bool:
        """Return whether a status says what the node runs: a configuration is, or was, loaded."""
        return self._written is not None or status.observed_generation > 0

    def wait_s(self, status: NodeConfigStatus, now_s: float) -> float:
        """Return in how long to write if nothing else changes; 0 for now."""
        if self._begun_s is None:
            self._begun_s = now_s
        if not self.is_known(status) and now_s < self._begun_s + UNKNOWN_S:
            return self._begun_s + UNKNOWN_S - now_s
        content = _content(status)
        if self._failed is not None:
            failed, at_s, until_s = self._failed
            if content != failed:
                until_s = min(until_s, at_s + _CHANGED_BACKOFF_S)
            return max(0.0, until_s - now_s)
        if content != self._written:
            return max(0.0, (1 - self._tokens_now(now_s)) * REFILL_S)
        return max(0.0, self._heartbeat_due_s - now_s)

    def wrote(self, status: NodeConfigStatus, mark: str, now_s: float) -> None:
        """Note a write that succeeded, and by which one tells what the API server has then."""
        if _content(status) != self._written:
            self._tokens, self._tokens_at_s = self._tokens_now(now_s) - 1, now_s
        self._written = _content(status)
        self._told_checks, self._written_at_s = status.checks, now_s
        self._written_mark = mark
        self.beat(status, now_s)

    def tells_nothing(self, status: NodeConfigStatus, now_s: float) -> bool:
        """Return whether a write would say no more than that the node is there.

        What checks say may be something else each time they run: it is written once a minute.
        """
        if _content(status) != self._written:
            return False
        told = status.checks == self._told_checks
        return told or now_s - self._written_at_s < MESSAGES_S

    def beat(self, status: NodeConfigStatus, now_s: float) -> None:
        """Note a heartbeat that was told otherwise."""
        self._failed, self._backoff_s = None, _MIN_BACKOFF_S
        every_s = HEARTBEAT_S if status.virtual_routers else IDLE_HEARTBEAT_S
        self._heartbeat_due_s = now_s + every_s * (0.8 + 0.4 * self._chance())

    def failed(self, status: NodeConfigStatus, now_s: float) -> bool:
        """Note a write that failed; return whether that lasts."""
        wait_s = self._backoff_s * (0.5 + self._chance())
        self._failed = _content(status), now_s, now_s + wait_s
        self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)
        return self._backoff_s == _MAX_BACKOFF_S

    def _tokens_now(self, now_s: float) -> float:
        return min(float(BURST), self._tokens + (now_s - self._tokens_at_s) / REFILL_S)


def _content(status: NodeConfigStatus) -> NodeConfigStatus:
    """Return what is worth a write of its own.

    Not the moment it is written, and not what a check says while its verdict stays: that may be
    something else each time it runs, and goes with the next heartbeat.
    """
    verdicts = tuple(replace(check, message="") for check in status.checks)
    return replace(status, heartbeat_time="", checks=verdicts)
