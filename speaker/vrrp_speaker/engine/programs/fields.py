"""Typed access to what a program file holds; every failure names the field and what is accepted."""

from __future__ import annotations

import socket
from collections.abc import Hashable
from typing import Any, TypeVar

from vrrp.constants import Family

ADDRESS_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_Choice = TypeVar("_Choice", str, int)
_Value = TypeVar("_Value")
Shared = dict[Hashable, Any]
"""What routers of one program have in common, while it is read."""


class ProgramError(Exception):
    """The program cannot be used; the message names the field, the value and what is accepted."""


class Fields:
    """Typed access to one JSON object; every failure names the path."""

    def __init__(self, raw: object, path: str, shared: Shared) -> None:
        if not isinstance(raw, dict):
            raise ProgramError(f"{path}: {raw!r} is not an object")
        self.raw: dict[str, Any] = raw
        self.path = path
        self._shared = shared

    def share(self, value: _Value, key: Hashable = None) -> _Value:
        """Return the equal value that was there before, if any; ``key`` is of one without hash.

        Routers have mostly the same peers and keys: half of the memory that a program would take.
        """
        found: _Value = self._shared.setdefault(value if key is None else key, value)
        return found

    def fail(self, key: str, accepted: str) -> ProgramError:
        """Return the error for one field."""
        return ProgramError(f"{self.path}.{key}: {self.raw.get(key)!r} (accepted: {accepted})")

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer between ``low`` and ``high``."""
        value = self.raw.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.fail(key, f"an integer from {low} to {high}")
        return value

    def text(self, key: str) -> str:
        """Return a non-empty string."""
        value = self.raw.get(key)
        if not isinstance(value, str) or not value:
            raise self.fail(key, "a non-empty string")
        return value

    def optional_text(self, key: str) -> str:
        """Return a string that may be empty."""
        value = self.raw.get(key)
        if not isinstance(value, str):
            raise self.fail(key, "a string")
        return value

    def boolean(self, key: str) -> bool:
        """Return a boolean."""
        value = self.raw.get(key)
        if not isinstance(value, bool):
            raise self.fail(key, "true or false")
        return value

    def hexadecimal(self, key: str) -> bytes:
        """Return bytes written in hexadecimal; they may be a secret, so no error shows them."""
        try:
            return bytes.fromhex(self.text(key))
        except ValueError as error:
            raise self.hidden(key, "hexadecimal bytes") from error

    def address(self, key: str, family: Family) -> bytes:
        """Return a packed address of the family."""
        try:
            return self.share(socket.inet_pton(ADDRESS_FAMILIES[family], self.text(key)))
        except OSError as error:
            raise self.fail(key, "an IP address") from error

    def addresses(self, key: str) -> tuple[bytes, ...]:
        """Return a list of packed addresses, of either family."""
        try:
            return tuple(
                self.share(socket.inet_pton(ADDRESS_FAMILIES[_family(text)], text))
                for text in self.texts(key)
            )
        except OSError as error:
            raise self.fail(key, "a list of IP addresses") from error

    def choice(self, key: str, choices: tuple[_Choice, ...]) -> _Choice:
        """Return one of the choices."""
        value = self.raw.get(key)
        for choice in choices:
            if value == choice and not isinstance(value, bool):
                return choice
        raise self.fail(key, ", ".join(map(str, choices)))

    def hidden(self, key: str, accepted: str) -> ProgramError:
        """Return the error for a secret, whose value nobody is to read in a log."""
        return ProgramError(f"{self.path}.{key}: wrong (accepted: {accepted})")

    def item(self, key: str) -> Fields:
        """Return one nested object."""
        return Fields(self.raw.get(key), f"{self.path}.{key}", self._shared)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self.raw.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, "a list of strings")
        return tuple(value)

    def items(self, key: str) -> list[Fields]:
        """Return a list of objects, each with its own path."""
        value = self.raw.get(key)
        if not isinstance(value, list):
            raise self.fail(key, "a list")
        path = f"{self.path}.{key}"
        return [Fields(item, f"{path}[{i}]", self._shared) for i, item in enumerate(value)]


def _family(address: str) -> Family:
    return Family.IPV6 if ":" in address else Family.IPV4
