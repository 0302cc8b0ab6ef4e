"""How operator and speaker are asked: /metrics, /healthz and /readyz."""

from vrrp_http.server import MetricsAddressError, serve

__all__ = ["MetricsAddressError", "serve"]
