"""``kubectl vrrp``: the commands, once there is what they need (``vrrp_cli.commands``)."""

from __future__ import annotations

import sys

from vrrp_api.extras import missing

_CANNOT_RUN = 4


def main() -> int:
    """Run one command; return the exit status (docs of ``vrrp_cli.commands``)."""
    problem = missing("cli")
    if problem is not None:
        print(f"kubectl-vrrp: {problem}", file=sys.stderr)
        return _CANNOT_RUN
    from vrrp_cli.commands import run  # noqa: PLC0415 - imports what may be missing

    return run()


if __name__ == "__main__":
    sys.exit(main())
