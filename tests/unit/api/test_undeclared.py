"""Kinds of an earlier version: what they lack is left out, and sent again after a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vrrp_api.undeclared import ASK_AGAIN_S, Undeclared

ONE = (
    "failed to create typed patch object (/node-1; kube-vrrp.io/v1alpha1, Kind=NodeConfig):"
    " .spec.leaseNamespace: field not declared in schema"
)
SEVERAL = (
    '{"message":"failed to create typed patch object (/node-1; x, Kind=NodeConfig): errors:\\n'
    "  .status.speaker.features: field not declared in schema\\n"
    '  .status.virtualRouters[name=\\"my.vip\\"].peersHeard: field not declared in schema\\n'
    '  .status.virtualRouters[name=\\"other\\"].peersHeard: field not declared in schema\\n'
    '  .status.virtualRouters[name=\\"other\\"].holders: field not decl'
)
STATUS: Mapping[str, Any] = {
    "status": {
        "speaker": {"version": "1", "features": ["A"]},
        "virtualRouters": [
            {"name": "my.vip", "peersHeard": [], "holders": []},
            {"name": "other", "peersHeard": []},
        ],
    }
}


class Kinds:
    """An API server whose kinds lack fields; it says so in one answer, or one by one."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.taken: list[Mapping[str, Any]] = []

    def apply(self, obj: Mapping[str, Any]) -> str:
        self.taken.append(obj)
        if self.answers:
            raise OSError(self.answers.pop(0))
        return "taken"


def test_what_an_answer_names_is_left_out_from_then_on() -> None:
    told: list[frozenset[str]] = []
    undeclared = Undeclared(told.append)
    kinds = Kinds(SEVERAL)
    assert undeclared.applied(STATUS, kinds.apply, lambda: 0.0) == "taken"
    assert kinds.taken[1] == {
        "status": {
            "speaker": {"version": "1"},
            "virtualRouters": [{"name": "my.vip", "holders": []}, {"name": "other"}],
        }
    }
    assert undeclared.applied(STATUS, kinds.apply, lambda: 1.0) == "taken"
    assert len(kinds.taken) == 3
    assert told == [frozenset({"status.speaker.features", "status.virtualRouters.peersHeard"})]


def test_answers_that_name_one_field_each() -> None:
    obj = {"spec": {"node": "node-1", "leaseNamespace": "x", "novel": 1}}
    kinds = Kinds(ONE, ONE.replace("leaseNamespace", "novel"))
    undeclared = Undeclared(lambda _: None)
    assert undeclared.applied(obj, kinds.apply, lambda: 0.0) == "taken"
    assert kinds.taken[-1] == {"spec": {"node": "node-1"}}
    assert undeclared.paths(0.0) == {"spec.leaseNamespace", "spec.novel"}


def test_other_refusals_are_refusals() -> None:
    for answers in (("timeout",), (ONE, ONE)):
        kinds = Kinds(*answers)
        with pytest.raises(OSError, match=answers[-1][:20].replace("(", "[(]")):
            Undeclared(lambda _: None).applied({"spec": {}}, kinds.apply, lambda: 0.0)
        assert len(kinds.taken) == len(answers)


def test_kinds_that_were_upgraded_get_everything_after_a_while() -> None:
    told: list[frozenset[str]] = []
    undeclared = Undeclared(told.append)
    obj = {"spec": {"leaseNamespace": "x"}}
    assert undeclared.learn(ONE, 0.0)
    assert not undeclared.learn(ONE, 1.0)
    assert undeclared.known_part(obj, ASK_AGAIN_S - 1) == {"spec": {}}
    assert undeclared.known_part(obj, ASK_AGAIN_S) == obj
    assert undeclared.learn(ONE, ASK_AGAIN_S)
    assert len(told) == 1
