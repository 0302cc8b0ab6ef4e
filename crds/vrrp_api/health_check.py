"""HealthCheck: what must work on a node for it to hold a VirtualIP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_api.accepted import accepted_before
from vrrp_api.check_kinds import POLLED, CheckKind, FileCheck, kind_object
from vrrp_api.check_parsing import parse_kind
from vrrp_api.duration import format_duration
from vrrp_api.fields import Fields, object_fields
from vrrp_api.former import FAULT, failure_weight
from vrrp_api.unused_fields import refuse_unused

_PERCENT = re.compile(r"([1-9]\d?|100)%")
_EVERY_NODE = 100


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check, defaults filled in; weight 0 means failing is a Fault.

    ``panic_threshold``: the share of candidate nodes, in percent, whose failing makes a Fault not
    count; None: it always counts.
    """

    name: str
    generation: int
    kind: CheckKind
    interval_ns: int
    timeout_ns: int
    rise: int
    fall: int
    weight: int
    reverse: bool = False
    initially_failing: bool = False
    panic_threshold: int | None = _EVERY_NODE


def parse_health_check(obj: Mapping[str, Any]) -> HealthCheck:
    """Parse an API object; the rules are those of the CRD's schema.

    What was accepted before may hold fields that nothing honours.

    Raises:
        FieldError: the first wrong field.
    """
    spec, metadata = object_fields(obj, "HealthCheck")
    check = _check(spec, metadata["name"], metadata.get("generation", 0))
    spec.done()
    if not accepted_before(obj):
        refuse_unused(spec, check.kind)
    return check


def parse_resolved_check(item: Fields) -> HealthCheck:
    """Parse a check of a NodeConfig: a HealthCheck's spec, its name, what the operator knows.

    Raises:
        FieldError: the first wrong field.
    """
    check = _check(item, item.text("name"), 0, resolved=True)
    item.done()
    return check


def _check(spec: Fields, name: str, generation: int, resolved: bool = False) -> HealthCheck:
    interval_ns = spec.duration("interval", "50ms", "1h", "1s")
    # Absent, the timeout is the schema's default or the interval, whichever is shorter.
    default_ns = min(interval_ns, 1_000_000_000)
    timeout_ns = spec.duration("timeout", "10ms", "1h", format_duration(default_ns))
    if timeout_ns > interval_ns:
        raise spec.error("timeout", "must not be longer than interval")
    kind = parse_kind(spec, resolved)
    rise, fall = _thresholds(spec, kind)
    weight = spec.integer("weight", -254, 254, 0) if resolved else failure_weight(spec) or 0
    return HealthCheck(
        name=name,
        generation=generation,
        kind=kind,
        interval_ns=interval_ns,
        timeout_ns=timeout_ns,
        rise=rise,
        fall=fall,
        weight=weight,
        reverse=spec.boolean("reverse", False),
        initially_failing=spec.choice("initialState", ("Unknown", "Failing"), "Unknown")
        == "Failing",
        panic_threshold=_panic_threshold(spec, weight),
    )


def _thresholds(spec: Fields, kind: CheckKind) -> tuple[int, int]:
    for key in ("rise", "fall"):
        if isinstance(kind, FileCheck) and spec.has(key):
            raise spec.error(key, "must be absent with file: its number counts at once")
    rise, fall = (2, 3) if isinstance(kind, POLLED) else (1, 1)
    return spec.integer("rise", 1, 100, rise), spec.integer("fall", 1, 100, fall)


def _panic_threshold(spec: Fields, weight: int) -> int | None:
    text = spec.optional_text("panicThreshold")
    if text is None:
        return _EVERY_NODE
    if weight != 0:
        message = (
            f"contradicts weight {weight}: only onFailure: {FAULT} makes a node unable to hold the"
            " VIP"
        )
        raise spec.error("panicThreshold", message)
    match = _PERCENT.fullmatch(text)
    if match is None and text != "Never":
        raise spec.error("panicThreshold", "must be 1% to 100%, or Never (accepted: 100%)")
    return int(match[1]) if match else None


def check_spec(check: HealthCheck) -> dict[str, Any]:
    """Return the fields of a check that a node needs, as in ``NodeConfig.spec.healthChecks``."""
    spec: dict[str, Any] = {
        "name": check.name,
        "interval": format_duration(check.interval_ns),
        "timeout": format_duration(check.timeout_ns),
        "weight": check.weight,
        "reverse": check.reverse,
        "initialState": "Failing" if check.initially_failing else "Unknown",
        **kind_object(check.kind),
    }
    if not isinstance(check.kind, FileCheck):
        spec |= {"rise": check.rise, "fall": check.fall}
    if check.weight == 0:
        threshold = check.panic_threshold
        spec["panicThreshold"] = "Never" if threshold is None else f"{threshold}%"
    return spec
