"""What a load costs, and what its steps do to one router after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.engine.programs import address, announcement, packed, router_program
from tests.unit.engine.rig import NOW, ONE, PEER, SIX, TWO, Rig, rig

from vrrp_speaker.engine.programs.program import EngineProgram, RouterProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import layout as shm

__all__ = ["rig"]  # pytest finds fixtures by name


# What a load costs -------------------------------------------------------------------------


def test_equal_program_changes_nothing_but_the_generation(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.load(ONE)
    looked: list[RunningRouter] = []
    monkeypatch.setattr(rig.faults, "refresh", lambda router, _: looked.append(router))
    program = tuple(replace(r.program) for r in rig.table.routers.values())
    rig.table.load(EngineProgram("n", 9, program), NOW + 1)
    assert rig.shared.get(shm.H_GENERATION) == 9
    assert looked == []


def test_only_routers_that_changed_are_compared_with_the_node(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that others may have changed for: by a group that is joined, by who answers."""
    named = [
        router_program(PEER, name=name, slot=slot, vrid=slot + 1, **more)
        for slot, (name, more) in enumerate((("a", {}), ("b", {}), ("group", {"multicast": True})))
    ]
    rig.table.load(EngineProgram("n", 1, tuple(named)), NOW)
    looked: list[str] = []
    monkeypatch.setattr(rig.faults, "refresh", lambda router, _: looked.append(router.program.name))
    named[1] = replace(named[1], base_priority=7)
    rig.table.load(EngineProgram("n", 2, tuple(named)), NOW + 1)
    assert sorted(looked) == ["b", "group"]


# One router in one turn -------------------------------------------------------------------


def programs(*places: tuple[str, ...], **changed: Any) -> tuple[RouterProgram, ...]:
    """Return routers a, b, … with these addresses."""
    return tuple(
        router_program(
            PEER,
            name="abc"[slot],
            slot=slot,
            vrid=slot + 1,
            addresses=tuple(map(address, texts)),
            announcements=tuple(map(announcement, texts)),
            **changed,
        )
        for slot, texts in enumerate(places)
    )


def test_each_step_replaces_one_router_that_differs_and_leaves_the_others(rig: Rig) -> None:
    before = programs((ONE,), (TWO,), ())
    rig.table.load(EngineProgram("n", 1, before), NOW)
    after = tuple(replace(r, base_priority=150 + r.slot) for r in before[:2]) + before[2:]
    steps = rig.table.steps(EngineProgram("n", 2, after))
    ran: list[list[int]] = []
    for step in steps:
        step(NOW + 1)
        ran.append([r.machine.parameters.priority for r in rig.table.routers.values()])
    same = before[2].base_priority
    assert ran[:2] == [[150, before[1].base_priority, same], [150, 151, same]]
    assert len(ran) == 3  # the last one only notes that all is done
    assert rig.shared.get(shm.H_GENERATION) == 2


def test_router_is_heard_and_looked_up_right_after_its_own_step(rig: Rig) -> None:
    before = programs((ONE,))
    rig.table.load(EngineProgram("n", 1, before), NOW)
    added = programs((ONE,), (TWO,), (SIX,))
    steps = rig.table.steps(EngineProgram("n", 2, added))
    next(steps)(NOW + 1)
    assert list(rig.table.routers) == ["a", "b"]
    heard = rig.parts.hearing.elections.by_id
    assert {vrid for _, vrid in heard} == {1, 2}
    assert rig.table.by_place[2, packed(TWO)] is rig.table.routers["b"]
    assert (2, packed(SIX)) not in rig.table.by_place
    assert rig.shared.get(shm.H_GENERATION) == 1


def test_addresses_that_two_routers_exchange_are_nobodys_twice(rig: Rig) -> None:
    """Each is taken off before the other one binds it, and is on the interface in the end."""
    rig.table.load(EngineProgram("n", 1, programs((ONE,), (TWO,))), NOW)
    rig.settle(NOW)
    now_ns = max(rig.become_active(rig.table.routers[name]) for name in "ab")
    rig.requests.made.clear()
    for step in rig.table.steps(EngineProgram("n", 2, programs((TWO,), (ONE,)))):
        step(now_ns + 1)
        rig.settle(now_ns + 1)
        for place, owner in rig.table.by_place.items():
            assert place in {(a.ifindex, a.address) for a in owner.program.addresses}
    last = {message.split()[1]: message.split()[0] for message in rig.requests.made}
    assert last == {ONE.encode(): b"add", TWO.encode(): b"add"}
    first = {m.split()[1]: m.split()[0] for m in reversed(rig.requests.made)}
    assert set(first.values()) != {b"add"}
    assert all(rig.network.on_interface(2, packed(text)) for text in (ONE, TWO))


def test_router_that_goes_is_let_go_before_another_one_has_its_slot(rig: Rig) -> None:
    rig.table.load(EngineProgram("n", 1, programs((ONE,))), NOW)
    other = replace(programs((ONE,))[0], name="z", vrid=9)
    steps = rig.table.steps(EngineProgram("n", 2, (other,)))
    next(steps)(NOW + 1)
    assert not rig.table.routers
    assert not rig.parts.hearing.elections.by_id
    for step in steps:
        step(NOW + 2)
    assert list(rig.table.routers) == ["z"]
