"""How long an address is bound for: a lease, renewed by whoever is Active and on time.

Standard library and ``vrrp`` only: the agent puts it into programs, the engine renews by it.
"""

from __future__ import annotations

from vrrp.constants import NS_PER_SECOND
from vrrp.timers import active_down_interval_ns


def lease_seconds(
    version: int, priority: int, adver_interval_ns: int, down_advertisements: int
) -> int:
    """Return the valid lifetime of a bound address, in whole seconds, at least 1.

    House rule (architecture §4.4): as short as the kernel's granularity allows without ending
    before the Active_Down_Interval does.
    """
    down_ns = active_down_interval_ns(version, priority, adver_interval_ns, down_advertisements)
    return -(-down_ns // NS_PER_SECOND)
