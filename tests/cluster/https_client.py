"""``python -m tests.cluster.https_client URL``: ask again and again, tell when it answered.

A new connection each time, as a client makes after a failover; ``nanoseconds status`` for each
answer, 0 for none. Whose certificate it is does not matter here.
"""

from __future__ import annotations

import sys
import time

import urllib3

_EVERY_S = 0.05
_PATIENCE_S = 0.3


def main() -> None:
    """Ask until killed."""
    urllib3.disable_warnings()
    while True:
        begun_s = time.monotonic()
        pool = urllib3.PoolManager(cert_reqs="CERT_NONE", retries=False, timeout=_PATIENCE_S)
        try:
            status = pool.request("GET", sys.argv[1]).status
        except (urllib3.exceptions.HTTPError, OSError):
            status = 0
        print(time.monotonic_ns(), status, flush=True)
        pool.clear()
        time.sleep(max(0.0, begun_s + _EVERY_S - time.monotonic()))


if __name__ == "__main__":
    main()
