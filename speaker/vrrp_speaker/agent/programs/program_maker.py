"""From a NodeConfig to the engine's program, on the links that the node has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_speaker.agent.messages import TemplatesMade
from vrrp_speaker.agent.programs.link_templates import LinkTemplates
from vrrp_speaker.agent.programs.placing import Keys, Placing
from vrrp_speaker.links.choice import likely_links
from vrrp_speaker.links.table import LinkTable

_log = logging.getLogger(__name__)


class ProgramMaker:
    """Makes programs; reads the links when they may be others, or may answer something new."""

    def __init__(self, templates: LinkTemplates, read_links: Callable[[], LinkTable]) -> None:
        self._templates = templates
        self._read_links = read_links
        self._placing = Placing()
        self._table: LinkTable | None = None
        self._asked: dict[str, VirtualRouterConfig] = {}
        self._addresses: tuple[str, ...] = ()

    def go_on_from(self, document: Mapping[str, Any]) -> None:
        """Leave routers on the interfaces on which they run by a program."""
        self._placing.go_on_from(document.get("routers", ()))

    def prepare(self) -> None:
        """Have templates made of the links that configurations are likely to be about."""
        try:
            self._table = self._read_links()
        except OSError as error:
            _log.warning("links not read", extra={"error": str(error)})
            return
        self._templates.ensure([link.bare for link in likely_links(self._table)])

    def forget_links(self) -> None:
        """Read the links again when they are needed next."""
        self._table = None

    def take(self, made: TemplatesMade) -> None:
        """Take what the compiler made, or note that it failed."""
        self._templates.take(made)

    def make(
        self, config: NodeConfig, slots: Mapping[str, int], keys: Keys
    ) -> Mapping[str, Any] | None:
        """Return the program document of a configuration on this machine.

        None: the templates of a link are being made first, and ``TemplatesMade`` tells the end.

        Raises:
            OSError: the links cannot be read.
        """
        placed = self._placing.place(config, slots, self._links(config), keys)
        if not self._templates.ensure(placed.links):
            return None
        return placed.program(self._templates.known)

    def _links(self, config: NodeConfig) -> LinkTable:
        new = config.addresses != self._addresses or any(map(self._is_new, config.virtual_routers))
        if self._table is None or new:
            found = self._read_links()
            if found != self._table:
                self._table = found
        self._asked = {router.name: router for router in config.virtual_routers}
        self._addresses = config.addresses
        return self._table

    def _is_new(self, router: VirtualRouterConfig) -> bool:
        """Return whether a router asks something of the links that it did not ask before."""
        before = self._asked.get(router.name)
        return before is not router and (
            before is None
            or (before.interface, before.addresses) != (router.interface, router.addresses)
            or before.election.transport != router.election.transport
        )
