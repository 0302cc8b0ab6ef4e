"""VRIDs: unique, sticky, oldest first, and an end at 255."""

from __future__ import annotations

from tests.unit.operator.cluster import snapshot, virtual_ip

from vrrp_api.conditions import Reason
from vrrp_operator.allocator import allocate_vrids


def test_what_the_status_remembers_stays() -> None:
    cluster = snapshot([virtual_ip("a", vrid=9), virtual_ip("b", vrid=1), virtual_ip("c")])
    vrids, problems = allocate_vrids(cluster, ())
    assert vrids == {"a": 9, "b": 1, "c": 2}
    assert problems == {}


def test_a_number_asked_for_is_not_given_to_another() -> None:
    older = virtual_ip("a", created="2026-01-01T00:00:00Z")
    newer = virtual_ip("b", virtualRouterID=1, created="2026-01-02T00:00:00Z")
    vrids, _ = allocate_vrids(snapshot([older, newer]), ())
    assert vrids == {"a": 2, "b": 1}


def test_clash_refuses_the_later_one_and_names_the_owner() -> None:
    first = virtual_ip("a", vrid=5)
    second = virtual_ip("b", virtualRouterID=5)
    vrids, problems = allocate_vrids(snapshot([first, second]), ())
    assert vrids == {"a": 5}
    assert problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    assert "spec.virtualRouterID: 5 belongs to VirtualIP a" in problems["b"].message


def test_two_statuses_with_one_number_leave_it_to_the_older() -> None:
    older = virtual_ip("z", vrid=5, created="2026-01-01T00:00:00Z")
    newer = virtual_ip("a", vrid=5, created="2026-01-02T00:00:00Z")
    vrids, _ = allocate_vrids(snapshot([older, newer]), ())
    assert vrids["z"] == 5
    assert vrids["a"] != 5


def test_the_256th_is_refused_and_the_others_stay() -> None:
    objects = [virtual_ip(f"v{n:03}", f"10.0.{n}.1") for n in range(256)]
    vrids, problems = allocate_vrids(snapshot(objects), ())
    assert sorted(vrids.values()) == list(range(1, 256))
    assert list(problems) == ["v255"]
    assert problems["v255"].reason is Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED


def test_refused_virtual_ip_keeps_its_number_and_gets_no_new_one() -> None:
    cluster = snapshot([virtual_ip("a", vrid=3), virtual_ip("b")])
    assert allocate_vrids(cluster, ("a", "b")) == ({"a": 3}, {})


def test_a_freed_number_is_given_again() -> None:
    cluster = snapshot([virtual_ip("b", vrid=2), virtual_ip("c")])
    assert allocate_vrids(cluster, ())[0]["c"] == 1


def test_spec_wins_over_a_status_of_another_object_of_the_name() -> None:
    """Deleted and made anew, while the old one's status was under way."""
    vrids, problems = allocate_vrids(snapshot([virtual_ip("a", vrid=7, virtualRouterID=9)]), ())
    assert (vrids, problems) == ({"a": 9}, {})


def test_spec_that_the_status_contradicts_is_refused_where_its_number_is_taken() -> None:
    anew = virtual_ip("a", vrid=7, virtualRouterID=9)
    vrids, problems = allocate_vrids(snapshot([anew, virtual_ip("b", vrid=9)]), ())
    assert vrids == {"b": 9}
    assert problems["a"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
