"""``make chart``: write what is made from the chart's sources – never by a test."""

from __future__ import annotations

import sys

from tests.chart.bounds import TABLE, table
from tests.chart.crds import SOURCES, template_of, template_path
from tests.chart.readme import README, with_table
from tests.chart.renderings import VALUE_SETS, golden_path, golden_text
from tests.chart.rights import LAB_MANIFEST, lab_manifest


def main() -> int:
    """Write bounds, kinds' templates, the README's table, the lab's rights, golden renderings."""
    TABLE.write_text(table(), encoding="utf-8")
    for source in SOURCES:
        template_path(source).write_text(template_of(source), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    LAB_MANIFEST.parent.mkdir(exist_ok=True)
    LAB_MANIFEST.write_text(lab_manifest(), encoding="utf-8")
    for name in VALUE_SETS:
        golden_path(name).write_text(golden_text(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
