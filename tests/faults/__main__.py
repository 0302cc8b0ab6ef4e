"""``python -m tests.faults``: take away what enforces a rule and see its test fail.

Writes docs/faults.md; what was not run keeps the row it had. Exit status 1: a fault was not
noticed, or a test does not pass on sound code.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.fault import RULES, Fault
from tests.faults.ledger import LEDGER
from tests.faults.page import PAGE, recorded, render
from tests.faults.sandbox import SandboxError, sandbox
from tests.planting import NotOnceError, plant

_LONGEST_SAID = 110


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault: noticed, or ``wrong`` says why not."""

    seconds: float
    said: str
    wrong: str = ""


def unsound(faults: Iterable[Fault]) -> set[str]:
    """Run every test once without a fault, module by module; return those that do not pass."""
    modules: dict[str, list[str]] = {}
    for fault in faults:
        listed = modules.setdefault(fault.path, [])
        if fault.test not in listed:
            listed.append(fault.test)
    wrong = set()
    with sandbox() as copy:
        for tests in modules.values():
            for test, verdicts in copy.run(tests).items():
                passed = bool(verdicts) and all(verdict.passed for verdict in verdicts)
                said = "; ".join(verdict.said for verdict in verdicts if verdict.said)
                seconds = sum(verdict.seconds for verdict in verdicts)
                print(f"sound   {_word(passed)} {seconds:5.1f} s  {test} {said}", flush=True)
                if not passed:
                    wrong.add(test)
    return wrong


def judge(fault: Fault) -> Outcome:
    """Plant one fault and run its test."""
    begun_s = time.monotonic()
    try:
        with sandbox() as copy:
            plant(copy.root / fault.file, fault.old, fault.new)
            verdicts = copy.run([fault.test])[fault.test]
            loaded = copy.was_loaded(fault.file)
    except (SandboxError, NotOnceError) as error:
        return Outcome(time.monotonic() - begun_s, "", str(error))
    seconds = time.monotonic() - begun_s
    failed = [verdict for verdict in verdicts if verdict.asserted]
    others = [verdict.said for verdict in verdicts if not verdict.passed and not verdict.asserted]
    if failed and not loaded:
        return Outcome(seconds, "", "the module with the fault was never loaded")
    if failed:
        return Outcome(seconds, failed[0].said)
    why = f"no assertion of the test: {'; '.join(others)}" if others else "the test passes"
    return Outcome(seconds, "", why)


def _word(right: bool) -> str:
    return "ok  " if right else "FAIL"


def _judge_all(faults: Sequence[Fault], jobs: int) -> dict[Fault, Outcome]:
    outcomes = {}
    with ThreadPoolExecutor(jobs) as pool:
        for fault, outcome in zip(faults, pool.map(judge, faults), strict=True):
            text = outcome.wrong or " ".join(outcome.said.split())[:_LONGEST_SAID]
            print(
                f"rule {fault.rule:2} {_word(not outcome.wrong)} {outcome.seconds:5.1f} s"
                f"  {fault.removed} → {fault.test.partition('::')[2]}: {text}",
                flush=True,
            )
            outcomes[fault] = outcome
    return outcomes


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rule", type=int, action="append", choices=RULES, metavar="1…20")
    parser.add_argument("--match", default="", help="only faults whose description has this text")
    parser.add_argument("--jobs", type=int, default=1, help="labs at once (default: 1)")
    given = parser.parse_args()
    faults = [
        fault
        for fault in LEDGER
        if fault.rule in (given.rule or RULES) and given.match in fault.removed
    ]
    wrong = unsound(faults)
    outcomes = _judge_all([fault for fault in faults if fault.test not in wrong], given.jobs)
    missed = [fault for fault, outcome in outcomes.items() if outcome.wrong]
    print(f"{len(faults)} faults, {len(missed)} not noticed; {len(wrong)} tests that do not pass")
    if wrong or missed:
        return 1
    before = recorded(LEDGER, PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    times = {fault: outcome.seconds for fault, outcome in outcomes.items()}
    PAGE.write_text(render(LEDGER, {**before, **times}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
