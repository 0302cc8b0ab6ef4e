"""What the schemas allow, as the table that ``vrrp_api.bounds`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.chart.crds import SOURCES

from vrrp_api import bounds

TABLE = Path(bounds.__file__).with_name("bounds.json")
_KEPT = (
    "type",
    "required",
    "enum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
)
_KEYS = "x-kubernetes-list-map-keys"
_PARTS = {"NodeConfig": ("spec", "status"), "VirtualIP": ("status",), "HealthCheck": ("status",)}


def schemas() -> dict[str, Mapping[str, Any]]:
    """Return the whole schema of each kind."""
    found = {}
    for source in SOURCES:
        crd = yaml.safe_load(source.read_text(encoding="utf-8"))["spec"]
        (version,) = crd["versions"]
        found[crd["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    return found


def pruned(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with nothing but what values are compared with."""
    kept = {key: schema[key] for key in _KEPT if key in schema}
    if _KEYS in schema:
        kept["keys"] = schema[_KEYS]
    if "properties" in schema:
        kept["properties"] = {name: pruned(item) for name, item in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = pruned(schema["items"])
    return kept


def table() -> str:
    """Return the table's text."""
    kinds = schemas()
    parts = {
        f"{kind}.{part}": pruned(kinds[kind]["properties"][part])
        for kind, names in _PARTS.items()
        for part in names
    }
    return json.dumps(parts, indent=1) + "\n"
