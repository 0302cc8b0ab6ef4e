"""``python -m tests.fuzz``: fuzz decoder and ladder with atheris, from the kept corpus on.

A finding ends the run with the input that made it; kept in ``corpus`` it becomes a test.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

_CORPUS = Path(__file__).resolve().parent / "corpus"


def main() -> int:
    """Fuzz for a while; return the exit status where atheris is missing."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to fuzz (60)")
    parser.add_argument("--keep", type=Path, help="folder for inputs that reach new code")
    options = parser.parse_args()
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("fuzz: the package atheris is not installed", file=sys.stderr)
        return 1
    with atheris.instrument_imports(include=["vrrp"]):
        target: Any = importlib.import_module("tests.fuzz.target")
    kept = options.keep or Path(tempfile.mkdtemp(prefix="vrrp-fuzz-"))
    kept.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={options.seconds}", "-max_len=600", f"-artifact_prefix={kept}/"]

    def run(data: bytes) -> None:
        target.check(data)

    atheris.Setup([sys.argv[0], str(kept), str(_CORPUS), *limits], run)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
