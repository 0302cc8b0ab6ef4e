"""The chart's copies of the CustomResourceDefinitions, made from ``crds/*.yaml``."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "kube-vrrp"
VERSION: str = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
SOURCES = sorted((ROOT / "crds").glob("*.yaml"))
_HEAD = """\
{{- /* Made from crds/%s by `make chart`; change it there. */ -}}
{{- if .Values.crds.enabled }}
"""
_METADATA = '  {{- include "kube-vrrp.crdMetadata" . | nindent 2 }}\n'


def template_of(source: Path) -> str:
    """Return a kind's template: its source, with metadata that Helm needs, when the value says so.

    Raises:
        ValueError: the source has no line of its name, or has what Helm would take for its own.
    """
    text = source.read_text(encoding="utf-8")
    before, name, after = text.partition(f"  name: {source.stem}.kube-vrrp.io\n")
    if not name or "{{" in text:
        raise ValueError(f"{source}: has no line of its name, or has {{{{")
    return _HEAD % source.name + before + name + _METADATA + after + "{{- end }}\n"


def template_path(source: Path) -> Path:
    """Return where a kind's template lies."""
    return CHART / "templates" / "crds" / source.name
