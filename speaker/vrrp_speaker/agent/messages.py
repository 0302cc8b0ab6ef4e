"""What arrives in the agent's inbox; each is a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from queue import SimpleQueue
from typing import Any

from vrrp_api.check_kinds import CheckKind
from vrrp_api.node_config import NodeConfig
from vrrp_api.node_config_reading import Reading
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.links.table import Link


class ConfigSource(StrEnum):
    """Where the configuration in force came from."""

    API = "API"
    CACHE = "Cache"
    FILE = "File"


@dataclass(frozen=True, slots=True)
class ConfigArrived:
    """A NodeConfig, and what of it another version knows and this one does not (``Reading``)."""

    config: NodeConfig
    source: ConfigSource
    ignored: tuple[str, ...] = ()
    not_understood: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(reading: Reading, source: ConfigSource) -> ConfigArrived:
        """Return what was read as a message."""
        return ConfigArrived(reading.config, source, reading.ignored, reading.not_understood)


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    """A configuration arrived that cannot be used; what runs goes on."""

    error: str


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """The key folder holds something else than before."""


@dataclass(frozen=True, slots=True)
class TemplatesMade:
    """The compiler ended: templates by ``Link.bare``, or none and an error."""

    templates: Mapping[Link, Mapping[str, Any]]
    error: str


@dataclass(frozen=True, slots=True)
class EngineConnected:
    """A (new) engine is there and knows nothing of us."""


@dataclass(frozen=True, slots=True)
class EngineMessage:
    """One message of the engine."""

    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CheckEnded:
    """A run of a check came back; ``run`` is its number, and no two runs have the same."""

    name: str
    run: int
    result: Result
    duration_s: float


@dataclass(frozen=True, slots=True)
class CheckNews:
    """What a check of this ``kind`` looks at is seen for the first time, or has changed."""

    name: str
    kind: CheckKind
    result: Result


@dataclass(frozen=True, slots=True)
class CheckTouched:
    """What a check looks at may have changed: run it now."""

    name: str


CheckMessage = CheckEnded | CheckNews | CheckTouched


@dataclass(frozen=True, slots=True)
class Stop:
    """End the agent."""


Message = (
    ConfigArrived
    | ConfigRefused
    | KeysChanged
    | TemplatesMade
    | EngineConnected
    | EngineMessage
    | CheckEnded
    | CheckNews
    | CheckTouched
    | Stop
)
Inbox = SimpleQueue[Message]
