"""The ledger is whole: every text is there once, every test exists, the page has every row."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.ledger import exists
from tests.faults.fault import ROOT, RULES, Fault
from tests.faults.ledger import LEDGER
from tests.faults.page import PAGE, recorded, render
from tests.planting import NotOnceError, plant

SOURCES = ("speaker/", "operator/")


def test_every_rule_has_a_fault_and_the_rules_are_in_order() -> None:
    assert {fault.rule for fault in LEDGER} == set(RULES)
    assert [fault.rule for fault in LEDGER] == sorted(fault.rule for fault in LEDGER)


@pytest.mark.parametrize("fault", LEDGER, ids=lambda fault: fault.removed)
def test_fault_can_be_planted_and_its_test_exists(fault: Fault) -> None:
    assert fault.file.startswith(SOURCES)
    source = (ROOT / fault.file).read_text(encoding="utf-8")
    assert source.count(fault.old) == 1
    compile(source.replace(fault.old, fault.new), fault.file, "exec")
    assert fault.old != fault.new
    assert exists(fault.function), fault.test


def test_no_fault_is_there_twice() -> None:
    assert len({(fault.rule, fault.removed) for fault in LEDGER}) == len(LEDGER)
    assert len({(fault.file, fault.old, fault.new) for fault in LEDGER}) == len(LEDGER)


def test_page_is_what_the_ledger_and_its_own_times_make() -> None:
    text = PAGE.read_text(encoding="utf-8")
    times = recorded(LEDGER, text)
    missing = [fault.removed for fault in LEDGER if fault not in times]
    assert missing == [], "run: make faults"
    assert render(LEDGER, times) == text


def test_plant_text_that_is_there_once_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("one\ntwo\ntwo\n")
    plant(file, "one", "1")
    assert file.read_text() == "1\ntwo\ntwo\n"
    with pytest.raises(NotOnceError, match="`two` occurs 2 times"):
        plant(file, "two", "2")
    with pytest.raises(NotOnceError, match="`three` occurs 0 times"):
        plant(file, "three", "3")
