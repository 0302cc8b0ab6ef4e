"""Reading of one JSON object: every value checked, every unknown field refused, or noted."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from vrrp_api.duration import parse_duration
from vrrp_api.errors import FieldError

_MAX_INTERFACE_NAME = 15
"""The kernel's IFNAMSIZ without the closing zero."""
_Read = TypeVar("_Read")


class Fields:
    """Typed access to the fields of one object; failures name subject, path and value.

    ``done()`` refuses what nobody asked for, so a misspelt field is never ignored. What another
    version of ourselves wrote is read with ``ignored``, a list that takes the paths of such fields
    instead, those of nested objects too.
    """

    def __init__(
        self, raw: object, subject: str, path: str, ignored: list[str] | None = None
    ) -> None:
        if not isinstance(raw, Mapping):
            raise FieldError(subject, path, raw, "is not an object")
        self._raw: Mapping[str, Any] = raw
        self._subject = subject
        self._path = path
        self._ignored = ignored
        self._read: set[str] = set()

    def error(self, key: str, message: str) -> FieldError:
        """Return the error for one field of this object."""
        return FieldError(self._subject, self._at(key), self._raw.get(key), message)

    def has(self, key: str) -> bool:
        """Return whether the field is there and not null."""
        return self._raw.get(key) is not None

    def optional(self, key: str) -> object:
        """Return whatever stands in a field, None where nothing does; it counts as read."""
        self._read.add(key)
        return self._raw.get(key)

    def done(self) -> None:
        """Refuse fields that were not read, or note them.

        Raises:
            FieldError: the first unknown field.
        """
        for key in self._raw:
            if key in self._read:
                continue
            if self._ignored is not None:
                self._ignored.append(self._at(key))
            else:
                known = ", ".join(sorted(self._read))
                raise self.error(key, f"is not a field here (accepted: {known})")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a non-empty string."""
        value = self._value(key, default)
        if not isinstance(value, str) or not value:
            raise self.error(key, "must be a non-empty string")
        return value

    def interface(self, key: str = "interface") -> str | None:
        """Return the name of a network interface, or None when absent."""
        name = self.optional_text(key)
        if name is not None and (len(name) > _MAX_INTERFACE_NAME or set(name) & set("/ \t\n")):
            raise self.error(key, "is not an interface's name (accepted: up to 15 characters)")
        return name

    def optional_text(self, key: str) -> str | None:
        """Return a non-empty string, or None when absent."""
        self._read.add(key)
        return self.text(key) if self.has(key) else None

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return an integer between ``low`` and ``high``."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, f"must be an integer from {low} to {high}")
        return value

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        """Return an integer between the bounds, or None when absent."""
        self._read.add(key)
        return self.integer(key, low, high) if self.has(key) else None

    def boolean(self, key: str, default: bool) -> bool:
        """Return a boolean."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """Return one of ``choices``."""
        value = self.text(key, default)
        if value not in choices:
            raise self.error(key, f"must be one of {', '.join(choices)}")
        return value

    def duration(self, key: str, low: str, high: str, default: str | None = None) -> int:
        """Return a duration in nanoseconds between ``low`` and ``high``, as they are written."""
        value = self.text(key, default)
        try:
            nanoseconds = parse_duration(value)
        except ValueError:
            nanoseconds = -1
        if not parse_duration(low) <= nanoseconds <= parse_duration(high):
            raise self.error(key, f"must be a duration from {low} to {high}")
        return nanoseconds

    def ip_address(self, key: str) -> str:
        """Return an IP address in its canonical text form."""
        value = self.text(key)
        try:
            return str(ipaddress.ip_address(value))
        except ValueError as error:
            raise self.error(key, "is not an IP address (accepted: 192.0.2.1)") from error

    def ip_interface(self, key: str) -> tuple[str, int]:
        """Return (canonical address, prefix length); a bare address is a host prefix."""
        value = self.text(key)
        accepted = "accepted: 192.0.2.10, 192.0.2.10/24, 2001:db8::10/64"
        try:
            interface = ipaddress.ip_interface(value)
        except ValueError as error:
            raise self.error(key, f"is not an IP address ({accepted})") from error
        if "%" in value:
            raise self.error(key, f"has a zone; set interface instead ({accepted})")
        if "/" in value and not value.rpartition("/")[2].isdecimal():
            raise self.error(key, f"has a mask instead of a prefix length ({accepted})")
        return str(interface.ip), interface.network.prefixlen

    def child(self, key: str) -> Fields | None:
        """Return a nested object, or None when absent."""
        self._read.add(key)
        if not self.has(key):
            return None
        return self._nested(self._raw[key], self._at(key))

    def required_child(self, key: str) -> Fields:
        """Return a nested object that must be there."""
        self._read.add(key)
        return self._nested(self._raw.get(key), self._at(key))

    def children(self, key: str, low: int, high: int) -> Iterator[Fields]:
        """Yield the objects of a list with ``low`` to ``high`` entries."""
        for index, item in enumerate(self._list(key, low, high)):
            yield self._nested(item, f"{self._at(key)}[{index}]")

    def each(
        self,
        key: str,
        low: int,
        high: int,
        read: Callable[[Fields], _Read],
        known: Callable[[Any], _Read | None] = lambda _: None,
    ) -> Iterator[tuple[Any, _Read | FieldError]]:
        """Yield each entry of a list with what ``read`` makes of it, or why it cannot.

        ``known`` has what it made of an equal entry before, or None.
        """
        for index, item in enumerate(self._list(key, low, high)):
            try:
                made = known(item)
                if made is None:
                    made = read(self._nested(item, f"{self._at(key)}[{index}]"))
                yield item, made
            except FieldError as error:
                yield item, error

    def texts(self, key: str, low: int, high: int) -> tuple[str, ...]:
        """Return a list of non-empty strings with ``low`` to ``high`` entries."""
        items = self._list(key, low, high)
        for index, item in enumerate(items):
            if not isinstance(item, str) or not item:
                path = f"{self._at(key)}[{index}]"
                raise FieldError(self._subject, path, item, "must be a non-empty string")
        return tuple(items)

    def text_map(self, key: str) -> Mapping[str, str]:
        """Return an object whose values are strings; empty when absent."""
        self._read.add(key)
        value = self._raw.get(key) or {}
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise self.error(key, "must be an object of strings")
        return dict(value)

    def _value(self, key: str, default: object) -> object:
        self._read.add(key)
        value = self._raw.get(key)
        return default if value is None else value

    def _list(self, key: str, low: int, high: int) -> list[Any]:
        self._read.add(key)
        value = self._raw.get(key)
        value = [] if value is None else value
        if not isinstance(value, list):
            raise self.error(key, "must be a list")
        if not low <= len(value) <= high:
            raise self.error(key, f"must have {low} to {high} entries")
        return value

    def _nested(self, raw: object, path: str) -> Fields:
        return Fields(raw, self._subject, path, self._ignored)

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def object_fields(
    obj: object, kind: str, ignored: list[str] | None = None
) -> tuple[Fields, Mapping[str, Any]]:
    """Return (spec fields, metadata) of an API object after checking its kind.

    ``ignored`` as in ``Fields``, for the spec.

    Raises:
        FieldError: not an object of this kind and version, or without a name or spec.
    """
    top = Fields(obj, kind, "")
    top.choice("apiVersion", ("kube-vrrp.io/v1alpha1",))
    top.choice("kind", (kind,))
    assert isinstance(obj, Mapping)
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise FieldError(kind, "metadata.name", name, "must be a non-empty string")
    return Fields(obj.get("spec"), f"{kind} {name}", "spec", ignored), metadata
