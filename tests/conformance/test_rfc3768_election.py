"""Where an election of version 2 differs from one of version 3 (RFC 3768 §6.4, §7.1)."""

from __future__ import annotations

import pytest
from tests.unit.vrrp.routers import (
    LESSER,
    START,
    V2,
    active,
    backup,
    changed,
    heard,
    parameters,
)
from tests.unit.vrrp.settings import SETTINGS, STRANGER, WALL_NS
from tests.unit.vrrp.wire import compose, sealed

from vrrp.actions import AnnounceAddresses, SendAdvertisement, UnbindAddresses
from vrrp.constants import State, TransitionReason
from vrrp.events import AdvertisementReceived, DeadlineReached, Shutdown
from vrrp.observations import Observation, observe
from vrrp.validation import Accepted, Elections


@pytest.mark.parametrize("interval_cs", [100, 200, 25_500])
def test_backup_of_version_2_waits_by_its_own_interval_whatever_it_hears(interval_cs: int) -> None:
    """V2-09: three of its own seconds, and (256 − 200) / 256 s."""
    router = backup(parameters(V2))
    router.handle(heard(254, interval_cs=interval_cs), START + 7)
    assert router.next_deadline_ns() == START + 7 + 3_218_750_000


@pytest.mark.parametrize("loser", [heard(199), heard(1), heard(200, source=LESSER)])
def test_active_of_version_2_sends_no_advertisement_to_a_loser(
    loser: AdvertisementReceived,
) -> None:
    """V2-12: its timer runs on; only the neighbours are told where the address is."""
    router, since = active(parameters(V2))
    before = router.next_deadline_ns()
    assert router.handle(loser, since + 5) == (AnnounceAddresses(),)
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == before


def test_active_of_version_2_that_is_shut_down_releases() -> None:
    """V2-13."""
    router, since = active(parameters(V2))
    assert router.handle(Shutdown(), since + 5) == (
        SendAdvertisement(0),
        changed(State.ACTIVE, State.INITIALIZE, TransitionReason.SHUTDOWN),
    )
    # The worst candidate waits a second of skew (less 1/256), then its advertisement is due.
    unbound_ns = since + 5 + parameters(V2).adver_interval_ns + 255 * 10**9 // 256
    assert router.next_deadline_ns() == unbound_ns
    assert router.handle(DeadlineReached(), unbound_ns) == (UnbindAddresses(),)
    assert router.next_deadline_ns() is None


def test_other_addresses_in_version_2_are_counted_and_accepted() -> None:
    """V2-16: the optional check that would discard them is not made."""
    setting = SETTINGS["v2"]
    source, destination = setting.datagram.source, setting.datagram.destination
    message = sealed(compose(version=2, addresses=(STRANGER,)), source, destination)
    election = setting.fresh()
    accepted = Elections([election]).validate(setting.datagram._replace(message=message), WALL_NS)
    assert isinstance(accepted, Accepted)
    assert Observation.ADDRESSES_DIFFER in observe(accepted, election, 150)
