"""What each service account may do, asked of a real API server and compared with docs/rights.md."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.chart.crds import ROOT

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster
NAMESPACES = ("default", "kube-vrrp", "kube-system")
Right = tuple[str, str, str, str]
"""Where (a namespace, or ``cluster``), API group, resource, verb."""


def documented(account: str) -> set[Right]:
    """Return an account's rights as the page's table has them."""
    rights = set()
    for line in (ROOT / "docs" / "rights.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == account and len(cells) == 6:
            where = cells[1].removeprefix("namespace ")
            rights |= {
                (where, cells[2], resource, verb)
                for resource in re.split(r",\s*", cells[3])
                for verb in re.split(r",\s*", cells[4])
            }
    return rights


def granted(lab: Lab, user: str, namespace: str) -> set[tuple[str, str, str]]:
    """Return what a user may do in a namespace: API group, resource (and its name), verb."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    flags = (f"--as={user}", "--as-group=system:serviceaccounts", "--as-group=system:authenticated")
    ended = lab.kubectl(
        "create",
        "--validate=false",
        "-o",
        "json",
        *flags,
        "-f",
        "-",
        stdin=json.dumps(review),
        check=True,
    )
    rules: list[Any] = json.loads(ended.stdout)["status"]["resourceRules"]
    return {
        (group, f"{resource} ({name})" if name else resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or ("",)
        for verb in rule["verbs"]
    }


def rights(lab: Lab, account: str) -> set[Right]:
    """Return what an account may do beyond what every account may."""
    user = f"system:serviceaccount:kube-vrrp:kube-vrrp-{account}"
    stranger = "system:serviceaccount:kube-vrrp:stranger"
    found = {
        namespace: granted(lab, user, namespace) - granted(lab, stranger, namespace)
        for namespace in NAMESPACES
    }
    everywhere = set.intersection(*found.values())
    return {("cluster", *right) for right in everywhere} | {
        (namespace, *right) for namespace in NAMESPACES for right in found[namespace] - everywhere
    }


@pytest.mark.parametrize("account", ["operator", "speaker"])
def test_an_account_has_what_the_page_says_and_nothing_else(api: Lab, account: str) -> None:
    assert rights(api, account) == documented(account)
    assert documented(account)


@pytest.mark.parametrize(
    ("account", "verb", "resource"),
    [
        ("operator", "get", "secrets"),
        ("operator", "list", "pods"),
        ("operator", "patch", "nodes"),
        ("operator", "patch", "virtualips.kube-vrrp.io"),
        ("operator", "patch", "leases/node.node-1"),
        ("operator", "delete", "leases"),
        ("speaker", "get", "secrets"),
        ("speaker", "get", "nodes"),
        ("speaker", "get", "virtualips.kube-vrrp.io"),
        ("speaker", "patch", "nodeconfigs.kube-vrrp.io"),
    ],
)
def test_an_account_may_not(api: Lab, account: str, verb: str, resource: str) -> None:
    user = f"--as=system:serviceaccount:kube-vrrp:kube-vrrp-{account}"
    ended = api.kubectl("auth", "can-i", verb, resource, user, "-n", "kube-vrrp", check=False)
    assert ended.stdout.strip() == "no"


def test_roles_of_users_have_our_kinds(api: Lab) -> None:
    """The controller that aggregates them does not run here: the labels and rules it goes by do."""
    roles = {
        role["metadata"]["name"]: role
        for role in api.kubectl_json("get", "clusterroles")["items"]
        if role["metadata"]["name"] in ("kube-vrrp-view", "kube-vrrp-edit")
    }
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    aims = {
        name: {key.removeprefix(prefix) for key in role["metadata"]["labels"] if prefix in key}
        for name, role in roles.items()
    }
    assert aims == {
        "kube-vrrp-view": {"view", "edit", "admin"},
        "kube-vrrp-edit": {"edit", "admin"},
    }
    verbs = {name: {v for r in role["rules"] for v in r["verbs"]} for name, role in roles.items()}
    assert verbs["kube-vrrp-view"] == {"get", "list", "watch"}
    written = {res for rule in roles["kube-vrrp-edit"]["rules"] for res in rule["resources"]}
    assert written == {"virtualips", "healthchecks"}
