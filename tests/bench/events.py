"""What happens to the node that holds the address, and how it is mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.contenders import Contender, Stage

Act = Callable[[Stage, Contender], None]

_LEASE_S = 2.0
"""Long enough for addresses with a lifetime to go by themselves."""
_LIFETIMES_LOOKED_AT_S = 1.2
"""Once an address is added, the kernel looks at no lifetime on that host for a second (the least
interval of ``check_lifetime`` and ``addrconf_verify_rtnl``): one contender's return to the host
would make the other's lease longer."""


def _nothing(_stage: Stage, _contender: Contender) -> None:
    """Nothing to do."""


@dataclass(frozen=True)
class Event:
    """One kind of trouble.

    It is watched for at least ``least_s`` and ``least_intervals``, until all is quiet again; then
    ``undo`` is watched too, for an interval or more. ``mend`` is not watched.
    """

    key: str
    title: str
    harm: Act
    mend: Act = _nothing
    undo: Act | None = None
    shared: bool = False
    """Hits the host, so both implementations are watched at once."""
    families: tuple[int, ...] = (4,)
    proven: bool = False
    """The death must be the harmed process's first, not one of a crash loop."""
    least_intervals: float = 3.5
    """A takeover takes up to 3.3 of them."""
    least_s: float = 0.0
    steady_s: float = 0.3
    """For how long no address has come to the host or left it, of either contender, before."""

    def harm_least_s(self, interval_s: float) -> float:
        """Return for how long the harm is watched at least."""
        return max(self.least_s, self.least_intervals * interval_s + 0.4)

    def undo_least_s(self, interval_s: float) -> float:
        """Return for how long the undoing is watched at least."""
        return interval_s + 0.4


EVENTS = {
    event.key: event
    for event in (
        Event(
            "stop",
            "SIGTERM of the speaker, of keepalived",
            harm=lambda _, contender: contender.stop(),
            mend=lambda _, contender: contender.start(),
            families=(4, 6),
            least_intervals=1,
        ),
        Event(
            "kill",
            "kill -9 of every process",
            harm=lambda _, contender: contender.kill(),
            mend=lambda _, contender: contender.start(),
            least_s=_LEASE_S,
            steady_s=_LIFETIMES_LOOKED_AT_S,
            least_intervals=4.2,
        ),
        Event(
            "engine",
            "kill -9 of the engine, of keepalived's VRRP process",
            harm=lambda _, contender: contender.kill_engine(),
            mend=lambda _, contender: contender.renew(),
            proven=True,
        ),
        Event(
            "freeze",
            "SIGSTOP of every process, later SIGCONT",
            harm=lambda _, contender: contender.freeze(),
            undo=lambda _, contender: contender.thaw(),
            least_s=_LEASE_S,
            steady_s=_LIFETIMES_LOOKED_AT_S,
            least_intervals=4.2,
        ),
        Event(
            "link",
            "link cut",
            harm=lambda stage, _: stage.lab.lan.hosts[0].cut_link(),
            mend=lambda stage, _: stage.lab.lan.hosts[0].restore_link(),
            shared=True,
        ),
        Event(
            "power",
            "power off",
            harm=lambda stage, _: stage.power_off(),
            mend=lambda stage, _: stage.power_on(),
            shared=True,
        ),
    )
}
