"""The engine's HMAC, with the standard library's as the oracle; and what it does not load."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrp.hmac_sha256 import builtin_sha256, equal_digests, hmac_sha256


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=300))
def test_hmac_sha256_is_the_standard_librarys(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")  # the state is kept


def test_hmac_sha256_takes_no_longer_key() -> None:
    with pytest.raises(AssertionError):
        hmac_sha256(bytes(65), b"")


def test_equal_digests_compares_all_of_them() -> None:
    assert equal_digests(b"abc", b"abc")
    assert not equal_digests(b"abc", b"abd")
    assert not equal_digests(b"abc", b"ab")


def test_an_interpreter_without_its_own_uses_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_sha2", "_sha256"):
        monkeypatch.setitem(sys.modules, name, None)
    assert builtin_sha256() is hashlib.sha256


def test_supervisor_and_engine_do_not_load_openssl() -> None:
    """It would cost each of them 3.7 MB."""
    imported = "import sys, vrrp_speaker.supervisor.supervisor; "
    script = imported + "print({'_hashlib', '_ssl'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert told.stdout == b"set()\n"
