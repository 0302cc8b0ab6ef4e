"""Every planted fault, in the order of the rules."""

from __future__ import annotations

from tests.faults import (
    rules_01_to_06,
    rules_07_to_11,
    rules_12_to_18,
    rules_19,
    rules_19_operator,
    rules_19_versions,
    rules_20,
    rules_21_operator,
    rules_21_speaker,
    rules_22,
)

LEDGER = (
    *rules_01_to_06.FAULTS,
    *rules_07_to_11.FAULTS,
    *rules_12_to_18.FAULTS,
    *rules_19.MEMBERS_BY_SIGNATURE,
    *rules_19_operator.FAULTS,
    *rules_19_versions.FAULTS,
    *rules_20.FAULTS,
    *rules_21_operator.FAULTS,
    *rules_21_speaker.FAULTS,
    *rules_22.FAULTS,
)
