"""Events are bounded, written once, and hold nothing up."""

from __future__ import annotations

import threading
from typing import Any

from tests.eventually import eventually

from vrrp_operator.api.api_server import ApiUnavailableError, ObjectGoneError
from vrrp_operator.report.event_budget import (
    OBJECT_BURST,
    OBJECT_REFILL_S,
    SERIES_EVERY_S,
    TOTAL_BURST,
    EventBudget,
    SeriesUpdate,
    Verdict,
)
from vrrp_operator.report.events import EventReason, Occurrence, Regarding
from vrrp_operator.write.apply import Writer
from vrrp_operator.write.event_poster import MAX_WAITING, EventPoster

NOW = "2026-03-01T12:00:00.000000Z"


def occurrence(key: int, uid: str = "a", time: str = "") -> Occurrence:
    regarding = Regarding("VirtualIP", f"vip-{uid}", uid)
    return Occurrence(regarding, EventReason.BECAME_ACTIVE, str(key), f"note {key}", time)


# The budget ------------------------------------------------------------------------------


def test_object_that_flaps_is_a_series_and_gets_one_event_a_minute() -> None:
    budget = EventBudget()
    verdicts = [budget.judge(occurrence(n), 0.0, NOW) for n in range(OBJECT_BURST + 5)]
    assert verdicts == [Verdict.POST] * OBJECT_BURST + [Verdict.FOLD] * 5
    assert budget.due(SERIES_EVERY_S - 1) == []
    last = occurrence(OBJECT_BURST - 1)
    assert budget.due(SERIES_EVERY_S) == [SeriesUpdate(last.name, 6, NOW)]
    assert budget.due(2 * SERIES_EVERY_S) == []
    assert budget.judge(occurrence(99), OBJECT_REFILL_S, NOW) is Verdict.POST
    assert budget.judge(occurrence(100), OBJECT_REFILL_S, NOW) is Verdict.FOLD


def test_one_object_does_not_use_up_what_another_may() -> None:
    budget = EventBudget()
    for n in range(100):
        budget.judge(occurrence(n), 0.0, NOW)
    assert budget.judge(occurrence(0, "b"), 0.0, NOW) is Verdict.POST


def test_all_together_have_a_budget_too() -> None:
    budget = EventBudget()
    verdicts = [budget.judge(occurrence(0, str(n)), 0.0, NOW) for n in range(TOTAL_BURST + 3)]
    assert verdicts.count(Verdict.POST) == TOTAL_BURST
    assert verdicts[-3:] == [Verdict.DROP] * 3


def test_series_ends_with_its_event_and_nothing_is_kept_for_ever() -> None:
    budget = EventBudget()
    for n in range(OBJECT_BURST + 1):
        budget.judge(occurrence(n), 0.0, NOW)
    budget.due(7200.0)
    assert budget.due(7300.0) == []
    for n in range(OBJECT_BURST):
        budget.judge(occurrence(n), 7300.0, NOW)
    assert budget.judge(occurrence(99), 7300.0, NOW) is Verdict.FOLD
    assert budget.due(7300.0 + SERIES_EVERY_S)[0].count == 2


# The poster ------------------------------------------------------------------------------


class Client:
    """Takes Events, or is away."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.series: list[SeriesUpdate] = []
        self.away = False

    def create_event(self, obj: dict[str, Any]) -> str:
        if self.away:
            raise ApiUnavailableError("away")
        name = obj["metadata"]["name"]
        if name in self.names:
            return "known"
        self.names.append(name)
        return "created"

    def count_event(self, update: SeriesUpdate) -> None:
        if self.away:
            raise ApiUnavailableError("away")
        self.series.append(update)


def poster(client: Client) -> tuple[EventPoster, list[str]]:
    outcomes: list[str] = []
    return EventPoster(client, "operator-0", ApiUnavailableError, outcomes.append), outcomes


def try_to_work(made: EventPoster, now_s: float) -> bool:
    try:
        made.work(now_s)
    except ApiUnavailableError:
        return False
    return True


def test_outage_delays_events_and_costs_none_of_the_budget() -> None:
    client = Client()
    made, outcomes = poster(client)
    client.away = True
    made.post(occurrence(n) for n in range(OBJECT_BURST))
    assert not any(try_to_work(made, 0.0) for _ in range(50))
    client.away = False
    assert try_to_work(made, 0.0)
    assert client.names == [occurrence(n).name for n in range(OBJECT_BURST)]
    assert outcomes == ["created"] * OBJECT_BURST


def test_what_waits_is_bounded_and_what_does_not_fit_is_counted() -> None:
    client = Client()
    made, outcomes = poster(client)
    made.post(occurrence(0, str(n)) for n in range(MAX_WAITING + 7))
    assert outcomes == ["dropped"] * 7


def test_what_another_operator_told_is_known() -> None:
    client = Client()
    for expected in ("created", "known"):
        made, outcomes = poster(client)
        made.post([occurrence(1)])
        made.work(0.0)
        assert outcomes == [expected]
    assert client.names == [occurrence(1).name]


def test_nothing_is_posted_while_another_operator_posts_and_what_waits_is_dropped() -> None:
    client, outcomes, may_post = Client(), list[str](), threading.Event()
    made = EventPoster(
        client, "operator-0", ApiUnavailableError, outcomes.append, may_post=may_post.is_set
    )
    made.post([occurrence(1), occurrence(2)])
    made.start()
    eventually(lambda: outcomes == ["dropped", "dropped"], within_s=30)
    assert client.names == []
    may_post.set()
    made.post([occurrence(3)])
    eventually(lambda: outcomes[2:] == ["created"], within_s=30)


def test_series_is_written_and_survives_an_outage() -> None:
    client = Client()
    made, outcomes = poster(client)
    made.post(occurrence(n) for n in range(OBJECT_BURST + 2))
    made.work(0.0)
    assert outcomes[-2:] == ["folded", "folded"]
    client.away = True
    assert not try_to_work(made, SERIES_EVERY_S)
    client.away = False
    assert try_to_work(made, SERIES_EVERY_S)
    assert [(update.name, update.count) for update in client.series] == [
        (occurrence(OBJECT_BURST - 1).name, 3)
    ]


def test_posting_goes_on_in_a_thread_after_the_api_server_was_away() -> None:
    client = Client()
    made, _ = poster(client)
    client.away = True
    made.start()
    made.post([occurrence(1)])
    client.away = False
    eventually(lambda: client.names == [occurrence(1).name], within_s=10)


# The requests ----------------------------------------------------------------------------


class Server(Writer):
    """Answers with one status."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.requests: list[tuple[str, str, str]] = []

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        self.requests.append((method, path.rpartition("/")[2], arguments["content_type"]))
        if self.status == 404 and method == "PATCH":
            raise ObjectGoneError("gone", 404)
        if self.status >= 400:
            raise ApiUnavailableError("no", self.status)
        return {}


def outcome(status: int) -> str:
    obj = occurrence(1).to_object(NOW, "operator-0")
    try:
        return Server(status).create_event(obj)
    except ApiUnavailableError:
        return "tried again"


def test_answers_to_a_new_event() -> None:
    found = {status: outcome(status) for status in (201, 409, 422, 404, 400, 403, 429, 500)}
    assert found == {
        201: "created",
        409: "known",
        422: "refused",
        404: "refused",
        400: "refused",
        403: "tried again",
        429: "tried again",
        500: "tried again",
    }


def test_series_of_an_event_that_is_gone_is_no_error() -> None:
    update = SeriesUpdate("a.1", 3, NOW)
    for status in (200, 404):
        server = Server(status)
        server.count_event(update)
        assert server.requests == [("PATCH", "a.1", "application/merge-patch+json")]
