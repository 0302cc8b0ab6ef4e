"""What the core passes around are values: equal when their fields are, and never changed."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.unit.vrrp.settings import SETTINGS

from vrrp.actions import Action
from vrrp.authentication import HmacKeys, ReplayMarks, SignatureClock, SimplePassword
from vrrp.events import Event
from vrrp.packet import Advertisement
from vrrp.states import Parameters, RouterState
from vrrp.validation import Accepted, Datagram, Election

VALUES: tuple[type, ...] = (
    *get_args(Action),
    *get_args(Event),
    *get_args(RouterState),
    Advertisement,
    Election,
    HmacKeys,
    Parameters,
    SimplePassword,
)
TUPLES: tuple[type, ...] = (Accepted, Datagram)
"""One is made of every packet."""
MEMORIES: tuple[type, ...] = (ReplayMarks, SignatureClock)
"""What changes: the node's clock and the receiver's marks."""


def frozen(kind: type) -> bool:
    """Return whether setting any field of an instance is refused."""
    instance: Any = object.__new__(kind)
    try:
        instance.anything = None
    except (dataclasses.FrozenInstanceError, TypeError):
        return True
    except AttributeError:
        return False
    return False


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_value_refuses_to_be_changed(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert frozen(kind)


@pytest.mark.parametrize("kind", TUPLES, ids=lambda kind: kind.__name__)
def test_value_of_a_packet_refuses_to_be_changed(kind: Any) -> None:
    with pytest.raises(AttributeError):
        kind(*kind._fields).source = b""


@pytest.mark.parametrize("kind", VALUES + TUPLES + MEMORIES, ids=lambda kind: kind.__name__)
def test_value_has_no_room_for_other_fields(kind: type) -> None:
    assert not hasattr(kind.__new__(kind, *getattr(kind, "_fields", ())), "__dict__")


@pytest.mark.parametrize(
    "kind", [kind for kind in VALUES if not dataclasses.fields(kind)], ids=lambda k: k.__name__
)
def test_value_without_fields_equals_another_of_its_kind(kind: type) -> None:
    assert kind() == kind()
    assert kind() != object()


def test_election_is_the_same_whatever_it_remembers() -> None:
    election = SETTINGS["v3-signed"].fresh()
    assert replace(election, marks=ReplayMarks({b"peer": 1})) == election
    assert replace(election, vrid=52) != election


def test_signature_clock_begins_without_an_offset() -> None:
    assert SignatureClock() == SignatureClock(offset_ns=0, last=0)
