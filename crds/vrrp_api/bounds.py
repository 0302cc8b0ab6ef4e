"""What the schemas allow, at hand where objects are written: what is derived must fit them.

The table, ``bounds.json``, is made from ``crds/*.yaml`` (``make chart``); a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

NODE_CONFIG_SPEC, NODE_CONFIG_STATUS = "NodeConfig.spec", "NodeConfig.status"
VIRTUAL_IP_STATUS, HEALTH_CHECK_STATUS = "VirtualIP.status", "HealthCheck.status"

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]
_TYPES = {"object": Mapping, "array": list, "string": str, "integer": int, "boolean": bool}
_CUT = "…"


@cache
def _table() -> Mapping[str, Schema]:
    text = resources.files("vrrp_api").joinpath("bounds.json").read_text(encoding="utf-8")
    table: Mapping[str, Schema] = json.loads(text)
    return table


def schema_of(part: str) -> Schema:
    """Return the schema of a part of a kind, without what only people read."""
    return _table()[part]


def violations(part: str, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield where a value does not fit its part's schema: the path, and what would be accepted."""
    yield from _violations(schema_of(part), value, ())


def entry_violations(part: str, field: str, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield where one entry of a list of a part does not fit, as ``violations`` of the whole."""
    yield from _violations(schema_of(part)["properties"][field]["items"], value, ())


def bounded(part: str, value: Any) -> Any:
    """Return a value with texts and lists cut to what its part's schema has room for.

    Nothing else is put right: what else may be wrong is a fault of whoever wrote it.
    """
    return _bounded(schema_of(part), value)


def path_text(path: Path) -> str:
    """Return a path as people write it, as virtualRouters[0].name."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _violations(schema: Schema, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    kind = schema.get("type")
    if kind in _TYPES and not isinstance(value, _TYPES[kind]):
        yield path, f"is no {kind}"
    elif isinstance(value, Mapping):
        yield from _of_object(schema, value, path)
    elif isinstance(value, list):
        yield from _of_list(schema, value, path)
    elif isinstance(value, str):
        yield from _outside(len(value), schema, "Length", "characters", path)
    elif isinstance(value, int):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            yield path, f"is {value} (accepted: {low} to {high})"
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"is {str(value)[:64]!r} (accepted: {', '.join(map(str, schema['enum']))})"


def _of_object(schema: Schema, value: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield (*path, name), "is missing"
    for name, item in value.items():
        if name not in known:
            yield (*path, name), "is no field"
        else:
            yield from _violations(known[name], item, (*path, name))


def _of_list(schema: Schema, value: list[Any], path: Path) -> Iterator[tuple[Path, str]]:
    yield from _outside(len(value), schema, "Items", "entries", path)
    for place, item in enumerate(value):
        yield from _violations(schema["items"], item, (*path, place))
    keys = schema.get("keys")
    if keys:
        named = [
            tuple(item.get(key) for key in keys) for item in value if isinstance(item, Mapping)
        ]
        if len(set(named)) < len(named):
            yield path, f"names {' and '.join(keys)} twice"


def _outside(
    size: int, schema: Schema, bound: str, what: str, path: Path
) -> Iterator[tuple[Path, str]]:
    low, high = schema.get(f"min{bound}", 0), schema.get(f"max{bound}", size)
    if not low <= size <= high:
        yield path, f"has {size} {what} (accepted: {low} to {high})"


def _bounded(schema: Schema, value: Any) -> Any:
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        return {name: _bounded(known.get(name, {}), item) for name, item in value.items()}
    if isinstance(value, list):
        room = schema.get("maxItems", len(value))
        return [_bounded(schema.get("items", {}), item) for item in value[:room]]
    if isinstance(value, str):
        room = schema.get("maxLength", len(value))
        return value if len(value) <= room else value[: room - 1] + _CUT
    return value
