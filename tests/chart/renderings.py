"""What the chart renders from five sets of values: to be looked at when it changes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.chart.crds import CHART
from tests.chart.helm import NEWEST, template

_HERE = Path(__file__).parent
VALUE_SETS: dict[str, tuple[Path, ...]] = {
    "default": (),
    "production": (CHART / "values-production.yaml",),
    **{path.stem: (path,) for path in sorted((_HERE / "values").glob("*.yaml"))},
}
_ELSEWHERE = re.compile(r"^kind: (CustomResourceDefinition|PrometheusRule)$", re.M)
"""Made from other files, which have tests of their own."""


def golden_path(name: str) -> Path:
    """Return where the rendering of a set of values is kept."""
    return _HERE / "golden" / f"{name}.yaml"


def value_flags(name: str) -> list[str]:
    """Return Helm's flags for a set of values."""
    return [flag for path in VALUE_SETS[name] for flag in ("-f", str(path))]


def golden_text(name: str) -> str:
    """Return what Helm renders, without the key (it sees no cluster) and what other files make."""
    ended = template(NEWEST, *value_flags(name))
    assert ended.returncode == 0, ended.stderr
    documents = re.split(r"^---$", ended.stdout, flags=re.M)
    kept = [text.strip("\n") for text in documents if text.strip()]
    return "---\n" + "\n---\n".join(t for t in kept if not _ELSEWHERE.search(t)) + "\n"
