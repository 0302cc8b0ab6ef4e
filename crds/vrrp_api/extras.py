"""What each program imports beside the standard library, and how to get it.

A program starts with this question, so that one who installed ``kube-vrrp`` alone reads a sentence.
"""

from __future__ import annotations

from importlib.machinery import PathFinder

MODULES = {
    "operator": ("kopf", "kubernetes", "prometheus_client", "urllib3"),
    "speaker": ("h2", "prometheus_client", "pyroute2", "scapy", "urllib3", "yaml"),
    "cli": ("kubernetes", "rich", "urllib3", "yaml"),
}
"""The packages that an extra of the distribution brings, as they are imported."""


def missing(extra: str) -> str | None:
    """Return what is not installed of an extra and what to do about it; None if all of it is."""
    absent = [name for name in MODULES[extra] if PathFinder.find_spec(name) is None]
    if not absent:
        return None
    return f"not installed: {', '.join(absent)}; install it with: pip install 'kube-vrrp[{extra}]'"
