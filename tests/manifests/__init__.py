"""Wrong manifests, shared by the tests of the typed view and those of the real API server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "docs" / "examples").glob("*.yaml"))


@dataclass(frozen=True)
class WrongManifest:
    """One manifest, what the server says of it, and the field the typed view names."""

    name: str
    kind: str
    spec: Any
    server: str
    path: str | None = None

    def to_object(self) -> dict[str, Any]:
        """Return the whole object."""
        return {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": "wrong"},
            "spec": self.spec,
        }


def wrong_manifests() -> list[WrongManifest]:
    """Return the table."""
    text = Path(__file__).with_name("wrong.yaml").read_text(encoding="utf-8")
    return [WrongManifest(**item) for item in yaml.safe_load(text)]
