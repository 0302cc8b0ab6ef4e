"""docs/faults.md, made from the ledger and from what the last runs showed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.faults.fault import ROOT, RULES, Fault

PAGE = ROOT / "docs" / "faults.md"

_INTRODUCTION = """\
# Planted faults

Each rule of the data plane is enforced by some lines of code. Here each of these lines is taken
away in a copy of the source, one at a time, and the test that has to notice is run on the copy: a
rule counts as shown only when an assertion of that test fails. On sound code the same tests pass,
in the same run. Most of them run whole speakers in network namespaces and look at real packets;
what the operator decides is shown by its unit tests.

Made by `make faults` from the ledger in `tests/faults`, which also says what exactly is replaced.
A test of the ordinary suite fails when a line of the ledger, a test or a row here is missing. The
time is that of the failing run, lab included.
"""
_HEAD = "| removed | from | what fails | s |\n|---|---|---|---|\n"


def render(faults: Sequence[Fault], seconds: Mapping[Fault, float]) -> str:
    """Return the page; faults without a time are not on it."""
    shown = [fault for fault in faults if fault in seconds]
    tests = {fault.test for fault in shown}
    total = sum(seconds[fault] for fault in shown)
    counts = (
        f"{len(shown)} faults in {len({f.rule for f in shown})} rules, noticed by {len(tests)}"
        f" tests in {total / 60:.0f} minutes.\n"
    )
    return "\n".join([_INTRODUCTION, counts, *_chapters(shown, seconds)])


def _chapters(faults: Sequence[Fault], seconds: Mapping[Fault, float]) -> Iterator[str]:
    for rule, title in RULES.items():
        rows = [row(fault) + f"{seconds[fault]:.0f} |\n" for fault in faults if fault.rule == rule]
        if rows:
            yield f"## {rule}. {title}\n\n{_HEAD}{''.join(rows)}"


def row(fault: Fault) -> str:
    """Return a fault's row up to the time."""
    name = fault.test.partition("::")[2]
    code = f"[{fault.file.rpartition('/')[2]}](../{fault.file})"
    return f"| {fault.removed} | {code} | [{name}](../{fault.path}) | "


def recorded(faults: Sequence[Fault], text: str) -> dict[Fault, float]:
    """Return the times on a page, of faults that the ledger still has."""
    found = {}
    for fault in faults:
        _, there, rest = text.partition(row(fault))
        if there:
            found[fault] = float(rest.partition(" |")[0])
    return found
