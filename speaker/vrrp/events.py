"""What can happen to a Virtual Router; each is a value, none is invalid by construction."""

from __future__ import annotations

from dataclasses import dataclass

from vrrp.constants import TransitionReason


@dataclass(frozen=True, slots=True)
class Startup:
    """The router begins: it waits one Active_Down_Interval as Backup (RFC 9568 §6.4.1).

    ``first``: nobody was ever Active, and this node was named to be. It listens for one interval
    and Skew_Time; whoever is Active after all would be heard by then.
    """

    first: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """A replaced engine goes on as Active: its predecessor advertised within one interval."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The router ends; an Active Router releases with priority 0 (RFC 9568 §6.4.3).

    ``hand_over``: the addresses stay until a successor has them, for a bounded time.
    """

    reason: TransitionReason = TransitionReason.SHUTDOWN
    hand_over: bool = True


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The clock passed ``next_deadline_ns()``."""


@dataclass(frozen=True, slots=True)
class OthersAdvertise:
    """Other elections' advertisements leave just now: one that is due soon may go along.

    So those of one node come to leave together, and wake it and its peers less often.
    """


@dataclass(frozen=True, slots=True)
class AdvertisementReceived:
    """A valid advertisement of a configured peer; ``source`` is its packed address."""

    source: bytes
    priority: int
    max_advertise_interval_cs: int


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The effective priority moved, 1 to 254.

    ``unhealthy``: health checks lowered it, and there is somebody who could do better.
    """

    priority: int
    unhealthy: bool = False


@dataclass(frozen=True, slots=True)
class ConfigurationChanged:
    """The configuration moved under the running router (architecture §4.12).

    ``adver_interval_ns`` is a multiple of ten milliseconds up to 40.95 s, in version 2 of a second.
    The version does not change under a running router: its timers mean something else.
    """

    adver_interval_ns: int
    down_advertisements: int
    preempt_mode: bool
    preempt_delay_ns: int
    source: bytes


@dataclass(frozen=True, slots=True)
class FaultChanged:
    """The node became unable to hold the addresses, or able again.

    ``hand_over``: they work still, or may, and stay until a successor has them. ``keeps``: however
    long that takes, because all the others may be no better.
    """

    faulty: bool
    hand_over: bool = True
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class TakeOver:
    """This node was named the successor: it becomes Active without waiting, if it is Backup."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Somebody on the link has the addresses: a Backup waits until then to hear who that is."""

    until_ns: int


Event = (
    Startup
    | Resume
    | Shutdown
    | DeadlineReached
    | OthersAdvertise
    | AdvertisementReceived
    | PriorityChanged
    | ConfigurationChanged
    | FaultChanged
    | TakeOver
    | Doubt
)
