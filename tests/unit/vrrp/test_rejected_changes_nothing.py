"""A rejected datagram changes nothing: RFC 9568 §7.1, and the opposite of keepalived's defect D1.

Two nodes live through the same events; one of them receives, in between, whatever an attacker or a
broken neighbour may send. Both must do the same actions at the same times, end in the same state
with the same timer, and have the same memory of who signed what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.vrrp.routers import MS, SECOND
from tests.unit.vrrp.settings import (
    IFINDEX,
    SETTINGS,
    STRANGER,
    STRANGER6,
    VRID,
    WALL_NS,
    WALL_S,
    Setting,
)
from tests.unit.vrrp.wire import compose, sealed, stamp, trailer

from vrrp.constants import Family
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    Event,
    FaultChanged,
    OthersAdvertise,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)
from vrrp.states import Parameters, RouterState
from vrrp.validation import Accepted, Datagram, Elections
from vrrp.virtual_router import Actions, VirtualRouter

Snapshot = tuple[RouterState, bool, int | None, Parameters, dict[bytes, int]]


class Node:
    """The receive path and the state machine of one node, as the engine joins them."""

    def __init__(self, setting: Setting) -> None:
        election = setting.fresh()
        self.marks = election.marks
        self.elections = Elections([election])
        mine = Parameters(
            election.version, 150, election.interval_cs * 10 * MS, 3, True, 0, election.source
        )
        self.router = VirtualRouter(mine)

    def receive(self, datagram: Datagram, now_ns: int) -> Actions | None:
        """Return the actions of an accepted datagram, None for a rejected one."""
        result = self.elections.validate(datagram, WALL_NS + now_ns)
        if not isinstance(result, Accepted):
            return None
        heard = result.advertisement
        event = AdvertisementReceived(result.source, heard.priority, heard.interval_cs)
        return self.router.handle(event, now_ns)

    def snapshot(self) -> Snapshot:
        router = self.router
        marks = dict(self.marks.marks)
        deadline_ns = router.next_deadline_ns()
        return router.detail, router.faulty, deadline_ns, router.parameters, marks


@dataclass(frozen=True)
class Step:
    """What happens next, to both nodes, after some time."""

    passed_ns: int
    event: Event | None = None
    priority: int | None = None
    """Of a right advertisement of the peer, where no event is given."""
    late_ns: int | None = None
    """How long after the deadline the timer fires, where neither is given."""


def right(setting: Setting, priority: int, sequence: int) -> Datagram:
    """Return an advertisement that the setting accepts."""
    source, destination = setting.datagram.source, setting.datagram.destination
    whole = setting.datagram.message
    signed = "signed" in setting.name
    message = whole[:-28] if signed else whole
    message = message[:2] + bytes((priority,)) + message[3:]
    end = trailer(message, source, sequence) if signed else b""
    return setting.datagram._replace(message=sealed(message, source, destination, end))


_PASSED = st.sampled_from([0, 1, 5 * MS, 100 * MS, SECOND])
_EVENTS = st.one_of(
    st.just(DeadlineReached()),
    st.just(OthersAdvertise()),
    st.builds(FaultChanged, st.booleans(), st.booleans()),
    st.just(TakeOver()),
    st.integers(1, 254).map(PriorityChanged),
    st.builds(
        ConfigurationChanged,
        st.just(SECOND),
        st.integers(1, 5),
        st.booleans(),
        st.sampled_from([0, SECOND]),
        st.just(SETTINGS["v3"].election.source),
    ),
)
_STEPS = st.lists(
    st.one_of(
        st.builds(Step, _PASSED, event=_EVENTS),
        st.builds(Step, _PASSED, priority=st.sampled_from([0, 100, 150, 151, 254, 255])),
        st.builds(Step, st.just(0), late_ns=st.sampled_from([0, 1, SECOND, 5 * SECOND])),
    ),
    min_size=1,
    max_size=12,
)


def _flip(bit: int) -> Callable[[Datagram], Datagram]:
    def flipped(datagram: Datagram) -> Datagram:
        damaged = bytearray(datagram.message)
        damaged[bit // 8 % len(damaged)] ^= 1 << bit % 8
        return datagram._replace(message=bytes(damaged))

    return flipped


def _stranger(datagram: Datagram) -> Datagram:
    source = STRANGER if datagram.family is Family.IPV4 else STRANGER6
    message = sealed(compose(priority=255), source, datagram.destination)
    return datagram._replace(source=source, message=message)


def _forged(datagram: Datagram) -> Datagram:
    message = datagram.message[:-28] or datagram.message
    end = trailer(message, datagram.source, stamp(WALL_S + 20), key=bytes(32))
    return datagram._replace(message=sealed(message, datagram.source, datagram.destination, end))


DAMAGE = st.one_of(
    st.integers(0, 8 * 60).map(_flip),
    st.integers(0, 60).map(lambda n: lambda d: d._replace(message=d.message[:n])),
    st.binary(min_size=1, max_size=40).map(lambda b: lambda d: d._replace(message=d.message + b)),
    st.binary(max_size=80).map(lambda b: lambda d: d._replace(message=b)),
    st.integers(0, 254).map(lambda n: lambda d: d._replace(ttl=n)),
    st.just(lambda d: d._replace(ifindex=IFINDEX + 1)),
    st.just(lambda d: d._replace(destination=d.family.group)),
    st.just(lambda d: d._replace(message=bytes((d.message[0], VRID + 1)) + d.message[2:])),
    st.just(_stranger),
    st.just(_forged),
    st.just(lambda d: d),  # the last right one again: a replay where signed
)


def apply(node: Node, step: Step, setting: Setting, now_ns: int) -> Actions | None:
    """Do a step to one node."""
    if step.priority is not None:
        sequence = stamp(WALL_S) + (now_ns * 65_536 // SECOND << 16)
        return node.receive(right(setting, step.priority, sequence), now_ns)
    return node.router.handle(step.event or DeadlineReached(), now_ns)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(SETTINGS)),
    st.sampled_from([Startup(), Resume(), FaultChanged(True), Shutdown()]),
    _STEPS,
    st.data(),
)
def test_rejected_datagram_any_state_changes_nothing(
    name: str, beginning: Event, steps: list[Step], data: st.DataObject
) -> None:
    setting = SETTINGS[name]
    quiet, noisy, now_ns = Node(setting), Node(setting), 0
    last = right(setting, 100, stamp(WALL_S))
    assert quiet.router.handle(beginning, now_ns) == noisy.router.handle(beginning, now_ns)
    for step in steps:
        for damage in data.draw(st.lists(DAMAGE, max_size=3)):
            junk = damage(last)
            before = noisy.snapshot()
            actions = noisy.receive(junk, now_ns)
            if actions is None:
                assert noisy.snapshot() == before
            else:  # right after all, such as an unsigned one heard twice: both hear it
                assert quiet.receive(junk, now_ns) == actions
        deadline_ns = quiet.router.next_deadline_ns()
        if step.late_ns is not None and deadline_ns is not None:
            now_ns = max(now_ns, deadline_ns + step.late_ns)
        now_ns += step.passed_ns
        assert apply(quiet, step, setting, now_ns) == apply(noisy, step, setting, now_ns)
        assert quiet.snapshot() == noisy.snapshot()
        if step.priority is not None:
            last = right(setting, step.priority, stamp(WALL_S) + (now_ns * 65_536 // SECOND << 16))


def test_garbage_every_0_4_s_does_not_delay_the_active_router() -> None:
    """keepalived's D1 as it was provoked: the Active Router then advertised every 3.6 s only."""
    setting = SETTINGS["v3"]
    node, now_ns = Node(setting), 0
    node.router.handle(Resume(), now_ns)
    sent = []
    for tick in range(1, 121):
        now_ns = tick * 100 * MS
        if tick % 4 == 0:
            for damage in (_flip(70), _stranger, _flip(5)):
                assert node.receive(damage(setting.datagram), now_ns) is None
        deadline_ns = node.router.next_deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            assert node.router.handle(DeadlineReached(), now_ns)
            sent.append(now_ns)
    assert sent == [second * SECOND for second in range(1, 13)]
