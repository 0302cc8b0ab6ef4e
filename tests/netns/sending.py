"""Run on a host: send many advertisements to a peer and to others, and tell how many failed.

Arguments: the source, how often, the peer whose failures count, and the others.
"""

from __future__ import annotations

import sys

from tests.unit.engine.programs import packed

from vrrp.constants import TTL, Family
from vrrp_speaker.engine.wire.transport import Route, Transport


def main(source: str, count: str, counting: str, *others: str) -> None:
    """Send and print."""
    family = Family.IPV6 if ":" in source else Family.IPV4
    transport, route = Transport(), Route(family, packed(source), 0, TTL)
    failed = 0
    for _ in range(int(count)):
        transport.send(route, [(other, bytes(32)) for other in others])
        failed += transport.send(route, [(counting, bytes(32))])
    print(f"failed: {failed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
