"""When something that failed is tried again."""

from __future__ import annotations

from vrrp_speaker.agent.retry import Retry


def test_nothing_is_tried_that_did_not_fail() -> None:
    assert not Retry().take(1e9)


def test_each_failure_waits_longer_up_to_a_minute() -> None:
    retry, now_s, waited = Retry(), 0.0, []
    for _ in range(20):
        retry.failed(now_s)
        assert retry.due_s is not None
        assert not retry.take(retry.due_s - 0.001)
        waited.append(retry.due_s - now_s)
        now_s = retry.due_s
        assert retry.take(now_s)
        assert not retry.take(now_s), "once for each failure"
    assert waited[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waited[-1] == 60.0


def test_success_of_something_older_cancels_no_try_that_is_due() -> None:
    """As when an engine loads the program before the one whose compiler was killed."""
    retry = Retry()
    retry.failed(0.0)
    retry.worked()
    assert retry.take(0.5)
    retry.worked()
    retry.failed(10.0)
    assert retry.due_s == 10.5, "begun anew"


def test_what_is_over_is_tried_no_more_and_begins_anew() -> None:
    retry = Retry()
    retry.failed(0.0)
    retry.failed(0.0)
    retry.over()
    assert not retry.take(100.0)
    retry.failed(100.0)
    assert retry.due_s == 100.5
