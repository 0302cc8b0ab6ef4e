"""``vrrp-operator``: plan every VirtualIP of the cluster."""

from __future__ import annotations

import sys

from vrrp_api.extras import missing

CANNOT_RUN = 4


def main() -> int:
    """Run the operator; return its exit status (0 stopped as asked, 4 cannot run)."""
    problem = missing("operator")
    if problem is not None:
        print(f"vrrp-operator: {problem}", file=sys.stderr)
        return CANNOT_RUN
    from vrrp_operator.run import run  # noqa: PLC0415 - imports what may be missing

    return run()


if __name__ == "__main__":
    sys.exit(main())
