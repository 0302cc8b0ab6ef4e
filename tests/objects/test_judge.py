"""What counts as an object that says what is wrong, and as a change that was applied."""

from __future__ import annotations

from typing import Any

import pytest
from tests.bench.holders import Change, Timeline
from tests.objects.judge import MS, kernel_latencies, silent
from tests.objects.plan import Kind, Step, draw_steps

SECOND = 1000 * MS


def vip(observed: int | None, *conditions: tuple[str, str, str, str]) -> dict[str, Any]:
    said = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, status, reason, message in conditions
    ]
    return {
        "kind": "VirtualIP",
        "metadata": {"name": "a", "generation": 2},
        "status": {"observedGeneration": observed, "conditions": said},
    }


READY = ("Ready", "True", "AddressActive", "")


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (vip(2, READY), ""),
        (vip(2, ("Accepted", "False", "InvalidSpec", "spec.x: no")), ""),
        (vip(1, READY), "newest generation"),
        ({"kind": "VirtualIP", "metadata": {"name": "a", "generation": 1}}, "newest generation"),
        (vip(2), "no condition"),
        (vip(2, ("NoStandby", "True", "AsExpected", "")), "no condition"),
        (vip(2, ("Ready", "False", "NoActive", "")), "does not say why"),
        (vip(2, ("Ready", "Unknown", "InternalError", "KeyError")), "fault of the operator"),
    ],
)
def test_an_object_says_what_is_wrong_or_that_nothing_is(obj: dict[str, Any], said: str) -> None:
    assert said in silent(obj)
    assert bool(silent(obj)) == bool(said)


def change(number: int, *addresses: str) -> Step:
    spec = {"addresses": [{"address": address} for address in addresses]}
    return Step(number, Kind.CHANGE, "virtualips", "ten-1", spec)


def test_a_change_is_applied_when_the_kernels_have_it_so() -> None:
    came, went = Change(3 * SECOND, "node-1", held=True), Change(12 * SECOND, "node-1", held=False)
    sent = [(2 * SECOND, change(1, "a", "b")), (10 * SECOND, change(2, "a"))]
    taken = kernel_latencies(sent, {"ten-1": Timeline((came, went))}, 20 * SECOND)
    assert taken == ([1 * SECOND, 2 * SECOND], [])


def test_a_change_that_no_kernel_shows_was_never_applied_unless_another_one_followed() -> None:
    nothing = {"ten-1": Timeline(())}
    alone = [(2 * SECOND, change(1, "a", "b"))]
    assert kernel_latencies(alone, nothing, 60 * SECOND)[1] == [
        "step 1: ten-1 never had 1 more addresses"
    ]
    followed = [*alone, (4 * SECOND, change(2, "a", "b"))]
    assert kernel_latencies(followed, nothing, 8 * SECOND) == (
        [],
        ["step 2: ten-1 never had 1 more addresses"],
    )


def test_what_was_taken_back_before_any_kernel_had_it_is_applied() -> None:
    sent = [(2 * SECOND, change(1, "a", "b")), (3 * SECOND, change(2, "a"))]
    assert kernel_latencies(sent, {"ten-1": Timeline(())}, 60 * SECOND) == ([], [])


def test_a_seed_draws_the_same_steps_and_some_of_every_kind() -> None:
    steps = draw_steps(1, 300)
    assert steps == draw_steps(1, 300)
    assert steps != draw_steps(2, 300)
    assert {step.kind for step in steps} == set(Kind)
