"""``python -m vrrp_speaker.compiler``: links on stdin, their templates on stdout.

Input: ``{"links": [{"index", "name", "mac", "forwarding"}]}``; output: ``{"templates": [...]}``,
in the same order. On failure stdout holds ``{"error": "..."}`` and the exit status is 1.
"""

from __future__ import annotations

import json
import sys

from vrrp_speaker.compiler.templates import TemplateError, link_templates
from vrrp_speaker.links.table import parse_bare


def main() -> int:
    """Make the templates of the links asked for; return the exit status."""
    try:
        links = [parse_bare(link) for link in json.load(sys.stdin)["links"]]
        made = [link_templates(link) for link in links]
    except (ValueError, KeyError, TypeError, TemplateError) as error:
        json.dump({"error": str(error)}, sys.stdout)
        return 1
    objects = [
        {str(kind): template.to_object() for kind, template in templates.items()}
        for templates in made
    ]
    json.dump({"templates": objects}, sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
