"""``python -m tests.netns.scraper PORT VIP``: scrape this host's speaker 50 times a second.

Every line on standard input is answered with one JSON line: the scrapes since the last one, each
as (begun, ended, {metric: value}) of the series of one VirtualIP; an empty one where there are no
such series. Times are CLOCK_MONOTONIC in ns.
"""

from __future__ import annotations

import json
import sys
import time
from http.client import HTTPConnection, HTTPException
from select import select

EVERY_S = 0.02
_WANTED = (
    "kube_vrrp_master{",
    "kube_vrrp_address_present{",
    "kube_vrrp_dual_active_seconds_total{",
)


def scrape(port: int, name: str) -> dict[str, float] | None:
    """Return the wanted series; None when nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    found = {}
    for line in text.splitlines():
        if line.startswith(_WANTED) and f'virtual_ip="{name}"' in line:
            series, value = line.rsplit(" ", 1)
            found[series.partition("{")[0]] = float(value)
    return found


def main() -> None:
    """Scrape until standard input ends."""
    port, name = int(sys.argv[1]), sys.argv[2]
    seen: list[tuple[int, int, dict[str, float]]] = []
    due_s = time.monotonic()
    while True:
        begun_ns = time.monotonic_ns()
        series = scrape(port, name)
        if series is not None:
            seen.append((begun_ns, time.monotonic_ns(), series))
        due_s = max(due_s + EVERY_S, time.monotonic())
        while select([sys.stdin], [], [], max(0.0, due_s - time.monotonic()))[0]:
            if not sys.stdin.readline():
                return
            print(json.dumps(seen), flush=True)
            seen = []


if __name__ == "__main__":
    main()
