"""The alarm that an engine winds, and the judgement of its silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from vrrp_speaker import alarm as alarm_module
from vrrp_speaker.alarm import Alarm
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.supervisor import silence as silence_module
from vrrp_speaker.supervisor.child import ready
from vrrp_speaker.supervisor.silence import Silence

MS = 1_000_000
START_NS = 10**12
LIMIT_MS = 400
"""At 200 ms between advertisements; the alarm goes off after 150."""


@pytest.fixture
def shared(tmp_path: Path) -> SharedState:
    made = SharedState.create(str(tmp_path / "state.shm"))
    made.set(shm.H_SILENCE_LIMIT, LIMIT_MS * MS)
    return made


@pytest.fixture
def alarm(shared: SharedState) -> Iterator[Alarm]:
    made = Alarm(shared)
    yield made
    for descriptor in made.descriptors:
        os.close(descriptor)


def goes_off(alarm: Alarm, within_s: float) -> list[int]:
    return [descriptor for descriptor, _ in ready(alarm.descriptors, within_s)]


# The alarm ---------------------------------------------------------------------------------


def test_alarm_goes_off_once_it_is_wound_no_more(shared: SharedState, alarm: Alarm) -> None:
    shared.set(shm.H_SILENCE_LIMIT, 40 * MS)
    alarm.wind(START_NS)
    assert goes_off(alarm, 10) == [alarm.descriptors[0]]
    alarm.hush()
    assert not goes_off(alarm, 0)
    assert not alarm.is_wound()


def test_alarm_that_is_wound_again_does_not_go_off(shared: SharedState, alarm: Alarm) -> None:
    shared.set(shm.H_SILENCE_LIMIT, 40 * MS)
    alarm.wind(START_NS)
    shared.set(shm.H_SILENCE_LIMIT, 3600 * 1000 * MS)
    alarm.wind(START_NS + 10 * MS)
    assert alarm.is_wound()
    assert not goes_off(alarm, 0.1)


def test_loop_that_turns_all_the_time_makes_few_system_calls(
    shared: SharedState, alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    libc = SimpleNamespace(timerfd_settime=lambda *_: made.append(1))
    monkeypatch.setattr(alarm_module, "_libc", libc)
    for turn in range(1000):
        alarm.wind(START_NS + turn * MS)
    assert len(made) == 1000 // (LIMIT_MS // 16)


def test_alarm_that_is_rung_goes_off_at_once(alarm: Alarm) -> None:
    alarm.ring()
    alarm.ring()
    assert goes_off(alarm, 10) == [alarm.descriptors[1]]
    alarm.hush()
    assert not goes_off(alarm, 0)


# Silence -----------------------------------------------------------------------------------


class Watch:
    """An engine whose loop turns when told, and who watches over it; time passes when told."""

    def __init__(self, shared: SharedState, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = START_NS
        self.shared = shared
        self.wound_ns: int | None = None
        monkeypatch.setattr(silence_module, "time", SimpleNamespace(monotonic_ns=self._now))
        alarm = SimpleNamespace(
            limit_ns=LIMIT_MS * MS, patience_ns=150 * MS, is_wound=lambda: self.wound_ns is not None
        )
        self.silence = Silence(shared, cast("Alarm", alarm))
        self.silence.begin()

    def _now(self) -> int:
        return self.now_ns

    def turn(self) -> None:
        """Have the engine's loop turn."""
        self.shared.set(shm.H_HEARTBEAT, self.now_ns)
        self.wound_ns = self.now_ns

    def wait(self, *, late_ms: int = 0) -> None:
        """Sleep until there is reason to look, and so much longer."""
        due_ns = self.silence.next_ns
        if due_ns is None:
            assert self.wound_ns is not None, "nothing would wake us"
            due_ns, self.wound_ns = self.wound_ns + 150 * MS, None
        assert due_ns > self.now_ns
        self.now_ns = due_ns + late_ms * MS

    def silent_ms(self) -> int:
        """Look until the silence is too long; return how long it was."""
        begun_ns = self.now_ns
        while not self.silence.is_too_long():
            self.wait()
        return (self.now_ns - begun_ns) // MS


@pytest.fixture
def watch(shared: SharedState, monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(shared, monkeypatch)


def test_engine_that_turns_is_not_looked_at(watch: Watch) -> None:
    watch.turn()
    assert not watch.silence.is_too_long()
    assert watch.silence.next_ns is None


def test_engine_that_ceased_to_turn_is_found_as_soon_as_it_may_be(watch: Watch) -> None:
    watch.turn()
    assert watch.silent_ms() == LIMIT_MS


def test_engine_that_never_turned_is_found_too(watch: Watch) -> None:
    assert watch.silent_ms() == LIMIT_MS


def test_engine_that_turns_again_is_left_alone(watch: Watch) -> None:
    watch.turn()
    for _ in range(2):
        assert not watch.silence.is_too_long()
        watch.wait()
    assert not watch.silence.is_too_long()
    watch.turn()
    assert not watch.silence.is_too_long()
    assert watch.silence.next_ns is None


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_who_slept_gives_the_engine_its_whole_time(watch: Watch, looks: int) -> None:
    """As where the machine stood still: it has not turned meanwhile either."""
    watch.turn()
    for _ in range(looks):
        assert not watch.silence.is_too_long()
        watch.wait()
    assert not watch.silence.is_too_long()
    watch.wait(late_ms=5000)
    assert watch.silent_ms() == LIMIT_MS


def test_silence_that_goes_on_is_told_again_and_not_without_end(watch: Watch) -> None:
    watch.turn()
    watch.silent_ms()
    for _ in range(3):
        before_ns = watch.now_ns
        assert watch.silence.is_too_long()
        watch.wait()
        assert watch.now_ns - before_ns == LIMIT_MS // 5 * MS
