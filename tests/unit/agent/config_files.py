"""Standalone configurations for tests."""

from __future__ import annotations

GOOD = """\
apiVersion: kube-vrrp.io/v1alpha1
kind: NodeConfig
metadata: {name: node-1}
spec:
  node: node-1
  addresses: [192.0.2.11]
  virtualRouters:
  - name: api
    virtualIPGeneration: 1
    virtualRouterID: 51
    addresses: [{address: 192.0.2.50/24}]
    basePriority: 200
    authentication: {type: HMAC, keyRef: cluster}
    peers:
    - {node: node-2, address: 192.0.2.12, priority: 180}
    healthChecks:
    - {name: readyz, weight: -100}
  - name: web
    virtualIPGeneration: 1
    virtualRouterID: 52
    addresses: [{address: 192.0.2.51/24}]
    basePriority: 180
    authentication: {type: HMAC, keyRef: cluster}
    peers:
    - {node: node-2, address: 192.0.2.12, priority: 200}
  healthChecks:
  - name: readyz
    http: {url: "https://127.0.0.1:6443/readyz", tls: {insecureSkipVerify: true}}
"""


def changed(*changes: tuple[str, str]) -> str:
    """Return the good text with parts of it replaced; each must be there."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text
