"""Former forms of fields, as users' objects may still have them: read as what they mean.

Nodes' configurations are not concerned: operator and speakers of any version share their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_api.fields import Fields

REFUSED_FROM_VERSION = "0.3.0"
REFUSED_NOT_BEFORE = "2027-07-01"
"""Both must have come: the first version with this number or a higher one, and this day."""

REFUSED = f"refused from version {REFUSED_FROM_VERSION} on, not before {REFUSED_NOT_BEFORE}"
FAULT, WEIGHT = "Fault", "Weight"
DETECT, IGNORE = "Detect", "Ignore"
NAME, COMMAND_LINE = "Name", "CommandLine"


@dataclass(frozen=True, slots=True)
class FormerForm:
    """A field in a former form; ``by_default``: an earlier schema may have written it by itself."""

    path: str
    instead: str
    by_default: bool = False

    def __str__(self) -> str:
        return f"{self.path}: write {self.instead}"


def former_forms(obj: Mapping[str, Any]) -> tuple[FormerForm, ...]:
    """Return what a VirtualIP or HealthCheck object says in a former form.

    Of an object that cannot be parsed what can be seen.
    """
    spec = obj.get("spec")
    if not isinstance(spec, Mapping):
        return ()
    return tuple(_of_virtual_ip(spec) if obj.get("kind") == "VirtualIP" else _of_check(spec))


def _of_virtual_ip(spec: Mapping[str, Any]) -> Iterator[FormerForm]:
    if "keyRef" in _object(spec, "authentication"):
        yield FormerForm("spec.authentication.keyRef", "keyName")
    if "conflictDetection" in spec and "conflictPolicy" not in spec:
        detects = spec["conflictDetection"] is not False
        instead = (
            f"conflictPolicy: {DETECT}, or nothing" if detects else f"conflictPolicy: {IGNORE}"
        )
        yield FormerForm("spec.conflictDetection", instead, by_default=detects)
    references = spec.get("healthChecks")
    for place, reference in enumerate(references if isinstance(references, list) else ()):
        if isinstance(reference, Mapping) and _is_magic(reference):
            yield FormerForm(f"spec.healthChecks[{place}].weight", f"onFailure: {FAULT} for 0")


def _of_check(spec: Mapping[str, Any]) -> Iterator[FormerForm]:
    if _is_magic(spec):
        yield FormerForm("spec.weight", f"onFailure: {FAULT} for 0, or nothing", by_default=True)
    if "caRef" in _object(_object(spec, "http"), "tls"):
        yield FormerForm("spec.http.tls.caRef", "caName")
    process = _object(spec, "process")
    if "fullCommand" in process and "match" not in process:
        whole = process["fullCommand"] is True
        instead = f"match: {COMMAND_LINE}" if whole else f"match: {NAME}, or nothing"
        yield FormerForm("spec.process.fullCommand", instead, by_default=not whole)


def _is_magic(spec: Mapping[str, Any]) -> bool:
    return spec.get("weight") == 0 and "weight" in spec and "onFailure" not in spec


def _object(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = of.get(key)
    return value if isinstance(value, Mapping) else {}


def renamed(fields: Fields, name: str, former: str) -> str:
    """Return under which of two names a field is given; the present one where it is absent.

    Raises:
        FieldError: it is given under both.
    """
    fields.optional(former)
    if fields.has(former) and fields.has(name):
        raise fields.error(former, f"is the former name of {name}; give {name} alone")
    return former if fields.has(former) else name


def failure_weight(fields: Fields) -> int | None:
    """Return what ``onFailure`` and ``weight`` say: 0 for a Fault, None where both are absent.

    Raises:
        FieldError: one of them is wrong, or they contradict each other.
    """
    weight = fields.optional_integer("weight", -254, 254)
    if fields.optional("onFailure") is None:
        return weight
    if fields.choice("onFailure", (FAULT, WEIGHT)) == FAULT:
        if weight:
            raise fields.error("weight", f"must be absent with onFailure: {FAULT}")
        return 0
    if not weight:
        message = f"must be given with onFailure: {WEIGHT}, and not be 0 (accepted: -50)"
        raise fields.error("weight", message)
    return weight


def conflict_policy(fields: Fields) -> bool:
    """Return whether nodes look for other hosts, as ``conflictPolicy`` says.

    Raises:
        FieldError: it is wrong, or its former form contradicts it.
    """
    return _switch(fields, "conflictPolicy", (IGNORE, DETECT), "conflictDetection", default=True)


def match_of_process(fields: Fields) -> bool:
    """Return whether a process is meant by its command line, as ``match`` says.

    Raises:
        FieldError: it is wrong, or its former form contradicts it.
    """
    return _switch(fields, "match", (NAME, COMMAND_LINE), "fullCommand", default=False)


def _switch(
    fields: Fields, name: str, words: tuple[str, str], former: str, *, default: bool
) -> bool:
    """Return whether the second word is said, by the word or the boolean that was before it.

    A boolean that is the former default does not count beside the word: nobody may have written it.
    """
    before = fields.boolean(former, default)
    said = fields.choice(name, words, words[before]) == words[True]
    if before is not default and said is not before:
        raise fields.error(former, f"contradicts {name}, of which it is the former form")
    return said
