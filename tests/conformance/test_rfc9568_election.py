"""RFC 9568 over stretches of time: what a test of single events could miss in between."""

from __future__ import annotations

import pytest
from tests.unit.vrrp.routers import MS, START, V3, backup, heard, parameters, takeover
from tests.unit.vrrp.settings import SETTINGS, WALL_NS
from tests.unit.vrrp.wire import compose, sealed

from vrrp.constants import State
from vrrp.events import DeadlineReached, Startup
from vrrp.validation import Accepted, Elections
from vrrp.virtual_router import VirtualRouter


def test_router_that_starts_is_silent_until_its_down_interval_ends() -> None:
    """V3-20: three intervals of 200 ms and a skew of 43.75 ms, looked at every millisecond."""
    router = VirtualRouter(parameters())
    router.handle(Startup(), START)
    for passed_ms in range(644):
        assert router.handle(DeadlineReached(), START + passed_ms * MS) == ()
        assert router.state is State.BACKUP
    assert router.handle(DeadlineReached(), START + 644 * MS) == takeover()


@pytest.mark.parametrize("interval_cs", [1, 20, 4095])
def test_backup_that_hears_only_losers_takes_over_on_time(interval_cs: int) -> None:
    """V3-30: they change neither the timer nor the interval that it is made of."""
    router = backup()
    for passed_ms in range(0, 643, 10):
        assert router.handle(heard(199, interval_cs=interval_cs), START + passed_ms * MS) == ()
        assert router.next_deadline_ns() == START + V3.down_ns
    assert router.handle(DeadlineReached(), START + V3.down_ns) == takeover()


@pytest.mark.parametrize("name", ["v3", "v3-multicast", "v6"])
@pytest.mark.parametrize("reserved", range(16))
def test_reserved_bits_of_a_peer_any_value_are_ignored(name: str, reserved: int) -> None:
    """V3-12: the interval is the lower twelve bits, here 100."""
    setting = SETTINGS[name]
    source, destination = setting.datagram.source, setting.datagram.destination
    message = compose(word=reserved << 12 | 100, addresses=tuple(setting.election.addresses))
    datagram = setting.datagram._replace(message=sealed(message, source, destination))
    accepted = Elections([setting.fresh()]).validate(datagram, WALL_NS)
    assert isinstance(accepted, Accepted)
    assert accepted.advertisement.interval_cs == 100
