"""``vrrp-speaker``: run this node's share of every VirtualIP, or ask about it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr

_CANNOT_RUN = 4


def main() -> int:
    """Run the speaker or a command; return the exit status (docs/install.md lists them)."""
    match sys.argv[1:]:
        case ["check", *arguments]:
            return _check(arguments)
        case ["dump", *arguments]:
            from vrrp_speaker.dump_command import dump  # noqa: PLC0415 - not in process 1

            return dump(arguments)
        case arguments:
            return _run(arguments)


def _check(arguments: Sequence[str]) -> int:
    if _lacks_something():
        return _CANNOT_RUN
    from vrrp_speaker.agent.config.check_command import check  # noqa: PLC0415 - not in process 1

    return check(arguments)


def _run(arguments: Sequence[str]) -> int:
    # A process 1 without a handler is sent no signal at all; one that is blocked waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    if _lacks_something():
        return _CANNOT_RUN
    from vrrp_speaker.log_stream import LogStream  # noqa: PLC0415 - after the signals
    from vrrp_speaker.options import parse_options  # noqa: PLC0415 - after the signals
    from vrrp_speaker.supervisor.run_directory import CannotRunError  # noqa: PLC0415 - not for commands
    from vrrp_speaker.supervisor.supervisor import supervise  # noqa: PLC0415 - not for commands

    options = parse_options(arguments)
    with redirect_stderr(LogStream(2)):
        try:
            return supervise(options, arguments)
        except CannotRunError as error:
            print(f"vrrp-speaker: {error}", file=sys.stderr)
            return _CANNOT_RUN


def _lacks_something() -> bool:
    from vrrp_api.extras import missing  # noqa: PLC0415 - after the signals

    problem = missing("speaker")
    if problem is not None:
        print(f"vrrp-speaker: {problem}", file=sys.stderr)
    return problem is not None


if __name__ == "__main__":
    sys.exit(main())
