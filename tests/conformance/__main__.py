"""``python -m tests.conformance``: write docs/conformance.md from the ledgers."""

from __future__ import annotations

import sys

from tests.conformance.ledger import PAGE, load_all, problems
from tests.conformance.page import render


def main() -> int:
    """Write the page; name what is wrong with the ledgers and write nothing otherwise."""
    ledgers = load_all()
    wrong = [problem for ledger in ledgers for problem in problems(ledger.name, ledger)]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    PAGE.write_text(render(ledgers), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
