"""The operators' Lease: what is written of it, and what becomes of answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from vrrp_operator.api.api_server import ApiUnavailableError, ObjectGoneError
from vrrp_operator.lead.elector import Elector
from vrrp_operator.lead.leadership import Leadership
from vrrp_operator.lead.lease_store import NAME, LeaseStore

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-vrrp/leases"


class FakeStore(LeaseStore):
    """Keeps one Lease, as the API server would."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self.path = PATH
        self.lease: dict[str, Any] | None = None
        self.version = 10
        self.requests: list[str] = []
        self.answer: ApiUnavailableError | None = None
        """What every request comes to."""
        self.in_between: dict[str, Any] | None = None
        """What somebody else writes just before the next request."""

    def hold(self, holder: str, **spec: Any) -> dict[str, Any]:
        """Have somebody hold it."""
        self.version += 1
        metadata = {"name": NAME, "resourceVersion": str(self.version)}
        self.lease = {"metadata": metadata, "spec": {"holderIdentity": holder, **spec}}
        return self.lease

    def list_selected(self, path: str, label_selector: str) -> tuple[list[Any], str]:
        """Return it."""
        assert (path, label_selector) == (PATH, "kube-vrrp.io/leader=operator")
        return [self.lease] if self.lease is not None else [], str(self.version)

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Any]]:
        """A watch that tells nothing and breaks off."""
        raise ApiUnavailableError("broken off")

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Any = None,
        content_type: str = "",
        timeout_s: tuple[float, float] = (0.0, 0.0),
    ) -> Any:
        assert sum(timeout_s) < 3, "an attempt outlasts the leader's time"
        self.requests.append(f"{method} {path.removeprefix(PATH)}")
        if self.answer is not None:
            raise self.answer
        if self.in_between is not None:
            self.hold(**self.in_between)
            self.in_between = None
        if method == "GET":
            if self.lease is None:
                raise ApiUnavailableError("404", 404)
            return self.lease
        assert body is not None
        assert body["metadata"]["labels"] == {"kube-vrrp.io/leader": "operator"}
        if method == "POST":
            if self.lease is not None:
                raise ApiUnavailableError("409", 409)
            return self.hold("", **{}) | self._merge(body)
        if self.lease is None:
            raise ObjectGoneError("404", 404)
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiUnavailableError("409", 409)
        return self._merge(body)

    def _merge(self, body: Mapping[str, Any]) -> dict[str, Any]:
        before = self.lease["spec"] if self.lease is not None else {}
        return self.hold(**_named({**before, **body["spec"]}))


def _named(spec: dict[str, Any]) -> dict[str, Any]:
    return {"holder": spec.pop("holderIdentity"), **spec}


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def begun(store: FakeStore) -> tuple[Elector, Clock]:
    """Return an elector that has looked, its thread not running."""
    clock = Clock()
    elector = Elector(store, Leadership("me"), clock=clock, chance=lambda: 0.5)
    elector.replace([store.lease] if store.lease is not None else [])
    return elector, clock


def spec(store: FakeStore) -> dict[str, Any]:
    assert store.lease is not None
    found: dict[str, Any] = store.lease["spec"]
    return found


def test_the_lease_is_made_and_renewed() -> None:
    store = FakeStore("me")
    elector, clock = begun(store)
    assert not elector.leads()
    elector.turn()
    assert (elector.leads(), elector.term) == (True, 1)
    made = dict(spec(store))
    assert (made["holderIdentity"], made["leaseDurationSeconds"]) == ("me", 4)
    assert (made["leaseTransitions"], made["acquireTime"]) == (0, made["renewTime"])
    clock.now_s += 1
    elector.turn()
    assert store.requests == ["POST ", f"PATCH /{NAME}"]
    assert spec(store)["renewTime"] > made["renewTime"]
    assert spec(store)["acquireTime"] == made["acquireTime"]


def test_what_another_one_took_meanwhile_is_read_and_not_taken() -> None:
    store = FakeStore("me")
    store.hold("you", leaseTransitions=3)
    elector, clock = begun(store)
    clock.now_s += 4
    store.in_between = {"holder": "they"}
    elector.turn()
    assert store.requests == [f"PATCH /{NAME}", f"GET /{NAME}"]
    assert not elector.leads()
    clock.now_s += 3.9
    elector.turn()
    assert len(store.requests) == 2
    clock.now_s += 0.1
    elector.turn()
    assert (elector.leads(), spec(store)["holderIdentity"]) == (True, "me")


def test_a_lease_that_somebody_deletes_is_made_anew() -> None:
    store = FakeStore("me")
    elector, clock = begun(store)
    elector.turn()
    store.lease = None
    clock.now_s += 1
    elector.turn()
    clock.now_s += 1
    elector.turn()
    assert store.requests[1:] == [f"PATCH /{NAME}", f"GET /{NAME}", "POST "]
    assert (elector.leads(), elector.term) == (True, 2)


def test_a_watch_tells_of_a_release_and_of_a_deletion() -> None:
    store = FakeStore("me")
    elector, _ = begun(store)
    elector.put(store.hold("you"), deleted=False)
    elector.turn()
    assert not store.requests
    elector.put({"metadata": {"name": "another", "resourceVersion": "9"}}, deleted=False)
    elector.put(store.hold(""), deleted=False)
    elector.turn()
    assert elector.leads()
    assert store.lease is not None
    elector.put(store.lease, deleted=True)
    assert not elector.leads()


@pytest.mark.parametrize("status", [0, 500])
def test_who_cannot_renew_gives_up_in_time_and_says_so_once(status: int) -> None:
    store = FakeStore("me")
    elector, clock = begun(store)
    told: list[bool] = []
    elector._changed = lambda: told.append(elector.leads())
    elector.turn()
    store.answer = ApiUnavailableError("away", status)
    for _ in range(5):
        clock.now_s += 1
        elector.turn()
    assert told == [True, False]
    assert str(elector.problem) == "away"
    store.answer = None
    clock.now_s += 1
    elector.turn()
    assert (told, elector.term) == ([True, False, True], 1)
    assert elector.problem is None


def test_what_lacks_is_a_problem_until_it_is_there() -> None:
    """A namespace that is not there, or a right."""
    store = FakeStore("me")
    elector, clock = begun(store)
    for status in (403, 404):
        store.answer = ApiUnavailableError("no", status)
        clock.now_s += 1
        elector.turn()
        elector.replace([])
        assert elector.problem is store.answer
    assert store.requests == ["POST ", "POST "]


def test_a_stand_by_that_sees_the_lease_again_has_no_problem() -> None:
    store = FakeStore("me")
    store.hold("you")
    elector, clock = begun(store)
    clock.now_s += 4
    store.answer = ApiUnavailableError("away")
    elector.turn()
    assert elector.problem is store.answer
    elector.broke(refused=False)
    clock.now_s += 100
    elector.turn()
    assert len(store.requests) == 1
    elector.put(store.hold("you"), deleted=False)
    assert elector.problem is None


def test_a_release_names_nobody_and_is_done_once() -> None:
    store = FakeStore("me")
    elector, _ = begun(store)
    elector.turn()
    elector.stop()
    assert not elector.leads()
    assert spec(store)["holderIdentity"] == ""
    elector.stop()
    assert store.requests == ["POST ", f"PATCH /{NAME}"]


def test_a_release_is_not_done_over_another_ones_lease_and_ends_all_the_same() -> None:
    store = FakeStore("me")
    elector, _ = begun(store)
    elector.turn()
    store.hold("you")
    elector.stop()
    assert spec(store)["holderIdentity"] == "you"
    assert not elector.leads()


def test_its_threads_look_take_the_lease_and_end() -> None:
    store = FakeStore("me")
    elector = Elector(store, Leadership("me"))
    leads = threading.Event()
    elector.start(lambda: leads.set() if elector.leads() else None)
    assert leads.wait(30)
    elector.stop()
    assert elector._thread is not None
    assert not elector._thread.is_alive()
    assert spec(store)["holderIdentity"] == ""
