"""Kinds of the API server that are of an earlier version: what they lack is not written."""

from __future__ import annotations

import logging

from vrrp_api.undeclared import Undeclared

_log = logging.getLogger(__name__)


def undeclared_by_kind() -> dict[str, Undeclared]:
    """Return what is known of the API server's kinds before anything was written: nothing."""

    def tell(paths: frozenset[str]) -> None:
        said = {"fields": ", ".join(sorted(paths))}
        _log.warning("left out: the API server's kinds are of an earlier version", extra=said)

    return {kind: Undeclared(tell) for kind in ("virtualips", "healthchecks", "nodeconfigs")}
