"""The oldest version that this one works with: its commit, and a frozen copy of its kinds."""

from __future__ import annotations

from pathlib import Path

COMMIT = "ab49d6f516cd360af33765b2db9505fa5a506489"
"""The first commit that can be installed by the chart."""

CRDS = Path(__file__).parent / "crds"
