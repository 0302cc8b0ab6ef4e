"""What is made from the chart's sources is what the sources make (``make chart``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.bounds import TABLE, table
from tests.chart.crds import CHART, ROOT, SOURCES, template_of, template_path
from tests.chart.helm import NEWEST, rendered
from tests.chart.readme import README, sections, with_table
from tests.chart.rights import LAB_MANIFEST, lab_manifest

REMEDY = "run `make chart` and look at the difference"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_template_of_a_kind_is_made_from_its_source(source: Path) -> None:
    assert template_path(source).read_text(encoding="utf-8") == template_of(source), REMEDY


def test_table_of_bounds_is_made_from_the_kinds() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), REMEDY


def test_kinds_are_rendered_as_their_sources_say_and_kept() -> None:
    kinds = {
        m["metadata"]["name"]: m for m in rendered(NEWEST) if m["kind"].startswith("CustomRes")
    }
    assert len(kinds) == len(SOURCES) == len(list((CHART / "templates" / "crds").iterdir()))
    for source in SOURCES:
        original = yaml.safe_load(source.read_text(encoding="utf-8"))
        made = kinds[original["metadata"]["name"]]
        assert made["spec"] == original["spec"]
        assert made["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_kinds_may_be_left_out() -> None:
    kinds = {m["kind"] for m in rendered(NEWEST, "--set", "crds.enabled=false")}
    assert "CustomResourceDefinition" not in kinds
    assert "DaemonSet" in kinds


def test_readme_has_the_values_as_they_are() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, REMEDY


def test_every_value_of_the_schema_is_explained() -> None:
    """The table has them, or a value that holds them."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    explained = {value.path for section in sections() for value in section.values}

    def check(path: tuple[str, ...], part: dict[str, Any]) -> None:
        if "$ref" in part:
            part = schema["definitions"][part["$ref"].rpartition("/")[2]]
        if ".".join(path) in explained or path == ("global",):
            return
        assert part.get("properties"), f"{'.'.join(path)} is not explained"
        for key, value in part["properties"].items():
            check((*path, key), value)

    check((), schema)


def test_rights_of_the_lab_are_what_helm_renders() -> None:
    assert LAB_MANIFEST.read_text(encoding="utf-8") == lab_manifest(), REMEDY


def test_versions_are_those_of_the_programs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{chart["version"]}"' in project
    assert chart["appVersion"] == chart["version"]
    assert f"kube-vrrp/operator:{chart['version']}" in chart["annotations"]["artifacthub.io/images"]


def test_license_of_the_chart_is_the_projects() -> None:
    assert (CHART / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
