"""An advertisement that is said again costs a look-up, and is judged as if it were the first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.vrrp.settings import SETTINGS, WALL_NS, WALL_S
from tests.unit.vrrp.test_rejected_changes_nothing import DAMAGE, right
from tests.unit.vrrp.wire import stamp

from vrrp.authentication import ReplayMarks
from vrrp.validation import Accepted, Datagram, Election, Elections

_CHANGES = st.one_of(
    st.just(lambda datagram: datagram),
    DAMAGE,
    st.sampled_from([254, 255, 1]).map(lambda ttl: lambda d: d._replace(ttl=ttl)),
    st.integers(1, 9).map(lambda index: lambda d: d._replace(ifindex=index)),
    st.just(lambda d: d._replace(destination=d.source)),
    st.just(lambda d: d._replace(source=d.destination)),
)


SIGNED_V6 = {"v6-signed", "v6-multicast-signed"}
"""Their checksum covers the signature, so they never say the same."""


def _untouched(election: Election) -> tuple[Elections, ReplayMarks]:
    """Return elections that know what was replayed, and of what was said nothing."""
    marks = ReplayMarks(dict(election.marks.marks))
    return Elections([replace(election, marks=marks)]), marks


@given(
    name=st.sampled_from(sorted(SETTINGS)),
    said=st.lists(
        st.tuples(st.sampled_from([0, 100, 150]), st.integers(-1, 4), _CHANGES), max_size=12
    ),
)
@settings(max_examples=500, deadline=None)
def test_whatever_was_said_before_the_judgement_is_that_of_elections_that_heard_nothing(
    name: str, said: list[tuple[int, int, object]]
) -> None:
    setting = SETTINGS[name]
    election = setting.fresh()
    elections = Elections([election])
    for priority, seconds, change in said:
        datagram: Datagram = change(right(setting, priority, stamp(WALL_S + seconds)))  # type: ignore[operator]  # a strategy's lambda
        others, marks = _untouched(election)
        expected = others.validate(datagram, WALL_NS)
        assert elections.validate(datagram, WALL_NS) == expected
        assert election.marks == marks


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - SIGNED_V6))
def test_what_is_said_again_is_the_same_advertisement(name: str) -> None:
    setting = SETTINGS[name]
    elections = Elections([setting.fresh()])
    first, second = (
        elections.validate(right(setting, 100, stamp(WALL_S + n)), WALL_NS) for n in range(2)
    )
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert second.advertisement is first.advertisement
    assert second.event is first.event
