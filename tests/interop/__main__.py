"""``python -m tests.interop``: run the layer and write its matrix into docs/interop.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.interop.duel import Outcome, Pair
from tests.interop.matrix import OUTCOMES, table

_FOLDER = Path(__file__).resolve().parent
_PAGE = _FOLDER.parents[1] / "docs" / "interop.md"
_BEGIN, _END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"


class _Collector:
    """Takes the outcomes out of the session."""

    def __init__(self) -> None:
        self.outcomes: dict[Pair, Outcome] = {}

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        self.outcomes = config.stash.get(OUTCOMES, {})


def main() -> int:
    """Run the tests; write the page when all of them passed; return the exit status."""
    collector = _Collector()
    status = pytest.main([str(_FOLDER), "-q", *sys.argv[1:]], plugins=[collector])
    if status == 0:
        page = _PAGE.read_text(encoding="utf-8")
        before, rest = page.split(_BEGIN)
        after = rest.split(_END)[1]
        text = f"{before}{_BEGIN}\n{table(collector.outcomes)}\n{_END}{after}"
        _PAGE.write_text(text, encoding="utf-8")
        print(f"written to {_PAGE}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
