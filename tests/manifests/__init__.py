"""Manifests, wrong and just right, shared by the tests of the typed view and of the real server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "examples").glob("*.yaml"))


@dataclass(frozen=True)
class Manifest:
    """One manifest; if wrong, what the server says of it, and the field the typed view names."""

    name: str
    kind: str
    spec: Any
    server: str = ""
    path: str | None = None

    def to_object(self) -> dict[str, Any]:
        """Return the whole object."""
        return {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": "manifest"},
            "spec": self.spec,
        }


def wrong_manifests() -> list[Manifest]:
    """Return the table."""
    text = Path(__file__).with_name("wrong.yaml").read_text(encoding="utf-8")
    return [Manifest(**item) for item in yaml.safe_load(text)]


def right_manifests() -> list[Manifest]:
    """Return what is at the edge of what is accepted."""
    text = Path(__file__).with_name("right.yaml").read_text(encoding="utf-8")
    return [Manifest(**{"kind": "VirtualIP", **item}) for item in yaml.safe_load(text)]
