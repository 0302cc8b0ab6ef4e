"""``vrrp-speaker``: run this node's share of every VirtualIP."""

from __future__ import annotations

import sys

from vrrp_speaker.options import CANNOT_RUN, parse_options
from vrrp_speaker.supervisor import CannotRunError, supervise


def main() -> int:
    """Run the speaker; return its exit status (0 stopped as asked, 4 cannot run)."""
    arguments = sys.argv[1:]
    try:
        return supervise(parse_options(arguments), arguments)
    except CannotRunError as error:
        print(f"vrrp-speaker: {error}", file=sys.stderr)
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main())
