"""How operator and speaker are asked: /metrics, /healthz and /readyz."""

from vrrp_http.server import MetricsAddressError, Verdict, serve

__all__ = ["MetricsAddressError", "Verdict", "serve"]
