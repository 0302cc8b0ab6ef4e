"""Which operator leads: every step of one, and that two never do at once."""

from __future__ import annotations

import random

import pytest

from vrrp_operator.lead.leadership import (
    DURATION_S,
    GIVE_UP_S,
    RENEW_S,
    SPREAD,
    Claim,
    Leadership,
    Lease,
)

NEVER = float("inf")


def leading(at_s: float = 100.0) -> Leadership:
    """Return one that has made the Lease."""
    me = Leadership("me")
    me.saw(None, at_s)
    claim = me.claim(at_s)
    assert claim == Claim(None, 0, anew=True)
    me.attempted(at_s, 0.5)
    me.written(claim, 7, at_s)
    return me


def test_nothing_is_claimed_before_the_lease_was_looked_at() -> None:
    me = Leadership("me")
    assert me.due_s() == NEVER
    assert me.claim(1e9) is None
    assert not me.leads(1e9)


def test_a_lease_that_is_not_there_is_made_and_leads() -> None:
    me = leading()
    assert (me.leads(100.0), me.holder, me.term) == (True, "me", 1)


def test_a_leader_gives_up_by_itself_before_anybody_may_take_over() -> None:
    me = leading()
    assert me.leads(100 + GIVE_UP_S - 0.001)
    assert not me.leads(100 + GIVE_UP_S)
    assert GIVE_UP_S <= DURATION_S - 1


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 1 - SPREAD), (1.0, 1 + SPREAD)])
def test_renewals_come_at_pauses_that_chance_spreads(chance: float, pause: float) -> None:
    me = leading()
    me.attempted(100, chance)
    due_s = 100 + RENEW_S * pause
    assert me.due_s() == due_s
    assert me.claim(due_s - 0.001) is None
    assert me.claim(due_s) == Claim(Lease(7, "me"), 0, anew=False)


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    me = leading()
    claim = me.claim(102)
    assert claim is not None
    me.written(claim, 8, 102)  # answered late
    assert me.leads(104.9)
    assert not me.leads(105)


def test_who_could_not_renew_leads_again_in_the_same_term_if_nobody_took_it() -> None:
    me = leading()
    claim = me.claim(160)
    assert claim == Claim(Lease(7, "me"), 0, anew=False)
    me.written(claim, 8, 160)
    assert (me.leads(160), me.term) == (True, 1)


def test_anothers_lease_is_taken_once_it_has_not_changed_for_its_duration() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "you", 5), 100)
    assert me.due_s() == 100 + DURATION_S
    me.saw(Lease(4, "you", 5), 103)
    assert me.claim(103 + DURATION_S - 0.001) is None
    claim = me.claim(103 + DURATION_S)
    assert claim == Claim(Lease(4, "you", 5), 6, anew=True)
    assert me.term == 0
    me.written(claim, 5, 110)
    assert (me.leads(110), me.term) == (True, 1)


def test_seeing_the_same_lease_again_is_no_renewal() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "you"), 100)
    me.saw(Lease(3, "you"), 103)
    assert me.claim(100 + DURATION_S) is not None


def test_a_lease_that_was_released_is_taken_at_once() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "", 5), 100)
    assert me.claim(100) == Claim(Lease(3, "", 5), 6, anew=True)


def test_what_is_older_than_known_is_no_news() -> None:
    """A list that was made before what a watch has told."""
    me = leading()
    me.saw(Lease(5, "you"), 101)
    assert (me.holder, me.leads(101)) == ("me", True)


def test_who_sees_another_holder_leads_no_more_and_its_next_term_is_a_new_one() -> None:
    me = leading()
    me.saw(Lease(9, "you"), 101)
    assert (me.leads(101), me.holder) == (False, "you")
    claim = me.claim(101 + DURATION_S)
    assert claim is not None
    me.written(claim, 10, 106)
    assert me.term == 2


def test_who_finds_its_lease_deleted_makes_it_in_a_new_term() -> None:
    me = leading()
    me.saw(None, 101)
    assert not me.leads(101)
    claim = me.claim(102)
    assert claim == Claim(None, 0, anew=True)
    me.written(claim, 10, 102)
    assert me.term == 2


def test_a_claim_that_arrived_unanswered_begins_a_term_once_it_is_renewed() -> None:
    me = Leadership("me")
    me.saw(Lease(3, ""), 100)
    assert me.claim(100) is not None
    me.attempted(100, 0.5)
    me.unanswered(102)
    me.saw(Lease(4, "me", 1), 102)
    assert not me.leads(102)
    claim = me.claim(102)
    assert claim == Claim(Lease(4, "me", 1), 1, anew=False)
    me.written(claim, 5, 102)
    assert (me.leads(102), me.term) == (True, 1)


def test_nobody_is_taken_for_silent_while_it_cannot_be_heard() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "you"), 100)
    me.lost_sight()
    assert me.due_s() == NEVER
    assert me.claim(200) is None
    me.unanswered(200)
    assert me.due_s() == NEVER
    me.saw(Lease(3, "you"), 300)
    assert me.due_s() == 300 + DURATION_S


def test_an_older_list_tells_too_that_the_api_server_answers_again() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "you"), 100)
    me.lost_sight()
    me.saw(Lease(2, "you"), 300)
    assert me.due_s() == 300 + DURATION_S


def test_whoever_may_lead_gets_its_time_anew_after_a_claim_without_an_answer() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "you"), 100)
    assert me.claim(104) is not None
    me.attempted(104, 0.5)
    me.unanswered(106)
    assert me.due_s() == 106 + DURATION_S


def test_an_answer_that_comes_after_another_one_took_the_lease_changes_nothing() -> None:
    me = leading()
    claim = me.claim(102)
    assert claim is not None
    me.saw(Lease(9, "you"), 110)
    me.written(claim, 8, 102)
    assert (me.holder, me.leads(102)) == ("you", False)


def test_a_release_gives_back_what_is_held_and_ends_the_part() -> None:
    me = leading()
    assert me.released() == Claim(Lease(7, "me"), 0, anew=False)
    assert not me.leads(100)
    assert me.due_s() == NEVER
    assert me.released() is None


def test_who_does_not_hold_it_gives_nothing_back() -> None:
    me = Leadership("me")
    me.saw(Lease(3, "you"), 100)
    assert me.released() is None


class Store:
    """An API server that refuses what is written over another version."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.version = 0

    def write(self, who: Leadership, claim: Claim) -> int | None:
        """Return the version, or None where it is another one by now."""
        if claim.over != self.lease:
            return None
        self.version += 1
        self.lease = Lease(self.version, who.identity, claim.transitions)
        return self.version


class Race:
    """Two with clocks of their own; each may stand still, see late, and get no answer."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.store = Store()
        self.skews_s = {Leadership("a"): 0.0, Leadership("b"): self.rng.uniform(-1e6, 1e6)}
        self.stands_until_s = dict.fromkeys(self.skews_s, 0.0)
        self.arriving: list[tuple[float, Leadership, Claim, float]] = []
        self.now_s = 0.0

    def step(self) -> list[str]:
        """Let a moment pass; return who leads."""
        self.now_s += self.rng.choice((0.01, 0.1, 0.5))
        for who in self.skews_s:
            if self.rng.random() < 0.002:
                self.stands_until_s[who] = self.now_s + self.rng.uniform(0, 20)
            if self.now_s >= self.stands_until_s[who]:
                self._look_and_claim(who, self.now_s + self.skews_s[who])
        for arrival in [a for a in self.arriving if a[0] <= self.now_s]:
            self.arriving.remove(arrival)
            self._arrive(*arrival[1:])
        return [
            who.identity for who, skew_s in self.skews_s.items() if who.leads(self.now_s + skew_s)
        ]

    def _look_and_claim(self, who: Leadership, its_now_s: float) -> None:
        if self.rng.random() < 0.5:
            who.saw(self.store.lease, its_now_s)
        if self.rng.random() < 0.01:
            who.lost_sight()
        claim = who.claim(its_now_s)
        if claim is not None:
            who.attempted(its_now_s, self.rng.random())
            took_s = self.rng.choice((0.01, 0.2, 2.0, 9.0))
            self.arriving.append((self.now_s + took_s, who, claim, its_now_s))

    def _arrive(self, who: Leadership, claim: Claim, sent_s: float) -> None:
        version = self.store.write(who, claim)
        if self.rng.random() < 0.1:
            who.unanswered(self.now_s + self.skews_s[who])
        elif version is not None:
            who.written(claim, version, sent_s)


@pytest.mark.parametrize("seed", range(20))
def test_two_never_lead_at_once_whatever_is_late_or_lost(seed: int) -> None:
    led: set[str] = set()
    for number in range(10):
        race = Race(10 * seed + number)
        while race.now_s < 300:
            leaders = race.step()
            assert len(leaders) < 2
            led.update(leaders)
    assert led == {"a", "b"}
