"""The worker beside the loop: what is done first, what is not done any more, what comes back."""

from __future__ import annotations

import errno
import select
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.engine.programs import address, router_program

from vrrp_speaker.engine.addresses.worker import AddressWorker, Kind
from vrrp_speaker.engine.programs.program import AddressProgram, Place
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router

ONE, TWO = address("192.0.2.50"), address("192.0.2.51")
NOW, MS = 10**12, 10**6


class Kernel:
    """Remembers what it was asked for, and takes its time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[bytes] = []
        self.batches: list[int] = []
        self.errors: dict[bytes, int] = {}
        self.takes_ns = 0
        self.dies = False

    def request_all(self, messages: Sequence[bytes]) -> list[int]:
        if self.dies:
            raise ValueError("a fault of ours")
        self.asked += messages
        self.batches.append(len(messages))
        self.clock.now_ns += self.takes_ns
        return [self.errors.get(message, 0) for message in messages]

    def dump(self) -> str:
        self.asked.append(b"dump")
        return "found"


class Clock:
    """The worker's clock."""

    def __init__(self) -> None:
        self.now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns


class Rig:
    """A worker without its thread, over a kernel that is stood in for."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.kernel = Kernel(self.clock)
        kernel: Any = self.kernel
        self.worker = AddressWorker(kernel, kernel, self.clock)
        self.router: RunningRouter = new_router(
            router_program(addresses=(ONE, TWO)), input_faults=False, priority=200
        )

    def bind(self, *addresses: AddressProgram) -> None:
        self.worker.bind(self.router, addresses, self.clock.now_ns)

    def renew(self, *addresses: AddressProgram) -> None:
        self.worker.renew(self.router, addresses, self.clock.now_ns)

    def unbind(self, *addresses: AddressProgram) -> None:
        self.worker.unbind(self.router, [(place(a), a.delete) for a in addresses])

    def work(self) -> list[bytes]:
        """Let the thread do all that waits; return what the kernel was asked for."""
        self.kernel.asked.clear()
        while self.worker.turn():
            pass
        return self.kernel.asked


def place(address: AddressProgram) -> Place:
    return address.ifindex, address.address


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_what_takes_an_address_off_is_done_before_what_binds_and_that_before_leases(
    rig: Rig,
) -> None:
    six = address("2001:db8::50")
    rig.renew(six)
    rig.worker.call(lambda requests: requests.dump(), lambda _: None)
    rig.bind(TWO)
    rig.unbind(ONE)
    assert rig.work() == [ONE.delete, TWO.add, b"dump", six.add]


@pytest.mark.parametrize("before", ["bind", "renew"])
def test_nothing_asked_for_before_is_done_after_an_address_was_taken_off(
    rig: Rig, before: str
) -> None:
    getattr(rig, before)(ONE)
    rig.unbind(ONE)
    assert rig.work() == [ONE.delete]
    assert not rig.worker.binding(place(ONE))


def test_address_is_bound_again_after_it_was_taken_off(rig: Rig) -> None:
    rig.bind(ONE)
    rig.unbind(ONE)
    rig.bind(ONE)
    assert rig.worker.binding(place(ONE))
    assert rig.work() == [ONE.delete, ONE.add]


def test_lease_is_renewed_once_however_often_it_was_asked_for_meanwhile(rig: Rig) -> None:
    for _ in range(5):
        rig.renew(ONE, TWO)
    assert rig.work() == [ONE.add, TWO.add]
    rig.renew(ONE)
    assert rig.work() == [ONE.add]


def test_address_that_is_bound_anyway_is_not_renewed(rig: Rig) -> None:
    rig.renew(TWO)
    rig.bind(ONE, TWO)
    rig.renew(ONE)
    assert rig.work() == [ONE.add, TWO.add]


@pytest.mark.parametrize("kind", ["bind", "renew"])
def test_what_a_loop_asked_for_that_stood_still_since_is_not_done(rig: Rig, kind: str) -> None:
    """An engine that was stopped goes on with this thread as soon as with the other."""
    getattr(rig, kind)(ONE)
    rig.clock.now_ns += rig.router.program.adver_interval_ns + 1
    assert rig.work() == []
    [stale] = rig.worker.take()
    assert (stale.kind, stale.stale, stale.place) == (Kind[kind.upper()], True, place(ONE))


def test_what_is_asked_for_again_while_the_kernel_is_busy_does_not_get_old(rig: Rig) -> None:
    rig.renew(ONE)
    rig.clock.now_ns += rig.router.program.adver_interval_ns
    rig.renew(ONE)
    rig.clock.now_ns += rig.router.program.adver_interval_ns
    assert rig.work() == [ONE.add]


def test_address_is_taken_off_however_long_that_had_to_wait(rig: Rig) -> None:
    rig.unbind(ONE)
    rig.clock.now_ns += 3600 * 10**9
    assert rig.worker.unbinding
    assert rig.work() == [ONE.delete]
    assert [request.kind for request in rig.worker.take()] == [Kind.UNBIND]
    assert not rig.worker.unbinding


def test_kernel_that_is_slow_is_given_one_request_at_a_time(rig: Rig) -> None:
    many = [address(f"192.0.2.{number}") for number in range(100, 140)]
    rig.bind(*many)
    rig.work()
    assert rig.kernel.batches[0] > 1
    rig.kernel.takes_ns = 300 * MS
    rig.kernel.batches.clear()
    rig.renew(*many)
    assert rig.worker.turn()
    rig.renew(*many)
    assert rig.worker.turn()
    rig.unbind(many[-1])
    rig.kernel.asked.clear()
    assert rig.worker.turn()
    assert rig.kernel.asked == [many[-1].delete]
    assert rig.kernel.batches[1:] == [1, 1]


def test_refusal_comes_back_and_a_lease_that_was_renewed_does_not(rig: Rig) -> None:
    rig.kernel.errors[TWO.add] = errno.EACCES
    rig.renew(ONE, TWO)
    rig.work()
    assert [(r.place, r.error) for r in rig.worker.take()] == [(place(TWO), errno.EACCES)]


def test_loop_is_told_of_results_by_a_descriptor(rig: Rig) -> None:
    poll = select.poll()
    poll.register(rig.worker.fileno(), select.POLLIN)
    found: list[str] = []
    rig.worker.call(lambda requests: requests.dump(), found.append)
    assert not poll.poll(0)
    rig.work()
    assert poll.poll(0)
    rig.worker.take()
    assert found == ["found"]
    assert not poll.poll(0)


def test_call_that_fails_is_told_to_the_loop(rig: Rig) -> None:
    def fails(_requests: object) -> None:
        raise OSError(errno.EIO, "no dump")

    rig.worker.call(fails, lambda _: None)
    rig.work()
    with pytest.raises(OSError, match="no dump"):
        rig.worker.take()


# The thread ------------------------------------------------------------------------------


def test_thread_works_and_its_death_ends_the_engine(rig: Rig) -> None:
    rig.worker.start()
    found: list[str] = []
    rig.worker.call(lambda requests: requests.dump(), found.append)
    rig.worker.wait(30)
    rig.worker.take()
    assert found == ["found"]
    rig.kernel.dies = True
    rig.unbind(ONE)
    rig.worker.wait(30)
    with pytest.raises(ValueError, match="a fault of ours"):
        rig.worker.take()
