"""The one error of parsing: which object, which field, which value, what would be accepted."""

from __future__ import annotations

import json


class FieldError(Exception):
    """A field of an object is wrong; nothing of the object was used.

    Attributes:
        subject: kind and name, as ``VirtualIP ingress``.
        path: the field, as ``spec.addresses[0].address``.
        value: what stands there.
        message: what is wrong and what would be accepted.
    """

    def __init__(self, subject: str, path: str, value: object, message: str) -> None:
        super().__init__(f"{subject}: {path}: {_show(value)} {message}")
        self.subject = subject
        self.path = path
        self.value = value
        self.message = message


def _show(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
