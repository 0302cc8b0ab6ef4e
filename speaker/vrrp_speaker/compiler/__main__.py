"""``python -m vrrp_speaker.compiler``: JSON on stdin, an engine program's document on stdout.

Input: ``{"nodeConfig": <object>, "slots": {<router>: <slot>}, "keys": {<ref>: <material>}}``, on
standard input because command lines are public. On failure stdout holds
``{"error": "..."}`` and the exit status is 1.
"""

from __future__ import annotations

import json
import sys

from vrrp_api.errors import FieldError
from vrrp_api.node_config import parse_node_config
from vrrp_speaker.compiler.program import compile_program
from vrrp_speaker.links.reading import read_links


def main() -> int:
    """Compile once; return the exit status."""
    try:
        request = json.load(sys.stdin)
        config = parse_node_config(request["nodeConfig"])
        document = compile_program(
            config, request.get("slots", {}), read_links(), request.get("keys", {})
        )
    except (ValueError, KeyError, FieldError, OSError) as error:
        json.dump({"error": str(error)}, sys.stdout)
        return 1
    json.dump(document, sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
