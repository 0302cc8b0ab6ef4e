"""The program file is taken as it was written, or not at all."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrp_speaker.program_file import decode, encode, read_values

HEAD = {"format": 3, "node": "node-1", "generation": 4}
ROUTERS = [{"name": "a\nb", "vrid": 51}, {"name": "ü", "vrid": 52, "peers": [{"node": "node-2"}]}]
DOCUMENT = {**HEAD, "routers": ROUTERS}
FILE = encode(DOCUMENT)
LINES = FILE.splitlines(keepends=True)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def values(data: bytes) -> list[Any]:
    """Return all that a file holds below its checksum."""
    return list(read_values(io.BytesIO(data)))


def sealed(rest: bytes) -> bytes:
    """Return a file whose checksum is right, whatever it holds."""
    return b'{"checksum":"crc32:%08x"}\n' % zlib.crc32(rest) + rest


def test_file_is_the_checksum_the_head_and_a_line_for_each_router() -> None:
    assert FILE.count(b"\n") == 4
    assert sealed(FILE.split(b"\n", 1)[1]) == FILE
    assert values(FILE) == [HEAD, *ROUTERS]


def test_program_without_routers_is_a_head_alone() -> None:
    assert values(encode({**HEAD, "routers": []})) == [HEAD]


@given(
    st.dictionaries(st.text().filter(lambda key: key != "routers"), _JSON),
    st.lists(st.dictionaries(st.text(), _JSON)),
)
def test_any_document_is_decoded_as_it_was(head: dict[str, Any], routers: list[Any]) -> None:
    document = {**head, "routers": routers}
    assert decode(io.BytesIO(encode(document))) == document


def test_file_cut_anywhere_is_refused_before_anything_is_yielded() -> None:
    for length in range(len(FILE)):
        with pytest.raises(ValueError, match="checksum: does not match the content"):
            next(read_values(io.BytesIO(FILE[:length])))


def test_file_with_a_bit_turned_over_is_refused_before_anything_is_yielded() -> None:
    for bit in range(8 * len(FILE)):
        damaged = bytearray(FILE)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="checksum"):
            next(read_values(io.BytesIO(damaged)))


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(FILE + b"\n", id="an empty line more"),
        pytest.param(FILE + LINES[-1], id="a router twice"),
        pytest.param(FILE + FILE, id="the file twice"),
        pytest.param(FILE + b"\0", id="a byte more"),
        pytest.param(b"\n" + FILE, id="an empty line first"),
        pytest.param(b"".join(LINES[1:]), id="no checksum"),
        pytest.param(b"".join(LINES[:-1]), id="a router less"),
        pytest.param(b"".join((*LINES[:2], LINES[3], LINES[2])), id="another order"),
        pytest.param(FILE.replace(b"\n", b"\r\n"), id="other line ends"),
        pytest.param(bytes(len(FILE)), id="zeros, as after a crash"),
        pytest.param(b"{ torn", id="something else"),
        pytest.param(json.dumps({**DOCUMENT, "format": 2, "checksum": "crc32:7c1f1e5a"}).encode(),
                     id="the format before, which a node that is updated still has"),
    ],
)  # fmt: skip
def test_damaged_file_is_refused_before_anything_is_yielded(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="checksum: does not match the content"):
        next(read_values(io.BytesIO(damaged)))


@pytest.mark.parametrize(
    ("rest", "wrong"),
    [
        (b"", "not enough values"),
        (b"[]\n", r"\[\] is not an object"),
        (b"{\n", "Expecting property name"),
        (b'"\xff"\n', "invalid start byte"),
    ],
)
def test_decode_a_whole_file_that_is_no_program_is_refused(rest: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        decode(io.BytesIO(sealed(rest)))
