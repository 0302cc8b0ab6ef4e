"""One Virtual Router against a naive model of the state tables, over any sequence of events.

The model is written from RFC 9568 §6.4 and RFC 3768 §6.4 with fractions and plain variables, and
from the house rules in ``virtual_router``'s theory of operation: late wake, Fault, handing over,
limits of answers, preemption delay, a running timer that moves with what it is made of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.vrrp.routers import MS, SECOND, START

from vrrp.actions import (
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)
from vrrp.states import Parameters
from vrrp.virtual_router import Actions, VirtualRouter

Names = list[tuple[Any, ...]]
NEVER = None


def names(actions: Actions) -> Names:
    """Return actions as plain words."""
    found: Names = []
    for action in actions:
        match action:
            case SendAdvertisement(priority=priority):
                found.append(("advertise", priority))
            case BindAddresses():
                found.append(("bind",))
            case UnbindAddresses():
                found.append(("unbind",))
            case AnnounceAddresses():
                found.append(("announce",))
            case StateChanged(before=before, after=after, reason=reason):
                found.append((str(before), str(after), str(reason)))
    return found


@dataclass
class Model:
    """Plain variables, as the RFC names them; times in nanoseconds."""

    version: int
    priority: int
    interval: int
    missed: int
    preempt: bool
    delay: int
    address: bytes
    state: str = "Initialize"
    fault: bool = False
    first: bool = False
    learned: int = 0
    timer: int | None = NEVER
    delay_end: int | None = NEVER
    held: int | None = NEVER
    loser_answer: int | None = NEVER
    release_answer: int | None = NEVER
    repair: int | None = NEVER
    repair_owed: bool = False
    offers: bool = False
    rival: tuple[bytes, int] | None = None

    def part(self, of_256: int, interval: int) -> int:
        scale = SECOND if self.version == 2 else interval
        return math.floor(Fraction(of_256, 256) * scale)

    def skew(self, interval: int) -> int:
        return self.part(256 - self.priority, interval)

    def due(self) -> int | None:
        return min((t for t in (self.timer, self.held) if t is not NEVER), default=NEVER)

    def down(self, interval: int) -> int:
        return self.missed * interval + self.skew(interval)

    def to(self, state: str, reason: str) -> Names:
        before, self.state = self.state, state
        self.offers = False
        self.first = self.first and state == "Fault"
        return [(before, state, reason)] if before != state else []

    def to_backup(self, reason: str, interval: int, timer: int) -> Names:
        self.learned, self.timer, self.delay_end = interval, timer, NEVER
        return self.to("Backup", reason)

    def to_active(self, now: int) -> None:
        self.state, self.timer, self.held = "Active", now + self.interval, NEVER
        self.offers, self.rival, self.repair = False, None, NEVER
        self.loser_answer = self.release_answer = NEVER
        self.repair_owed = False

    def let_go(self) -> Names:
        held, self.held = self.held, NEVER
        return [("unbind",)] if held is not NEVER else []

    def win(self, now: int, reason: str) -> Names:
        self.to_active(now)
        taken = ("Backup", "Active", reason)
        return [("advertise", self.priority), ("bind",), ("announce",), taken]

    def startup(self, first: bool, now: int) -> Names:
        if self.fault:
            done = self.to("Fault", "Fault")
            self.first = first
            return done
        return self.begin("Startup", first, now)

    def begin(self, reason: str, first: bool, now: int) -> Names:
        missed = 1 if first else self.missed
        wait = missed * self.interval + self.skew(self.interval)
        return self.to_backup(reason, self.interval, now + wait)

    def resume(self, now: int) -> Names:
        if self.fault:
            self.held = NEVER
            return [("advertise", 0), ("unbind",), *self.to("Fault", "Fault")]
        self.to_active(now)
        return [("advertise", self.priority), ("bind",), ("announce",)]

    def leave(self, state: str, reason: str, hand_over: bool, now: int) -> Names:
        done: Names = []
        if self.state == "Active":
            done.append(("advertise", 0))
            self.held = now + self.interval + self.part(255, self.interval)
        if not hand_over:
            done += self.let_go()
        self.timer = NEVER
        return done + self.to(state, reason)

    def take_over(self, now: int) -> Names:
        return self.win(now, "Handover") if self.state == "Backup" else []

    def set_fault(self, fault: bool, hand_over: bool, keeps: bool, now: int) -> Names:
        self.fault = fault
        if self.state == "Active" and fault and hand_over and keeps:
            if self.offers:
                return []
            self.to_active(now)
            self.offers = True
            return [("advertise", 0)]
        if self.offers and not fault:
            self.to_active(now)
            return [("advertise", self.priority)]
        if fault:
            state = self.state if self.state == "Initialize" else "Fault"
            return self.leave(state, "Fault", hand_over, now)
        if self.state == "Fault" and not fault:
            return self.begin("FaultCleared", self.first, now)
        return []

    def deadline(self, now: int) -> Names:
        if self.timer is NEVER or now < self.timer:
            return self.let_go() if self.held is not NEVER and now >= self.held else []
        late = now - self.timer
        if self.state == "Backup":
            if late > self.learned:
                listened = self.learned + self.skew(self.learned)
                return [*self.let_go(), *self.to_backup("", self.learned, now + listened)]
            return self.win(now, "ActiveDownTimerExpired")
        room = (self.missed - 1) * self.interval if self.missed > 1 else self.skew(self.interval)
        if late >= room and self.offers:
            self.timer = NEVER
            return [("unbind",), *self.to("Fault", "LateWake")]
        if late >= room:
            listened = self.interval + self.skew(self.interval)
            return [("unbind",), *self.to_backup("LateWake", self.interval, now + listened)]
        self.timer = max(self.timer + self.interval, now + self.interval // 2)
        owed, self.repair_owed = self.repair_owed, False
        if owed:
            self.repair = now
        said: Names = [("advertise", 0 if self.offers else self.priority)]
        return [*said, ("announce",)] if owed else said

    def hear(self, priority: int, address: bytes, interval: int, now: int) -> Names:
        if self.version == 2:
            interval = self.interval
        if self.held is not NEVER and priority != 0:
            self.held = min(self.held, now + 140 * MS)
        self.first = False
        if self.state == "Backup":
            self.hear_as_backup(priority, interval, now)
        if self.state == "Active":
            return self.hear_as_active(priority, address, interval, now)
        return []

    def hear_as_backup(self, priority: int, interval: int, now: int) -> None:
        if priority == 0:
            sooner = now + self.skew(self.learned)
            self.timer = sooner if self.timer is NEVER else min(self.timer, sooner)
            return
        if priority < self.priority and self.preempt:
            if self.delay_end is NEVER:
                self.delay_end = now + self.delay
            if now >= self.delay_end:
                return
        else:
            self.delay_end = NEVER
        self.learned, self.timer = interval, now + self.down(interval)

    def hear_as_active(self, priority: int, address: bytes, interval: int, now: int) -> Names:
        if self.offers:
            return self.hear_as_offering(priority, address, now)
        if priority == 0:
            if self.release_answer is not NEVER:
                free = self.release_answer + self.part(2, self.interval) // 2
                if now < free:
                    self.timer = min(free, self.timer) if self.timer is not NEVER else NEVER
                    return []
            self.timer, self.release_answer = now + self.interval, now
            return [("advertise", self.priority), *self.repaired(now)]
        reason = ""
        if priority > self.priority:
            reason = "HigherPriorityAdvertisement"
        elif priority == self.priority and list(address) > list(self.address):
            reason = "EqualPriorityGreaterAddress"
        if reason:
            self.held = now + 140 * MS
            said = ("advertise", self.priority)
            return [said, *self.to_backup(reason, interval, now + self.down(interval))]
        if self.loser_answer is not NEVER and now - self.loser_answer < self.interval:
            self.repair_owed = True
            return []
        self.loser_answer = self.repair = now
        self.repair_owed = False
        return [("advertise", self.priority), ("announce",)][self.version == 2 :]

    def hear_as_offering(self, priority: int, address: bytes, now: int) -> Names:
        if priority == 0 and list(address) < list(self.address):
            return self.repaired(now)
        if priority == 0 and not self.offered_before(address, now):
            return []
        self.timer, self.held = NEVER, now + 140 * MS
        return [("advertise", 0), *self.to("Fault", "Fault")]

    def repaired(self, now: int) -> Names:
        if self.repair is not NEVER and now - self.repair < self.interval:
            self.repair_owed = True
            return []
        self.repair, self.repair_owed = now, False
        return [("announce",)]

    def offered_before(self, address: bytes, now: int) -> bool:
        """Whether this is the second release of one, about an interval after the first."""
        if self.rival is not None and self.rival[0] == address:
            apart = now - self.rival[1]
            if 2 * apart < self.interval:
                return False
            if apart <= 3 * self.interval:
                return True
        self.rival = (address, now)
        return False

    def change_priority(self, priority: int, unhealthy: bool, now: int) -> Names:
        before = self.down(self.learned)
        self.priority = priority
        self.shift(before, now)
        if self.state != "Active" or self.offers:
            return []
        if self.timer is not NEVER:
            self.timer = min(self.timer, now + self.interval)
        if not unhealthy or self.preempt:
            return []
        self.held = now + self.interval + self.part(255, self.interval)
        timer = now + self.skew(self.interval)
        return [("advertise", 0), *self.to_backup("HealthLowered", self.interval, timer)]

    def change(self, new: ConfigurationChanged, now: int) -> None:
        before = self.down(self.learned)
        if new.preempt_delay_ns != self.delay:
            self.delay_end = NEVER
        longer = new.adver_interval_ns > self.interval or self.version == 2
        if self.state == "Backup" and self.learned == self.interval and longer:
            self.learned = new.adver_interval_ns
        self.interval, self.missed = new.adver_interval_ns, new.down_advertisements
        self.preempt, self.delay = new.preempt_mode, new.preempt_delay_ns
        self.address = new.source
        self.shift(before, now)
        if self.state == "Active" and self.timer is not NEVER:
            self.timer = min(self.timer, now + self.interval)

    def shift(self, before: int, now: int) -> None:
        if self.state == "Backup" and self.timer is not NEVER:
            self.timer = max(now, self.timer + self.down(self.learned) - before)


ADDRESSES = st.sampled_from(
    [bytes((10, 0, 0, last)) for last in (1, 2, 3)] + [bytes((200, 0, 0, 1))]
)
PRIORITIES = st.sampled_from([1, 99, 100, 101, 254])
HEARD = st.sampled_from([0, 0, 1, 99, 100, 101, 254, 255])
INTERVALS = st.sampled_from([10 * MS, 200 * MS, SECOND, 40_950 * MS])
PASSED = st.sampled_from([0, 1, 39_062, 781_249, 781_250, 2 * MS, 10 * MS, 140 * MS, SECOND])
LATE = st.sampled_from([0, 0, 0, 1, MS, 100 * MS, 200 * MS, 200 * MS + 1, SECOND, 100 * SECOND])
MISSED = st.sampled_from([1, 2, 3, 10])
HAND_OVER = st.sampled_from([True, True, False])
DELAYS = st.sampled_from([0, 0, 140 * MS, 3 * SECOND])


class Machine(RuleBasedStateMachine):
    """Does the same to the router and the model, and compares what comes out."""

    @initialize(
        version=st.sampled_from([2, 3]),
        priority=PRIORITIES,
        interval=INTERVALS,
        missed=MISSED,
        preempt=st.booleans(),
        delay=DELAYS,
        source=ADDRESSES,
        faulty=st.booleans(),
        resumes=st.booleans(),
    )
    def made(self, version: int, faulty: bool, resumes: bool, source: bytes, **fields: Any) -> None:
        self.model = Model(version, address=source, fault=faulty, **fields)
        mine = Parameters(
            version=version,
            priority=fields["priority"],
            adver_interval_ns=fields["interval"],
            down_advertisements=fields["missed"],
            preempt_mode=fields["preempt"],
            preempt_delay_ns=fields["delay"],
            source=source,
        )
        self.router = VirtualRouter(mine, faulty=faulty)
        self.now = START
        self.bound = False
        if resumes:
            self.same(Resume(), self.model.resume(self.now))

    def same(self, event: Event, expected: Names) -> None:
        done = names(self.router.handle(event, self.now))
        assert done == expected
        self.bound = (self.bound or ("bind",) in done) and ("unbind",) not in done

    def stopped(self) -> bool:
        return self.model.state == "Initialize"

    def timed(self) -> bool:
        return self.model.due() is not NEVER

    @precondition(stopped)
    @rule(first=st.booleans())
    def startup(self, first: bool) -> None:
        self.same(Startup(first), self.model.startup(first, self.now))

    @precondition(stopped)
    @rule()
    def resume(self) -> None:
        self.same(Resume(), self.model.resume(self.now))

    @precondition(lambda self: not self.stopped() or self.timed() or self.now % 2)
    @rule(passed=PASSED, hand_over=HAND_OVER)
    def shutdown(self, passed: int, hand_over: bool) -> None:
        self.now += passed
        expected = self.model.leave("Initialize", "Shutdown", hand_over, self.now)
        self.same(Shutdown(hand_over=hand_over), expected)

    @rule(passed=PASSED)
    def take_over(self, passed: int) -> None:
        self.now += passed
        self.same(TakeOver(), self.model.take_over(self.now))

    @precondition(timed)
    @rule(late=LATE)
    def reach_deadline(self, late: int) -> None:
        due = self.model.due()
        assert due is not NEVER
        self.now = max(self.now, due + late)
        self.same(DeadlineReached(), self.model.deadline(self.now))

    @rule(passed=PASSED)
    def wake_early(self, passed: int) -> None:
        self.now += passed
        self.same(DeadlineReached(), self.model.deadline(self.now))

    @rule(passed=PASSED, priority=HEARD, source=ADDRESSES, interval=INTERVALS)
    def hear(self, passed: int, priority: int, source: bytes, interval: int) -> None:
        self.now += passed
        event = AdvertisementReceived(source, priority, interval // (10 * MS))
        self.same(event, self.model.hear(priority, source, interval, self.now))

    @rule(passed=PASSED, priority=PRIORITIES, unhealthy=st.booleans())
    def change_priority(self, passed: int, priority: int, unhealthy: bool) -> None:
        self.now += passed
        expected = self.model.change_priority(priority, unhealthy, self.now)
        self.same(PriorityChanged(priority, unhealthy), expected)

    @rule(
        passed=PASSED,
        new=st.builds(
            ConfigurationChanged, INTERVALS, MISSED, st.booleans(), DELAYS, source=ADDRESSES
        ),
    )
    def change_configuration(self, passed: int, new: ConfigurationChanged) -> None:
        self.now += passed
        self.model.change(new, self.now)
        self.same(new, [])

    @rule(passed=PASSED, faulty=st.booleans(), hand_over=HAND_OVER, keeps=st.booleans())
    def change_fault(self, passed: int, faulty: bool, hand_over: bool, keeps: bool) -> None:
        self.now += passed
        expected = self.model.set_fault(faulty, hand_over, keeps, self.now)
        self.same(FaultChanged(faulty, hand_over, keeps), expected)

    @invariant()
    def state_and_deadline_are_the_same(self) -> None:
        assert str(self.router.state) == self.model.state
        assert self.router.next_deadline_ns() == self.model.due()

    @invariant()
    def router_holds_what_was_bound_and_not_unbound_again(self) -> None:
        assert self.router.holding is self.bound
        assert self.router.holding is (self.model.state == "Active" or self.model.held is not NEVER)


TestVirtualRouterAgainstTheModel = Machine.TestCase
TestVirtualRouterAgainstTheModel.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of the strategies
)
