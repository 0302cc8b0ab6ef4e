"""The speaker's series: they agree with each other and go with their VirtualIP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.agent.node import engine, view

from vrrp.constants import State, TransitionReason
from vrrp_speaker.agent.serving.metrics import NodeCollector
from vrrp_speaker.agent.view import CheckView, NodeView
from vrrp_speaker.shared_state import Conflict, ForeignRouter
from vrrp_speaker.shared_state import layout as shm

CHECK = CheckView("web", True, False, 0.0, "timed out", 1.5, 3)
PENDING = CheckView("dns", False, False, 0.0, "", 0.0, 0)


def scrape(seen: NodeView) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    registry = CollectorRegistry()
    registry.register(NodeCollector(lambda: seen))
    text = generate_latest(registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def values(seen: NodeView, name: str, label: str = "virtual_ip") -> dict[str, float]:
    return {
        dict(labels).get(label, ""): value
        for (found, labels), value in scrape(seen).items()
        if found == name
    }


def test_master_is_1_where_the_state_is_active(tmp_path: Path) -> None:
    seen = view(engine(tmp_path, State.ACTIVE, State.FAULT), ("a", "b"))
    assert values(seen, "kube_vrrp_master") == {"a": 1.0, "b": 0.0}
    states = {
        (dict(labels)["virtual_ip"], dict(labels)["state"]): value
        for (name, labels), value in scrape(seen).items()
        if name == "kube_vrrp_state"
    }
    assert {key for key, value in states.items() if value} == {("a", "Active"), ("b", "Fault")}
    assert len(states) == 8


def test_series_go_with_their_virtual_ip(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.BACKUP)
    assert set(values(view(shared, ("a", "b")), "kube_vrrp_master")) == {"a", "b"}
    shared.clear_slot(1)
    after = scrape(view(shared, ("a",)))
    assert not [labels for _, labels in after if ("virtual_ip", "b") in labels]


def test_a_slot_that_another_router_took_is_not_mistaken_for_it(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE)
    shared.set(shm.slot_offset(0) + shm.S_VRID, 99)
    assert values(view(shared, ("a",)), "kube_vrrp_master") == {}


def test_foreign_advertisements_are_counted_for_their_virtual_ip(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.BACKUP)
    shared.note_foreign(1, ForeignRouter(bytes(4), 150, 6_000_000_000))
    shared.set(shm.H_UNOBSERVED, 2)
    shared.set(shm.H_LINK_CHANGES, 3)
    seen = view(shared, ("a", "b"))
    counted = values(seen, "kube_vrrp_foreign_advertisements_total")
    assert counted == {"a": 0.0, "b": 1.0}
    assert values(seen, "kube_vrrp_unobserved_groups") == {"": 2.0}
    assert values(seen, "kube_vrrp_link_changes_total") == {"": 3.0}


def test_members_that_no_list_names_are_told_by_address(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.BACKUP)
    place = shared.learn(1, bytes((192, 0, 2, 14)), 6_000_000_000)
    shared.note_heard(place, 6_000_000_000)
    shared.learn(1, bytes((192, 0, 2, 15)), 6_000_000_000)
    seen = view(shared, ("a", "b"))
    assert values(seen, "kube_vrrp_learned_members") == {"a": 0.0, "b": 1.0}
    received = values(seen, "kube_vrrp_advertisements_received_total", "peer")
    assert received == {"node-2": 77.0, "node-3": 0.0, "192.0.2.14": 1.0}
    assert "192.0.2.14" in values(seen, "kube_vrrp_last_advertisement_timestamp_seconds", "peer")


def test_conflicts_are_counted_for_their_virtual_ip(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.BACKUP)
    shared.note_conflict(0, Conflict(bytes(4), bytes(6), 6_000_000_000), 3)
    counted = values(view(shared, ("a", "b")), "kube_vrrp_address_conflicts_total")
    assert counted == {"a": 3.0, "b": 0.0}


def test_peers_and_transitions_are_labelled(tmp_path: Path) -> None:
    seen = view(engine(tmp_path, State.ACTIVE), ("a",))
    received = values(seen, "kube_vrrp_advertisements_received_total", "peer")
    assert received == {"node-2": 77.0, "node-3": 0.0}
    heard = values(seen, "kube_vrrp_last_advertisement_timestamp_seconds", "peer")
    assert set(heard) == {"node-2"}  # nothing was heard of node-3 yet
    transitions = [
        (dict(labels)["from"], dict(labels)["to"], dict(labels)["reason"], value)
        for (name, labels), value in scrape(seen).items()
        if name == "kube_vrrp_transitions_total"
    ]
    assert transitions == [("Backup", "Active", "ActiveDownTimerExpired", 1.0)]


def test_takeovers_are_counted_from_zero_on(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.BACKUP)
    shared.add32(shm.slot_offset(0) + _became_active(TransitionReason.FAULT_CLEARED))
    seen = view(shared, ("a", "b", "c"))
    assert values(seen, "kube_vrrp_takeovers_total") == {"a": 2.0, "b": 1.0}
    (tmp_path / "fresh").mkdir()
    fresh = engine(tmp_path / "fresh", State.BACKUP)
    fresh.set(shm.slot_offset(0) + _became_active(TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED), 0)
    assert values(view(fresh, ("a",)), "kube_vrrp_takeovers_total") == {"a": 0.0}
    assert values(view(fresh, ("a",)), "kube_vrrp_transitions_total") == {}


def _became_active(reason: TransitionReason) -> int:
    return shm.transition_offset(State.BACKUP, State.ACTIVE, reason)


def test_what_keeps_a_node_from_holding_is_named_while_it_does(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE, State.FAULT)
    seen = view(shared, ("a", "b"))
    assert values(seen, "kube_vrrp_fault", "reason") == {"CheckFailed": 1.0}
    assert values(seen, "kube_vrrp_fault") == {"b": 1.0}
    assert values(replace(seen, input_faults={}), "kube_vrrp_fault") == {}


def test_what_was_refused_is_told(tmp_path: Path) -> None:
    seen = view(engine(tmp_path), ())
    for metric, refused in (
        ("kube_vrrp_config_refused", replace(seen, config_refused=True)),
        ("kube_vrrp_keys_refused", replace(seen, keys_refused=True)),
    ):
        assert values(seen, metric, "node") == {"node-1": 0.0}
        assert values(refused, metric, "node") == {"node-1": 1.0}


def test_every_series_names_its_node(tmp_path: Path) -> None:
    seen = view(engine(tmp_path, State.ACTIVE, State.FAULT), ("a", "b"), CHECK)
    nameless = {name for name, labels in scrape(seen) if ("node", "node-1") not in labels}
    assert nameless == {"kube_vrrp_build_info"}


def test_generations_and_restarts(tmp_path: Path) -> None:
    seen = view(engine(tmp_path), ())
    generations = values(seen, "kube_vrrp_config_generation", "kind")
    assert generations == {"desired": 10.0, "applied": 9.0}
    assert values(seen, "kube_vrrp_engine_restarts_total")[""] == 2.0
    assert values(seen, "kube_vrrp_config_source", "source") == {"api": 1, "cache": 0, "file": 0}


def test_lateness_buckets_are_cumulative(tmp_path: Path) -> None:
    shared = engine(tmp_path)
    for bucket in (0, 0, 2, len(shm.LATENESS_BOUNDS_NS)):
        shared.add(shm.H_LATENESS + 8 * bucket)
    seen = view(shared, ())
    buckets = values(seen, "kube_vrrp_loop_lateness_seconds_bucket", "le")
    assert (buckets["0.00025"], buckets["0.0005"], buckets["0.001"], buckets["1.0"]) == (2, 2, 3, 3)
    assert buckets["+Inf"] == 4
    assert values(seen, "kube_vrrp_loop_lateness_seconds_count")[""] == 4


def test_takeovers_and_handovers_are_histograms(tmp_path: Path) -> None:
    shared = engine(tmp_path)
    shared.note_duration(shm.H_TAKEOVERS, 60_000_000)
    shared.note_duration(shm.H_HANDOVERS, 4_000_000)
    for name, under, total in (("takeover", "0.05", 0.06), ("handover", "0.005", 0.004)):
        buckets = values(view(shared, ()), f"kube_vrrp_{name}_seconds_bucket", "le")
        assert (buckets[under], buckets["0.1"]) == (float(name == "handover"), 1)
        assert values(view(shared, ()), f"kube_vrrp_{name}_seconds_sum")[""] == total


def test_an_engine_that_does_not_turn_holds_nothing(tmp_path: Path) -> None:
    shared = engine(tmp_path, State.ACTIVE)
    shared.set(shm.slot_offset(0) + shm.S_ADDRESS_PRESENT, 1)
    for now_s, held in ((7, 1.0), (10, 1.0), (11, 0.0)):
        seen = view(shared, ("a",), now_ns=now_s * 10**9)
        assert values(seen, "kube_vrrp_master") == {"a": held}
        assert values(seen, "kube_vrrp_address_present") == {"a": held}


def test_undecided_check_has_no_verdict(tmp_path: Path) -> None:
    seen = view(engine(tmp_path), (), CHECK, PENDING)
    assert values(seen, "kube_vrrp_check_passing", "check") == {"web": 0.0}
    assert values(seen, "kube_vrrp_check_duration_seconds_sum", "check")["web"] == 1.5


def test_without_an_engine_there_is_still_something_to_scrape() -> None:
    found = scrape(view(None, ("a",)))
    assert ("kube_vrrp_build_info", frozenset({("version", "0.1.0")})) in found
    assert not [name for name, _ in found if name == "kube_vrrp_master"]
