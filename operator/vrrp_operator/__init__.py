"""The cluster side of kube-vrrp: decides which node may hold which VirtualIP.

Read in this order: ``model.snapshot``, ``plan.validation``, ``plan.allocator``, ``plan.planner``,
``report.status`` (all pure), ``write.apply``, ``reconcile``, ``api.handlers``, ``__main__``.
"""

__version__ = "0.1.0"
