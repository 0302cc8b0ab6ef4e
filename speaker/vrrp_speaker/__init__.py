"""The node side of kube-vrrp: supervisor, engine, agent and compiler."""

__version__ = "0.1.0"
