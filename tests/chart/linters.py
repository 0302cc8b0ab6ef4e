"""kube-score and checkov: what they find in a rendering, as (tool, check, object)."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml
from tests.chart.crds import ROOT
from tests.chart.helm import Manifest

from vrrp_lab.programs import find_or_build

_LOCK = ROOT / "requirements" / "checkov.txt"
Finding = tuple[str, str, str]


def kube_score(manifests: Iterable[Manifest], kubernetes: str) -> set[Finding]:
    """Return what kube-score holds against the workloads."""
    command = [str(find_or_build("kube-score")), "score", "--output-format", "json"]
    ended = subprocess.run(
        [*command, f"--kubernetes-version=v{kubernetes}", "-"],
        input=yaml.safe_dump_all(list(manifests)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    good = 10
    found = set()
    for scored in json.loads(ended.stdout):
        name = f"{scored['type_meta']['kind']}/{scored['object_meta']['name']}"
        for check in scored["checks"]:
            if not check["skipped"] and check["grade"] < good:
                found.add(("kube-score", check["check"]["id"], name))
    return found


def checkov(manifests: Iterable[Manifest], folder: Path) -> set[Finding]:
    """Return what checkov holds against the objects, which are written into ``folder``."""
    for number, manifest in enumerate(manifests):
        (folder / f"{number}.yaml").write_text(yaml.safe_dump(dict(manifest)))
    flags = ("--framework", "kubernetes", "--skip-download", "--quiet", "--compact")
    ended = subprocess.run(
        [str(_checkov()), "--directory", str(folder), *flags, "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    report = json.loads(ended.stdout)
    assert report["summary"]["resource_count"], ended.stderr
    assert not report["summary"]["parsing_errors"], ended.stderr
    found = set()
    for failed in report["results"]["failed_checks"]:
        kind, _, name = failed["resource"].split(".")[:3]
        found.add(("checkov", failed["check_id"], f"{kind}/{name}"))
    return found


def _checkov() -> Path:
    """Return checkov, from an environment of its own: it wants older releases than others."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "kube-vrrp" / f"checkov-{digest}"
    program, complete = folder / "bin" / "checkov", folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True)
            complete.touch()
    return program
