"""Conditions about how something was asked: refused, or in a form that will be refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kstatus import kstatus
from tests.unit.operator.cluster import nodes, report, router_status, snapshot, virtual_ip
from tests.unit.operator.cluster import tcp_check as a_check

from vrrp_operator.plan.planner import plan
from vrrp_operator.report.status import health_check_status, virtual_ip_status

NOW = "2026-03-01T00:00:00Z"
ACCEPTED = {"type": "Accepted", "status": "True", "observedGeneration": 1}


def vip(**spec: Any) -> dict[str, Any]:
    return virtual_ip("a", vrid=1, **spec)


def folded(obj: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Return VirtualIP a with the status that is made of it; node-1 says that it is Active."""
    checks = [other for other in others if other["kind"] == "HealthCheck"]
    vips = [obj, *(other for other in others if other["kind"] == "VirtualIP")]
    reports = {"node-1": report(None, router_status("a", "Active"))}
    cluster = snapshot(vips, nodes(1), checks, reports)
    record = next(r for r in cluster.virtual_ips if r.name == obj["metadata"]["name"])
    return {**obj, "status": virtual_ip_status(record, cluster, plan(cluster), NOW)}


def checked(obj: dict[str, Any]) -> dict[str, Any]:
    """Return a HealthCheck with the status that is made of it."""
    cluster = snapshot([], nodes(1), [obj])
    return {**obj, "status": health_check_status(cluster.health_checks[0], cluster, NOW)}


def condition(obj: dict[str, Any], kind: str) -> tuple[str, str, str]:
    found = next(c for c in obj["status"]["conditions"] if c["type"] == kind)
    return found["status"], found["reason"], found["message"]


# Stalled ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"candidates": 99}, "InvalidSpec"),
        ({"transport": {"externalPeers": ["192.0.2.11"]}}, "ExternalPeerConflict"),
    ],
)
def test_a_refused_virtual_ip_is_failed(spec: dict[str, Any], reason: str) -> None:
    refused = folded(vip(**spec))
    assert condition(refused, "Stalled")[:2] == ("True", reason)
    assert condition(refused, "Stalled")[2] == condition(refused, "Accepted")[2]
    assert kstatus(refused) == "Failed"


def test_the_younger_of_two_with_one_address_is_failed() -> None:
    other = virtual_ip("b", vrid=2, created="2025-01-01T00:00:00Z")
    assert kstatus(folded(vip(), other)) == "Failed"
    assert kstatus(folded(other, vip())) == "InProgress"  # nobody reports that it is Active


def test_one_that_waits_for_what_may_come_is_in_progress() -> None:
    """A VirtualIP and its HealthCheck of one commit come one after the other."""
    waiting = folded(vip(healthChecks=[{"name": "web"}]))
    assert condition(waiting, "Accepted")[:2] == ("False", "HealthCheckNotFound")
    assert condition(waiting, "Stalled")[:2] == ("False", "AsExpected")
    assert kstatus(waiting) == "InProgress"
    invalid = folded(vip(healthChecks=[{"name": "web"}]), a_check("web", rise=0))
    assert condition(invalid, "Stalled")[:2] == ("True", "HealthCheckNotFound")
    assert kstatus(invalid) == "Failed"


def test_one_that_has_its_address_is_current() -> None:
    assert kstatus(folded(vip())) == "Current"
    behind = folded(vip())
    behind["metadata"] = {**behind["metadata"], "generation": 2}
    assert kstatus(behind) == "InProgress"


def test_a_refused_check_is_failed_and_any_other_current() -> None:
    refused = checked(a_check("web", rise=0))
    assert condition(refused, "Stalled")[:2] == ("True", "InvalidSpec")
    assert "spec.rise: 0 must be an integer from 1 to 100" in condition(refused, "Stalled")[2]
    assert kstatus(refused) == "Failed"
    assert kstatus(checked(a_check("web"))) == "Current"


# DeprecatedFields ---------------------------------------------------------------------


def test_former_forms_are_told_with_a_date() -> None:
    signed = {"type": "HMAC", "keyRef": "own"}
    said = folded(vip(authentication=signed, conflictDetection=False))
    assert condition(said, "DeprecatedFields") == (
        "True",
        "DeprecatedFields",
        "spec.authentication.keyRef: write keyName; spec.conflictDetection: write conflictPolicy:"
        " Ignore; refused from version 0.3.0 on, not before 2027-07-01",
    )
    assert condition(said, "Accepted")[0] == "True"
    assert kstatus(said) == "Current"
    assert condition(folded(vip()), "DeprecatedFields")[:2] == ("False", "AsExpected")
    magic = checked(a_check("web", weight=0))
    assert condition(magic, "DeprecatedFields")[2].startswith(
        "spec.weight: write onFailure: Fault for 0, or nothing; refused from version"
    )


def test_former_forms_of_what_is_refused_are_told_too() -> None:
    assert condition(folded(vip(conflictDetection=False, candidates=99)), "DeprecatedFields")[
        0
    ] == ("True")


def test_what_an_earlier_default_wrote_is_told_when_somebody_edits_the_object() -> None:
    """After an upgrade every object has them, and nobody wrote one."""
    before = vip(conflictDetection=True, status={"conditions": [ACCEPTED]})
    untouched = folded(before)
    assert condition(untouched, "DeprecatedFields")[0] == "False"
    again = folded(untouched)
    assert condition(again, "DeprecatedFields")[0] == "False"
    edited = {**again, "metadata": {**again["metadata"], "generation": 2}}
    told = folded(edited)
    assert condition(told, "DeprecatedFields")[0] == "True"
    assert condition(folded(told), "DeprecatedFields")[0] == "True"


def test_what_a_user_wrote_is_told_of_what_was_accepted_before_too() -> None:
    before = vip(conflictDetection=False, status={"conditions": [ACCEPTED]})
    assert condition(folded(before), "DeprecatedFields")[0] == "True"


def test_what_is_new_is_told_from_the_first_time_on() -> None:
    first = folded(vip(conflictDetection=True))
    assert condition(first, "DeprecatedFields")[0] == "True"
    assert condition(folded(first), "DeprecatedFields")[0] == "True"
