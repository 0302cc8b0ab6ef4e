"""The cluster side of kube-vrrp: decides which node may hold which VirtualIP.

Read in this order: ``snapshot``, ``validation``, ``allocator``, ``planner``, ``status`` (all pure),
``apply``, ``reconcile``, ``handlers``, ``__main__``.
"""

__version__ = "0.1.0"
