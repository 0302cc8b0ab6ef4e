"""Ready endpoints by node, from slices; and the watch that keeps them up to date."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

from tests.eventually import eventually

from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.endpoints import EndpointWatch, ServiceEndpoints
from vrrp_operator.model.services import count_ready, ready_by_node, selector, service_of


def endpoint(node: str | None, pod: str, ready: bool | None = True) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": [f"10.0.0.{len(pod)}"], "targetRef": {"uid": pod}}
    if node is not None:
        found["nodeName"] = node
    if ready is not None:
        found["conditions"] = {"ready": ready}
    return found


def slice_of(service: str, name: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    namespace, _, of = service.partition("/")
    labels = {"kubernetes.io/service-name": of}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "resourceVersion": "7"}
    return {"metadata": metadata, "endpoints": list(endpoints)}


def test_an_endpoint_counts_on_its_node_while_it_is_ready() -> None:
    found = ready_by_node(
        slice_of(
            "web/nginx",
            "a",
            endpoint("node-1", "one"),
            endpoint("node-1", "two", ready=None),
            endpoint("node-2", "three", ready=False),
            endpoint(None, "four"),
        )
    )
    assert {node: len(pods) for node, pods in found.items()} == {"node-1": 2}


def test_a_pod_in_several_slices_counts_once() -> None:
    four = ready_by_node(slice_of("web/nginx", "v4", endpoint("node-1", "one")))
    six = ready_by_node(
        slice_of("web/nginx", "v6", endpoint("node-1", "one"), endpoint("node-1", "two"))
    )
    assert count_ready([four, six]) == {"node-1": 2}


def test_endpoints_without_a_pod_are_told_apart_by_address() -> None:
    bare = [{"addresses": [a], "nodeName": "node-1"} for a in ("192.0.2.1", "192.0.2.2")]
    assert count_ready([ready_by_node(slice_of("web/nginx", "a", *bare))]) == {"node-1": 2}


def test_the_selector_picks_the_services_and_no_others() -> None:
    text = selector(["web/nginx", "kube-system/dns", "other/nginx"])
    assert text == "kubernetes.io/service-name in (dns,nginx)"
    assert service_of(slice_of("web/nginx", "a")) == "web/nginx"


def test_a_service_is_none_until_it_has_a_slice_and_after_its_last_one() -> None:
    endpoints = ServiceEndpoints()
    assert endpoints.replace({"web/nginx"}, [slice_of("other/nginx", "a")])
    assert endpoints.known() == {"web/nginx": None}
    assert endpoints.put(slice_of("web/nginx", "a"), deleted=False)
    assert endpoints.known() == {"web/nginx": {}}
    assert endpoints.put(slice_of("web/nginx", "a", endpoint("node-1", "one")), deleted=False)
    assert endpoints.known() == {"web/nginx": {"node-1": 1}}
    assert endpoints.put(slice_of("web/nginx", "a"), deleted=True)
    assert endpoints.known() == {"web/nginx": None}
    assert not endpoints.put(slice_of("web/nginx", "a"), deleted=True)


def test_what_changes_no_readiness_is_no_news() -> None:
    endpoints = ServiceEndpoints()
    before = slice_of("web/nginx", "a", endpoint("node-1", "one"))
    endpoints.replace({"web/nginx"}, [before])
    assert not endpoints.put({**before, "ports": [{"port": 80}]}, deleted=False)
    assert not endpoints.put(slice_of("other/nginx", "a", endpoint("node-2", "x")), deleted=False)
    assert endpoints.known() == {"web/nginx": {"node-1": 1}}


class FakeReader:
    """Answers lists from ``slices`` and watches from ``events``; an exception in them is raised."""

    def __init__(self) -> None:
        self.slices: list[Any] = []
        self.events: SimpleQueue[Any] = SimpleQueue()
        self.asked: list[str] = []
        self.refused = False

    def list_selected(self, path: str, label_selector: str) -> tuple[Sequence[Any], str]:
        self.asked.append(label_selector)
        if self.refused:
            raise ApiUnavailableError("GET endpointslices: 403 forbidden")
        return list(self.slices), "5"

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Any]]:
        self.asked.append(f"watch from {version}")
        while (event := self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event


def watching(reader: FakeReader, *services: str) -> tuple[EndpointWatch, threading.Event]:
    watch, changed = EndpointWatch(reader, ApiUnavailableError), threading.Event()
    watch.on_change(changed.set)
    watch.follow(frozenset(services))
    return watch, changed


def test_services_are_known_when_follow_returns_and_changes_are_told() -> None:
    reader = FakeReader()
    reader.slices = [slice_of("web/nginx", "a", endpoint("node-1", "one"))]
    watch, changed = watching(reader, "web/nginx", "web/absent")
    assert watch.known() == {"web/nginx": {"node-1": 1}, "web/absent": None}
    watch.follow(frozenset({"web/nginx", "web/absent"}))
    assert reader.asked.count(selector(["web/nginx", "web/absent"])) == 1
    reader.events.put(("MODIFIED", slice_of("web/nginx", "a", endpoint("node-1", "one", False))))
    assert changed.wait(5)
    assert watch.known()["web/nginx"] == {}
    reader.events.put(None)  # the server ends a watch now and then: it goes on where it was
    eventually(lambda: "watch from 7" in reader.asked, within_s=5)
    watch.stop()
    reader.events.put(None)


def test_a_watch_that_breaks_lists_anew_and_keeps_what_it_knew_until_then() -> None:
    reader = FakeReader()
    reader.slices = [slice_of("web/nginx", "a", endpoint("node-1", "one"))]
    watch, changed = watching(reader, "web/nginx")
    reader.refused = True
    reader.events.put(ApiUnavailableError("broken off"))
    eventually(lambda: len(reader.asked) >= 3, within_s=5)
    assert watch.known() == {"web/nginx": {"node-1": 1}}
    reader.slices = [slice_of("web/nginx", "a", endpoint("node-2", "two"))]
    reader.refused = False
    assert changed.wait(10)
    assert watch.known() == {"web/nginx": {"node-2": 1}}
    watch.stop()
    reader.events.put(None)


def test_a_version_that_is_too_old_asks_for_a_new_list() -> None:
    reader = FakeReader()
    watch, _ = watching(reader, "web/nginx")
    reader.events.put(("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))
    reader.events.put(("ERROR", {"code": 410}))
    eventually(lambda: reader.asked.count(selector(["web/nginx"])) == 2, within_s=5)
    watch.stop()
    reader.events.put(None)


def test_services_that_cannot_be_read_stay_unknown_and_others_as_they_were() -> None:
    reader = FakeReader()
    reader.slices = [slice_of("web/nginx", "a", endpoint("node-1", "one"))]
    watch, _ = watching(reader, "web/nginx")
    reader.refused = True
    watch.follow(frozenset({"web/nginx", "web/other"}))
    assert watch.known() == {"web/nginx": {"node-1": 1}}
    reader.refused = False
    watch.follow(frozenset({"web/nginx", "web/other"}))
    assert watch.known()["web/other"] is None
    watch.follow(frozenset())
    assert watch.known() == {}
    for _ in range(2):
        reader.events.put(None)


def test_nothing_is_asked_while_no_check_names_a_service() -> None:
    reader = FakeReader()
    watching(reader)
    assert reader.asked == []
