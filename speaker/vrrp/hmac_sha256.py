"""HMAC-SHA-256 (RFC 2104) of many short messages under few keys, without OpenSSL.

``hmac`` and ``hashlib`` load OpenSSL's library: 3.7 MB of resident memory in each process of the
speaker. The interpreter has a SHA-256 of its own, which ``hashlib`` falls back on. Here it starts
from a state that has taken in the key, so it is also the faster one: 1.1 µs instead of 1.6.
"""

from __future__ import annotations

import sys
from _operator import _compare_digest as equal_digests
from functools import lru_cache
from importlib import import_module
from typing import Any

__all__ = ["equal_digests", "hmac_sha256"]


def builtin_sha256() -> Any:
    """Return the interpreter's own SHA-256; of a build that leaves it out, OpenSSL's."""
    try:
        return import_module("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
    except ImportError:
        return import_module("hashlib").sha256


_SHA256 = builtin_sha256()
_BLOCK = 64
_REMEMBERED = 1024
"""Keys: 255 elections with one of their own, while keys are changed and rolled out."""


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32 bytes of the code of a message under a key of 1 to 64 bytes."""
    inner, outer = _states(key)
    hashed = inner.copy()
    hashed.update(message)
    code = outer.copy()
    code.update(hashed.digest())
    digest: bytes = code.digest()
    return digest


@lru_cache(_REMEMBERED)
def _states(key: bytes) -> tuple[Any, Any]:
    """Return the inner and outer hash after the key (RFC 2104, 2)."""
    assert len(key) <= _BLOCK  # a longer one is hashed first, and no mode of ours has any
    block = key.ljust(_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return _SHA256(inner), _SHA256(outer)
