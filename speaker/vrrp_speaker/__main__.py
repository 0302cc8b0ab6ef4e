"""``vrrp-speaker``: run this node's share of every VirtualIP, or ask about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vrrp_speaker.options import CANNOT_RUN, parse_options


def main() -> int:
    """Run the speaker or a command; return the exit status (docs/install.md lists them)."""
    match sys.argv[1:]:
        case ["check", *arguments]:
            from vrrp_speaker.agent.check_command import check  # noqa: PLC0415 - not in process 1

            return check(arguments)
        case ["dump", *arguments]:
            from vrrp_speaker.dump_command import dump  # noqa: PLC0415 - not in process 1

            return dump(arguments)
        case arguments:
            return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    from vrrp_speaker.run_directory import CannotRunError  # noqa: PLC0415 - not for commands
    from vrrp_speaker.supervisor import supervise  # noqa: PLC0415 - not for commands

    try:
        return supervise(parse_options(arguments), arguments)
    except CannotRunError as error:
        print(f"vrrp-speaker: {error}", file=sys.stderr)
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main())
