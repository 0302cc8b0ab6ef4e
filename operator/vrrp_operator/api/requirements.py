"""What the operator needs of an API server, and one sentence where that is not there (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from vrrp_api import API_VERSION, GROUP
from vrrp_operator import __version__

OLDEST_KUBERNETES = (1, 31)
"""CEL's IP library, which the schemas use, is on by default from here on."""
_KINDS = ("virtualips", "healthchecks", "nodeconfigs")

Get = Callable[[str], Any]
"""Returns what the API server has at a path; None where it has nothing (404)."""


def missing_requirement(get: Get) -> str:
    """Return what the API server lacks and what to do about it; empty when it lacks nothing.

    What cannot be asked lacks nothing: the operator then hears of it by what it does.
    """
    return _kubernetes(get("/version")) or _kinds(get)


def _kubernetes(version: Any) -> str:
    if not isinstance(version, dict):
        return ""
    # Some providers write "31+".
    parts = [re.match(r"\d+", str(version.get(part, ""))) for part in ("major", "minor")]
    numbers = tuple(int(part[0]) for part in parts if part)
    if len(numbers) < len(OLDEST_KUBERNETES) or numbers >= OLDEST_KUBERNETES:
        return ""
    return (
        f"Kubernetes {_dotted(numbers)} is too old (accepted: {_dotted(OLDEST_KUBERNETES)} or"
        " newer); upgrade the cluster"
    )


def _kinds(get: Get) -> str:
    group = get(f"/apis/{GROUP}")
    install = f"install those of {__version__} (chart value crds.enabled, or kubectl apply -f crds)"
    if group is None:
        return f"the API server does not know {API_VERSION}: the CRDs are missing; {install}"
    served = sorted(str(version.get("groupVersion")) for version in group.get("versions", ()))
    if API_VERSION not in served:
        return (
            f"the API server has {', '.join(served)} (accepted: {API_VERSION}): the CRDs are of"
            f" another version than this operator, {__version__}; run the one that they came with"
        )
    resources = get(f"/apis/{API_VERSION}") or {}
    known = {str(resource.get("name")) for resource in resources.get("resources", ())}
    lacking = [kind for kind in _KINDS if kind not in known]
    if lacking:
        return f"the API server has no {', '.join(lacking)} of {API_VERSION}; {install}"
    return ""


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
