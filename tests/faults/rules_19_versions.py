"""Two versions at a time: what one does not know, and an election's key that goes at once."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import ENCODER, PLACING, RECONCILE, membership, unit

_AGENT = "speaker/vrrp_speaker/agent/"

FAULTS = (
    Fault(
        19,
        "what an operator does not know of an election it leaves as it is written",
        RECONCILE,
        "as_written(known, report, planned.untouched)",
        "known",
        unit("operator/other_versions", "changed_spec_waits_for_the_version_that_knows"),
    ),
    Fault(
        19,
        "a step waits for a node that does not understand what it is asked",
        membership("facts"),
        "not _is_not_understood(told),\n",
        "True,\n",
        unit("operator/other_versions", "steps_wait_for_a_node_that_does_not_understand"),
    ),
    Fault(
        19,
        "a router that a speaker cannot read stays what it was",
        f"{_AGENT}config/not_understood.py",
        "kept = _with_kept(arrived.config, arrived.not_understood.keys(), running)",
        "kept = arrived.config",
        unit("agent/not_understood", "router_that_ran_stays_as_it_was_with_its_checks"),
    ),
    Fault(
        19,
        "a speaker that knows no templates refuses a program that has them",
        PLACING,
        '"format": FORMAT,',
        '"format": 4,',
        unit("agent/program", "speaker_of_an_earlier_version_refuses_the_program"),
    ),
    Fault(
        19,
        "an own key that is taken away at once signs on for a while",
        f"{_AGENT}config/key_withdrawal.py",
        'SIGNED_TWICE if now_s < until_s else "Accept"',
        '"Accept"',
        unit("agent/key_withdrawal", "key_signs_on_for_a_while_and_is_accepted_for_ever"),
    ),
    Fault(
        19,
        "beside the shared one, which is all that an earlier version knows",
        ENCODER,
        "        return (*signed, *self._signed(priority, message, trailer))\n",
        "        return signed\n",
        unit("engine/encoder", "while_a_key_is_taken_away_all_is_said_with_both"),
    ),
)
