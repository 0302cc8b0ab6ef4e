"""Fields of NodeConfig that the version before does not know are asked of nobody who is silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests import previous

from vrrp_api.features import FEATURES, FIELDS

ROOT = Path(__file__).resolve().parents[3]


def paths(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the path of every field of a schema, lists without indices."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from paths(field, f"{path}.{name}")
    if "items" in schema:
        yield from paths(schema["items"], path)


def fields(crd: Path) -> set[str]:
    (version,) = yaml.safe_load(crd.read_text())["spec"]["versions"]
    return set(paths(version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec"))


def test_each_field_that_is_new_has_its_feature() -> None:
    """A field that the frozen schema lacks would be pruned there, and refused by its speaker."""
    new = fields(ROOT / "crds/nodeconfigs.yaml") - fields(previous.CRDS / "nodeconfigs.yaml")
    assert new == set(FIELDS)


def test_none_is_gone() -> None:
    """The version before writes it, and its speaker reads it."""
    before = fields(previous.CRDS / "nodeconfigs.yaml")
    assert before <= fields(ROOT / "crds/nodeconfigs.yaml")


def test_docs_have_the_table() -> None:
    page = (ROOT / "docs/upgrade.md").read_text()
    for field, feature in FIELDS.items():
        assert f"| `{feature}` | `{field.removeprefix('spec.')}` |" in page
    assert set(FEATURES) == set(FIELDS.values())
