"""Writes an image's bill of materials (CycloneDX): what is installed, of Python and of Debian.

Runs inside the builder, where cyclonedx-python-lib is installed.
"""

from __future__ import annotations

import argparse
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

_PREFIXES = (Path("/opt/kube-vrrp"), Path("/build/program"))
_TARGET = Path("/build/sbom.cdx.json")
_BASE, _BUILDER = Path("/build/base-packages"), Path("/var/lib/dpkg")
_FROM_BUILDER = ("tini",)
_OURS = "kube-vrrp"


def main() -> None:
    """Write the file that the image is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--version", required=True)
    parser.add_argument("--created", required=True, help="RFC 3339")
    options = parser.parse_args()
    sites = [str(p) for prefix in _PREFIXES for p in prefix.glob("lib/python3.*/site-packages")]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{options.image}:{options.version}"),
        components=[
            *(_python(found) for found in distributions(path=sites)),
            *(_debian(fields) for fields in _packages(_BASE)),
            *(_debian(f) for f in _packages(_BUILDER) if f["Package"] in _FROM_BUILDER),
        ],
    )
    bom.metadata.timestamp = datetime.fromisoformat(options.created)
    bom.metadata.component = Component(
        name=options.image,
        version=options.version,
        type=ComponentType.CONTAINER,
        bom_ref="image",
    )
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    _TARGET.write_text(outputter.output_as_string(indent=1))


def _python(found: Distribution) -> Component:
    metadata = found.metadata
    name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
    (said, *_) = metadata.get_all("License-Expression") or metadata.get_all("License") or [""]
    # Some put the whole text there: not a name of a licence.
    licence = [LicenseFactory().make_from_string(said)] if 0 < len(said) < 80 else []
    kind = ComponentType.APPLICATION if name == _OURS else ComponentType.LIBRARY
    return Component(
        name=name,
        version=found.version,
        type=kind,
        licenses=licence,
        purl=PackageURL("pypi", None, name, found.version),
        bom_ref=f"pypi:{name}",
    )


def _packages(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the fields of each installed package: of a package manager, or of unpacked ones."""
    notes = sorted(folder.glob("status.d/*")) or [folder / "status"]
    for note in notes:
        for paragraph in note.read_text(encoding="utf-8").strip().split("\n\n"):
            fields = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.MULTILINE))
            if fields.get("Status", "").endswith(" installed"):
                yield fields


def _debian(fields: dict[str, str]) -> Component:
    name, version = fields["Package"], fields["Version"]
    qualifiers = {"arch": fields["Architecture"]}
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=PackageURL("deb", "debian", name, version, qualifiers),
        bom_ref=f"deb:{name}",
    )


if __name__ == "__main__":
    main()
