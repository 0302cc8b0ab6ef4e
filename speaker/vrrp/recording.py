"""Recordings of what happened to Virtual Routers: JSON objects, and their replay through the core.

A line is either the beginning of a router (its parameters and state) or one event with its time.
Times are the recording node's monotonic nanoseconds; bytes are hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_args

from vrrp.constants import TransitionReason
from vrrp.events import Event
from vrrp.states import Parameters, RouterState
from vrrp.virtual_router import Actions, VirtualRouter

_EVENTS: Mapping[str, type] = {kind.__name__: kind for kind in get_args(Event)}
_STATES: Mapping[str, type] = {kind.__name__: kind for kind in get_args(RouterState)}
_ADDRESSES = frozenset({"source", "rival"})
_T = TypeVar("_T")


class RecordingError(ValueError):
    """A line is no recording; the message names the line's number and what is wrong."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a recording, what it made the router do, and how the router is now."""

    router: str
    at_ns: int
    event: Event
    actions: Actions
    state: RouterState
    missing_before: int
    """Events that the recording lost before this one; from there on it may not be the truth."""


def event_object(event: Event) -> dict[str, Any]:
    """Return an event in its recorded form."""
    return _plain(event)


def router_object(router: VirtualRouter) -> dict[str, Any]:
    """Return a router in its recorded form."""
    return {
        "parameters": _plain(router.parameters),
        "state": _plain(router.detail),
        "faulty": router.faulty,
    }


def recorded_router(item: Mapping[str, Any]) -> VirtualRouter:
    """Return the router that a recording begins with, from its recorded form.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    parameters = _value(Parameters, item["parameters"])
    state: RouterState = _value(_STATES[item["state"]["kind"]], item["state"])
    return VirtualRouter(parameters, faulty=item["faulty"], detail=state)


def replay(lines: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
    """Run recorded events through the core and yield what it does.

    Raises:
        RecordingError: a line is malformed, or an event comes before its router's beginning.
    """
    routers: dict[str, VirtualRouter] = {}
    for number, line in enumerate(lines, start=1):
        try:
            name = line["router"]
            if "begins" in line:
                routers[name] = recorded_router(line["begins"])
                continue
            event, at_ns = _event(line["event"]), line["atNs"]
            router = routers[name]
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(f"line {number}: {type(error).__name__}: {error}") from error
        actions = router.handle(event, at_ns)
        missing = line.get("missingBefore", 0)
        yield Step(name, at_ns, event, actions, router.detail, missing)


def _plain(value: Any) -> dict[str, Any]:
    fields = {
        key: field.hex() if isinstance(field, bytes) else field
        for key, field in asdict(value).items()
    }
    return {"kind": type(value).__name__, **fields}


def _event(item: Mapping[str, Any]) -> Event:
    event: Event = _value(_EVENTS[item["kind"]], item)
    return event


def _value(kind: type[_T], item: Mapping[str, Any]) -> _T:
    """Return a value of one of the core's classes from its recorded form."""
    fields = {key: value for key, value in item.items() if key != "kind"}
    for name in _ADDRESSES.intersection(fields):
        fields[name] = fields[name] and bytes.fromhex(fields[name])
    if "reason" in fields:
        fields["reason"] = TransitionReason(fields["reason"])
    return kind(**fields)
