"""NodeConfigs, speakers and objects of a newer version: no election changes because of them."""

from __future__ import annotations

import copy
from typing import Any

from tests.unit.operator.cluster import virtual_ip
from tests.unit.operator.test_made_anew import NODES, running, say, specs
from tests.unit.operator.test_reconcile import FakeServer

from vrrp_api.node_status import parse_node_config_status
from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.reconcile import Reconciler


def of_newer(cache: ObjectCache, *path: str, value: Any) -> dict[str, Any]:
    """Write something into the election of every NodeConfig, as a newer operator would."""
    for name in NODES:
        newer: Any = copy.deepcopy(cache.get("nodeconfigs", name))
        at = newer["spec"]["virtualRouters"][0]
        for step in path[:-1]:
            at = at.setdefault(step, {})
        at[path[-1]] = value
        newer["metadata"]["generation"] += 1
        cache.put("nodeconfigs", newer, deleted=False, now_s=0.0)
    say(cache)
    return specs(cache)


def programmed(cache: ObjectCache, name: str) -> tuple[str, str]:
    found: Any = cache.get("virtualips", name)
    (said,) = [c for c in found["status"]["conditions"] if c["type"] == "Programmed"]
    return said["reason"], said["message"]


def add(cache: ObjectCache, obj: dict[str, Any], generation: int = 1) -> None:
    metadata = {**obj["metadata"], "generation": generation}
    before: Any = cache.get("virtualips", obj["metadata"]["name"]) or {}
    status = before.get("status", obj["status"])
    cache.put(
        "virtualips", {**obj, "metadata": metadata, "status": status}, deleted=False, now_s=0.0
    )


def cycles(cache: ObjectCache, reconciler: Reconciler) -> None:
    for _ in range(4):
        assert reconciler.run_cycle()
        say(cache)


def test_election_with_what_is_not_known_is_left_as_it_is_written() -> None:
    for path, value in ((("novel",), {"x": 1}), (("transport", "mode"), "Anycast")):
        _, cache, reconciler = running()
        before = of_newer(cache, *path, value=value)
        cycles(cache, reconciler)
        assert specs(cache) == before
        reason, message = programmed(cache, "a")
        assert reason == "NotUnderstood"
        assert "NodeConfig node-1" in message
        assert path[-1] in message


def test_other_elections_beside_it_change_as_ever() -> None:
    _, cache, reconciler = running()
    before = of_newer(cache, "novel", value=1)
    add(cache, virtual_ip("b", "192.0.2.51"))
    cycles(cache, reconciler)
    for name, spec in specs(cache).items():
        first, second = spec["virtualRouters"]
        assert first == before[name]["virtualRouters"][0]
        assert second["name"] == "b"


def test_changed_spec_waits_for_the_version_that_knows() -> None:
    _, cache, reconciler = running()
    before = of_newer(cache, "novel", value=1)
    add(cache, virtual_ip("a", "192.0.2.50", advertisementInterval="1s"), generation=2)
    cycles(cache, reconciler)
    assert specs(cache) == before


def test_deleted_virtual_ip_goes_all_the_same() -> None:
    _, cache, reconciler = running()
    of_newer(cache, "novel", value=1)
    found: Any = cache.get("virtualips", "a")
    cache.put("virtualips", found, deleted=True, now_s=0.0)
    cycles(cache, reconciler)
    assert [spec["virtualRouters"] for spec in specs(cache).values()] == [[], [], []]


def test_fields_of_the_node_that_are_not_known_are_taken_back() -> None:
    """They concern no election, and a speaker goes on without them."""
    _, cache, reconciler = running()
    before = specs(cache)
    for name in NODES:
        newer: Any = copy.deepcopy(cache.get("nodeconfigs", name))
        newer["spec"]["novel"] = 1
        cache.put("nodeconfigs", newer, deleted=False, now_s=0.0)
    cycles(cache, reconciler)
    assert specs(cache) == before


def test_node_that_does_not_understand_is_named_and_waited_for() -> None:
    _, cache, reconciler = running()
    of_newer(cache, "advertisementInterval", value="200ms")
    fault = "NotUnderstood: spec.virtualRouters[0].transport.mode: Anycast"
    found: Any = copy.deepcopy(cache.get("nodeconfigs", "node-2"))
    found["status"]["virtualRouters"][0]["faults"] = [fault]
    cache.put("nodeconfigs", found, deleted=False, now_s=0.0)
    assert reconciler.run_cycle()
    assert programmed(cache, "a") == ("NotUnderstood", f"node-2: {fault}")


def test_steps_wait_for_a_node_that_does_not_understand() -> None:
    """It reports the generation, and speaks as it did before."""
    named = virtual_ip("a", authentication={"type": "HMAC", "keyName": "cluster"})
    stages = {}
    for faults in ([], ["NotUnderstood: spec.virtualRouters[0].novel: 1"]):
        _, cache, reconciler = running()
        add(cache, named, generation=2)
        for _ in range(4):
            reconciler.run_cycle()
            say(cache)
            found: Any = copy.deepcopy(cache.get("nodeconfigs", "node-2"))
            found["status"]["virtualRouters"][0]["faults"] = faults
            cache.put("nodeconfigs", found, deleted=False, now_s=0.0)
        spec = specs(cache)["node-1"]
        stages[bool(faults)] = spec["virtualRouters"][0]["authentication"].get("electionKey")
    assert stages == {False: None, True: "Sign"}


def test_reason_of_a_newer_speaker_is_told_in_its_words() -> None:
    _, cache, reconciler = running()
    found: Any = copy.deepcopy(cache.get("nodeconfigs", "node-2"))
    found["status"]["virtualRouters"][0] |= {"state": "Fault", "faults": ["CableBroken: eth0"]}
    cache.put("nodeconfigs", found, deleted=False, now_s=0.0)
    assert reconciler.run_cycle()
    assert programmed(cache, "a") == ("Pending", "node-2: CableBroken: eth0")


def test_status_of_a_newer_speaker_is_read() -> None:
    status = {
        "heartbeatTime": "2026-01-01T00:00:00Z",
        "novel": {"x": 1},
        "speaker": {"version": "9", "features": ["ElectionKeys", "Telepathy"], "novel": 1},
        "virtualRouters": [{"name": "a", "state": "Pondering", "novel": 1}],
        "checks": [{"name": "web", "novel": 1}],
    }
    found = parse_node_config_status({"status": status})
    assert found is not None
    assert found.features == ("ElectionKeys", "Telepathy")
    assert found.virtual_routers[0].state == "Pondering"
    _, cache, reconciler = running()
    before = specs(cache)
    node: Any = copy.deepcopy(cache.get("nodeconfigs", "node-2"))
    node["status"]["virtualRouters"][0] |= {"state": "Pondering", "novel": 1}
    cache.put("nodeconfigs", node, deleted=False, now_s=0.0)
    assert reconciler.run_cycle()
    assert specs(cache) == before


def lack(server: FakeServer, *fields: str) -> None:
    """Have the API server's kinds be of an earlier version, without these fields."""
    known = server._call

    def call(method: str, path: str, *, body: Any = None, **rest: Any) -> Any:
        for field in fields:
            if body is not None and f"'{field}'" in str(body.get("spec")):
                text = f"{method} {path}: 500 .spec.{field}: field not declared in schema"
                if field == "electionKey":
                    text = text.replace(f".spec.{field}", ELECTION_KEY)
                raise ApiUnavailableError(text, status=500)
        return known(method, path, body=body, **rest)

    server._call = call  # type: ignore[method-assign]  # the server that this one was before


ELECTION_KEY = '.spec.virtualRouters[name=\\"b\\"].authentication.electionKey'


def test_kinds_of_an_earlier_version_get_what_they_know() -> None:
    server, cache, reconciler = running()
    for name in NODES:  # such kinds hold no such fields
        plain: Any = copy.deepcopy(cache.get("nodeconfigs", name))
        del plain["spec"]["virtualRouters"][0]["authentication"]["electionKey"]
        cache.put("nodeconfigs", plain, deleted=False, now_s=0.0)
    say(cache)
    lack(server, "electionKey", "leaseNamespace")
    add(cache, virtual_ip("b", "192.0.2.51"))
    reconciler.run_cycle()
    say(cache)
    cycles(cache, reconciler)
    for spec in specs(cache).values():
        assert [router["name"] for router in spec["virtualRouters"]] == ["a", "b"]
        for router in spec["virtualRouters"]:
            assert router["authentication"] == {
                "type": "HMAC",
                "keyRef": "cluster",
                "mode": "Enforce",
            }
    before = list(server.requests)
    assert reconciler.run_cycle()
    assert [r for r in server.requests[len(before) :] if "nodeconfigs" in r] == []
    assert programmed(cache, "b")[0] == "Programmed"
