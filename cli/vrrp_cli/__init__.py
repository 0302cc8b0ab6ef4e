"""kubectl-vrrp: look at VirtualIPs, check manifests, render them for standalone nodes."""

__version__ = "0.1.0"
