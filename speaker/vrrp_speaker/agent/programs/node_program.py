"""The program that the node's engine is to run: made, stored, offered, and tried again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.messages import TemplatesMade
from vrrp_speaker.agent.programs.placing import Keys
from vrrp_speaker.agent.programs.program_maker import ProgramMaker
from vrrp_speaker.agent.programs.program_store import ProgramStore
from vrrp_speaker.agent.retry import Retry

_log = logging.getLogger(__name__)


class NodeProgram:
    """Keeps the newest program, and what became of it."""

    def __init__(self, store: ProgramStore, maker: ProgramMaker) -> None:
        self.store = store
        self.maker = maker
        self.document: Mapping[str, Any] | None = store.stored()
        maker.go_on_from(self.document or {})
        self.problem = ""
        """Why the newest configuration is not applied; empty when it is or will be."""
        self.again = Retry()
        self._offered: Mapping[str, Any] | None = None

    def prepare(self) -> None:
        """Have made what any configuration is likely to need."""
        self.maker.prepare()

    def take(self, made: TemplatesMade, now_s: float) -> bool:
        """Take what a compiler has made; return whether it has made anything."""
        self.maker.take(made)
        if made.error:
            self._failed(made.error, now_s)
        return not made.error

    def make(self, config: NodeConfig, keys: Keys, now_s: float) -> bool:
        """Make the program of a configuration and store it; return whether that is done.

        If not, it is tried again, or a ``TemplatesMade`` message comes first; the program is as it
        was.
        """
        try:
            document = self.maker.make(config, self.slots(), keys)
            if document is None:
                return False
            if document != self.document:
                self.store.store(document)
        except OSError as error:
            self._failed(str(error), now_s)
            return False
        self.problem = ""
        before, self.document = self.document, document
        _tell_new_faults(before, document)
        return True

    def ensure_stored(self, now_s: float) -> None:
        """See to it that an engine that has just begun finds the program."""
        self._offered = None
        try:
            self.store.ensure_stored(self.document or {})
        except OSError as error:
            _log.error("program not stored", extra={"error": str(error)})
            self.again.failed(now_s)

    @property
    def is_to_be_loaded(self) -> bool:
        """Whether the engine was not told to load this program, or refused it."""
        return self._offered is None or self._offered != self.document

    def offered(self, *, taken: bool) -> None:
        """Note that the engine was told to load it, or could not be told."""
        self._offered = self.document if taken else None

    def refused(self, error: str, now_s: float) -> None:
        """Note that the engine runs on with what it had."""
        self.problem, self._offered = error, None
        _log.error("engine refused", extra={"error": error})
        self.again.failed(now_s)

    def slots(self) -> dict[str, int]:
        """Return the slot of each router."""
        routers = self.document["routers"] if self.document else ()
        return {router["name"]: router["slot"] for router in routers}

    def _failed(self, error: str, now_s: float) -> None:
        self.problem = error
        _log.error("configuration not compiled", extra={"error": error})
        self.again.failed(now_s)


def _tell_new_faults(before: Mapping[str, Any] | None, program: Mapping[str, Any]) -> None:
    """Log why virtual routers cannot be placed on this node, where that was not so before."""
    known = {
        router.get("name"): router.get("faults") for router in (before or {}).get("routers", ())
    }
    for router in program["routers"]:
        if router["faults"] and router["faults"] != known.get(router["name"]):
            said = {"virtual_ip": router["name"], "faults": "; ".join(router["faults"])}
            _log.warning("takes no part", extra=said)
