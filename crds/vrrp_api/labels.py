"""Label selectors, as everywhere in Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vrrp_api.fields import Fields

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One entry of ``matchExpressions``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels fulfil the requirement."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of ``match_labels`` and all of ``match_expressions``; empty matches everything."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )


def parse_label_selector(fields: Fields) -> LabelSelector:
    """Parse a label selector.

    Raises:
        FieldError: the first wrong field.
    """
    match_labels = fields.text_map("matchLabels")
    requirements = []
    for item in fields.children("matchExpressions", 0, 32):
        operator = item.choice("operator", _OPERATORS)
        needs_values = operator in ("In", "NotIn")
        values = item.texts("values", 1 if needs_values else 0, 64 if needs_values else 0)
        requirements.append(LabelRequirement(item.text("key"), operator, values))
        item.done()
    fields.done()
    return LabelSelector(match_labels, tuple(requirements))
