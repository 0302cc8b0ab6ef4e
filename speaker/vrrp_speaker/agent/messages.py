"""What arrives in the agent's inbox; each is a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from queue import SimpleQueue
from typing import Any

from vrrp_api.node_config import NodeConfig


class ConfigSource(StrEnum):
    """Where the configuration in force came from."""

    API = "API"
    CACHE = "Cache"
    FILE = "File"


@dataclass(frozen=True, slots=True)
class ConfigArrived:
    """A valid NodeConfig, and the object it was parsed from."""

    config: NodeConfig
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    """A configuration arrived that cannot be used; what runs goes on."""

    error: str


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """The key folder holds something else than before."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The compiler ended: a program document, or an error."""

    document: Mapping[str, Any] | None
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
    """One run of a check; ``run`` tells it from a run that was given up at its deadline."""

    name: str
    run: int
    passed: bool
    message: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """End the agent."""


Message = (
    ConfigArrived
    | ConfigRefused
    | KeysChanged
    | Compiled
    | EngineConnected
    | EngineMessage
    | CheckEnded
    | Stop
)
Inbox = SimpleQueue[Message]
