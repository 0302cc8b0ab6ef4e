"""What a node's speaker counts as able to, where a status of an older one comes late."""

from __future__ import annotations

from typing import Any

from vrrp_operator.api.cache import ObjectCache

NEW = ("Leases", "ElectionKeys")


def put(cache: ObjectCache, version: int, time: str, *features: str) -> None:
    obj: dict[str, Any] = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": "a", "generation": 1, "resourceVersion": str(version)},
        "spec": {"node": "a", "addresses": [], "virtualRouters": [], "healthChecks": []},
        "status": {"heartbeatTime": time, "speaker": {"features": list(features)}},
    }
    cache.put("nodeconfigs", obj, deleted=False, now_s=version)


def features(cache: ObjectCache) -> tuple[str, ...]:
    status = cache.snapshot(0).reports["a"].status
    assert status is not None
    return status.features


def test_what_an_older_speaker_said_does_not_count_when_it_comes_late() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T00:00:00Z", "Leases")
    put(cache, 2, "2026-01-01T00:00:10Z", *NEW)
    put(cache, 3, "2026-01-01T00:00:05Z", "Leases")
    assert features(cache) == NEW
    put(cache, 4, "2026-01-01T00:00:05Z", "Leases")  # our own write, with the same status
    assert features(cache) == NEW
    put(cache, 5, "2026-01-01T00:00:20Z", *NEW)
    assert features(cache) == NEW


def test_several_that_come_late_count_no_more_than_one() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T00:00:30Z", *NEW)
    for version, second in ((2, 5), (3, 15), (4, 25)):
        put(cache, version, f"2026-01-01T00:00:{second:02}Z", "Leases")
        assert features(cache) == NEW


def test_an_older_speaker_that_begins_counts_at_once() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T00:00:10Z", *NEW)
    put(cache, 2, "2026-01-01T00:00:20Z", "Leases")
    assert features(cache) == ("Leases",)


def test_with_a_clock_that_was_set_back_it_counts_once_nothing_can_be_late() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T12:00:00Z", *NEW)
    put(cache, 2, "2026-01-01T00:00:00Z", "Leases")
    assert features(cache) == NEW
    put(cache, 90, "2026-01-01T00:01:28Z", "Leases")
    assert features(cache) == NEW
    put(cache, 91, "2026-01-01T00:01:29Z", "Leases")
    assert features(cache) == ("Leases",)


def test_what_somebody_took_out_of_a_status_counts_until_the_speaker_says_so() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T00:00:10Z", *NEW)
    put(cache, 200, "2026-01-01T00:00:10Z")
    put(cache, 400, "2026-01-01T00:00:10Z", "Leases")
    assert features(cache) == NEW
    put(cache, 401, "2026-01-01T00:00:20Z", "Leases")
    assert features(cache) == ("Leases",)


def test_what_older_kinds_kept_back_counts_once_it_is_seen() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T00:00:10Z", "Leases")
    put(cache, 2, "2026-01-01T00:00:10Z", *NEW)
    assert features(cache) == NEW


def test_one_that_was_deleted_is_made_anew_with_what_it_says() -> None:
    cache = ObjectCache()
    put(cache, 1, "2026-01-01T12:00:00Z", *NEW)
    gone = cache.get("nodeconfigs", "a")
    assert gone is not None
    cache.put("nodeconfigs", gone, deleted=True, now_s=2)
    put(cache, 3, "2026-01-01T00:00:00Z", "Leases")
    assert features(cache) == ("Leases",)
