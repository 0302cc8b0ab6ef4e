"""``kubectl vrrp replay``: a recording of a speaker, run through the protocol again.

The recording holds what happened to each Virtual Router (``vrrp-speaker --record FILE``); what the
router did follows from it, here as there. One line for each event that changed something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vrrp.actions import Action, SendAdvertisement, StateChanged
from vrrp.events import DeadlineReached, Event
from vrrp.recording import RecordingError, Step, replay
from vrrp.states import Active, Backup, RouterState
from vrrp_cli.manifests import ManifestError


def replay_file(path: Path, *, everything: bool) -> Iterator[str]:
    """Yield the timeline of a recording.

    Args:
        path: JSON lines as the speaker writes them.
        everything: also events without a consequence, such as advertisements a Backup hears.

    Raises:
        ManifestError: the file is unreadable or no recording; what came before was yielded.
    """
    begun_ns: int | None = None
    try:
        for step in replay(_lines(path)):
            begun_ns = step.at_ns if begun_ns is None else begun_ns
            if step.missing_before:
                yield f"-- {step.missing_before} events were lost here --"
            if everything or _matters(step):
                yield _text(step, begun_ns)
    except RecordingError as error:
        raise ManifestError(f"{path}: {error}") from error


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    yield json.loads(text)
                except ValueError as error:
                    raise RecordingError(f"line {number}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: {error}") from error


def _matters(step: Step) -> bool:
    """Return whether more happened than an advertisement in turn."""
    routine = isinstance(step.event, DeadlineReached) and len(step.actions) == 1
    return bool(step.actions) and not routine


def _text(step: Step, begun_ns: int) -> str:
    done = ", ".join(_action_text(action) for action in step.actions) or "nothing"
    at_s = (step.at_ns - begun_ns) / 1e9
    return (
        f"{at_s:12.6f}  {step.router}  {_event_text(step.event)}: {done}; "
        f"{_state_text(step.state, step.at_ns)}"
    )


def _event_text(event: Event) -> str:
    fields = [f"{name}={_plain(getattr(event, name))}" for name in event.__slots__]
    return f"{type(event).__name__}({', '.join(fields)})"


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _action_text(action: Action) -> str:
    match action:
        case SendAdvertisement(priority=priority):
            return f"advertise {priority}"
        case StateChanged(before=before, after=after, reason=reason):
            return f"{before} → {after} ({reason})"
        case _:
            return type(action).__name__


def _state_text(state: RouterState, now_ns: int) -> str:
    match state:
        case Backup(active_down_deadline_ns=deadline_ns):
            return f"Backup, takes over in {(deadline_ns - now_ns) / 1e6:.1f} ms"
        case Active(adver_deadline_ns=deadline_ns):
            return f"Active, advertises in {(deadline_ns - now_ns) / 1e6:.1f} ms"
        case _:
            return type(state).__name__
