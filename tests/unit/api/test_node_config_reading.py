"""NodeConfigs that a newer version wrote: what is read of them, and what one entry costs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from vrrp_api.errors import FieldError
from vrrp_api.node_config import parse_node_config
from vrrp_api.node_config_reading import Memory, entries_of, read_node_config, unknown_by_router

KNOWN: dict[str, Any] = {
    "apiVersion": "kube-vrrp.io/v1alpha1",
    "kind": "NodeConfig",
    "metadata": {"name": "node-1", "generation": 7},
    "spec": {
        "node": "node-1",
        "addresses": ["192.0.2.11"],
        "virtualRouters": [
            {
                "name": name,
                "virtualIPGeneration": 1,
                "virtualRouterID": vrid,
                "addresses": [{"address": f"192.0.2.{50 + vrid}"}],
                "basePriority": 200,
                "transport": {"mode": "Unicast", "ttl": {"send": 255, "acceptMinimum": 255}},
                "preemption": {"mode": "Always"},
                "authentication": {"type": "HMAC", "keyRef": "cluster"},
                "announcements": {"burst": 3},
                "peers": [{"node": "node-2", "address": "192.0.2.12", "priority": 180}],
                "healthChecks": [{"name": check, "weight": 0}],
            }
            for vrid, (name, check) in enumerate((("a", "web"), ("b", "db")), start=1)
        ],
        "healthChecks": [
            {
                "name": "web",
                "interval": "1s",
                "timeout": "1s",
                "http": {
                    "url": "http://127.0.0.1/",
                    "headers": [{"name": "Host", "value": "x"}],
                    "tls": {"insecureSkipVerify": True},
                },
            },
            {
                "name": "db",
                "interval": "1s",
                "timeout": "1s",
                "service": {"namespace": "db", "name": "db"},
            },
        ],
    },
}


def spec_of(obj: dict[str, Any]) -> Any:
    return obj["spec"]


def everywhere(value: Any) -> Any:
    """Return a value with a field that nobody knows in each of its objects."""
    if isinstance(value, dict):
        return {**{key: everywhere(item) for key, item in value.items()}, "novel": {"x": 1}}
    if isinstance(value, list):
        return [everywhere(item) for item in value]
    return value


def test_unknown_fields_anywhere_are_ignored_and_named() -> None:
    newer = {**KNOWN, "spec": everywhere(KNOWN["spec"])}
    reading = read_node_config(newer)
    assert reading.config == parse_node_config(KNOWN)
    assert not reading.not_understood
    objects = str(newer["spec"]).count("'novel'")
    assert len(reading.ignored) == objects == len(set(reading.ignored))
    assert "spec.virtualRouters[1].transport.ttl.novel" in reading.ignored
    assert "spec.healthChecks[0].http.headers[0].novel" in reading.ignored


def test_files_of_users_are_read_strictly_as_before() -> None:
    newer = copy.deepcopy(KNOWN)
    newer["spec"]["virtualRouters"][0]["transport"]["novel"] = 1
    with pytest.raises(FieldError, match=r"virtualRouters\[0\].transport.novel: 1 is not a field"):
        parse_node_config(newer)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("virtualRouters", 0, "transport", "mode"), "Anycast", "Anycast"),
        (("virtualRouters", 0, "version"), 4, "4"),
        (("virtualRouters", 0, "authentication", "type"), "Ed25519", "Ed25519"),
        (("virtualRouters", 0, "advertisementInterval"), "1ms", "1ms"),
        (("virtualRouters", 0, "peers", 0, "priority"), "high", "high"),
        (("virtualRouters", 0, "preemption"), "Never", "Never"),
        (("healthChecks", 0, "http"), None, "found none"),
        (("healthChecks", 0, "initialState"), "Passing", "Passing"),
    ],
)
def test_value_that_is_not_known_costs_its_router_only(
    place: tuple[Any, ...], value: Any, told: str
) -> None:
    newer = copy.deepcopy(KNOWN)
    at = newer["spec"]
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    reading = read_node_config(newer)
    assert [router.name for router in reading.config.virtual_routers] == ["b"]
    assert reading.config.virtual_routers == parse_node_config(KNOWN).virtual_routers[1:]
    assert list(reading.not_understood) == ["a"]
    assert told in reading.not_understood["a"]
    assert f"spec.{place[0]}[0]" in reading.not_understood["a"]
    assert unknown_by_router(newer, reading) == reading.not_understood


def test_what_is_no_entrys_fault_is_refused_whole() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"node": None},
        {"addresses": "192.0.2.11"},
        {"virtualRouters": {}},
    )
    for change in changes:
        with pytest.raises(FieldError):
            read_node_config({**KNOWN, "spec": {**KNOWN["spec"], **change}})


def test_check_that_is_lacking_is_refused_whole() -> None:
    """No version writes that."""
    with pytest.raises(FieldError, match="must hold 'web'"):
        read_node_config({**KNOWN, "spec": {**KNOWN["spec"], "healthChecks": []}})


def test_who_is_concerned_by_unknown_fields() -> None:
    newer = copy.deepcopy(KNOWN)
    spec = spec_of(newer)
    spec["novel"] = 1
    assert unknown_by_router(newer, read_node_config(newer)) == {}
    spec["healthChecks"][1]["novel"] = 1
    assert unknown_by_router(newer, read_node_config(newer)) == {
        "b": "spec.healthChecks[1].novel: is not known"
    }
    spec["virtualRouters"][0]["peers"][0]["novel"] = 1
    found = unknown_by_router(newer, read_node_config(newer))
    assert found["a"] == "spec.virtualRouters[0].peers[0].novel: is not known"
    routers, checks = entries_of(newer, {"a"})
    assert routers == [spec["virtualRouters"][0]]
    assert checks == [spec["healthChecks"][0]]


# The same object again ---------------------------------------------------------------------


def test_entry_that_did_not_change_is_read_once() -> None:
    memory, changed = Memory(), copy.deepcopy(KNOWN)
    before = read_node_config(copy.deepcopy(KNOWN), memory).config
    changed["spec"]["virtualRouters"][1]["basePriority"] = 7
    changed["spec"]["healthChecks"][0]["interval"] = "2s"
    after = read_node_config(changed, memory).config
    assert after == read_node_config(changed).config
    assert after.virtual_routers[0] is before.virtual_routers[0]
    assert after.virtual_routers[1].base_priority == 7
    assert after.health_checks[1] is before.health_checks[1]
    assert after.health_checks[0] != before.health_checks[0]


def test_what_is_wrong_or_not_known_is_told_each_time() -> None:
    memory, odd = Memory(), copy.deepcopy(KNOWN)
    odd["spec"]["virtualRouters"][0]["novel"] = 1
    odd["spec"]["virtualRouters"][1]["basePriority"] = "high"
    first, second = (read_node_config(copy.deepcopy(odd), memory) for _ in range(2))
    assert first == second
    assert first.ignored == ("spec.virtualRouters[0].novel",)
    assert set(first.not_understood) == {"b"}


def test_entry_that_was_away_is_read_anew() -> None:
    memory, without = Memory(), copy.deepcopy(KNOWN)
    before = read_node_config(KNOWN, memory).config
    del without["spec"]["virtualRouters"][1]
    read_node_config(without, memory)
    after = read_node_config(KNOWN, memory).config
    assert after == before
    assert after.virtual_routers[1] is not before.virtual_routers[1]
