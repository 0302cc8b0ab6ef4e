"""A log whose reader stands still, comes back, or is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrrp_speaker.log_stream import _MOST_KEPT, LogStream

LINE = "x" * 99 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def drain(reader: int) -> str:
    os.set_blocking(reader, False)
    found = b""
    try:
        while chunk := os.read(reader, 1 << 20):
            found += chunk
    except BlockingIOError:
        pass
    return found.decode()


def test_lines_arrive_at_once(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    print("ready", file=stream)
    assert drain(reader) == "ready\n"


def test_others_that_share_the_pipe_wait_as_before(pipe: tuple[int, int]) -> None:
    LogStream(pipe[1])
    assert os.get_blocking(pipe[1])


def test_full_pipe_costs_lines_and_tells_how_many(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    written = 0
    while not stream.dropped:
        stream.write(LINE)
        written += 1
    for _ in range(6):
        stream.write(LINE)
    assert stream.dropped == 7
    read = drain(reader)
    stream.write("back\n")  # what was kept comes first, in order
    read += drain(reader)
    stream.write("again\n")
    read += drain(reader)
    assert read.count(LINE) == written - 1
    assert read.endswith("back\n7 lines of this log were dropped\nagain\n")


def test_what_waits_is_bounded(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    for _ in range(5_000):
        stream.write(LINE)
    drain(reader)
    stream.flush()
    kept = len(drain(reader))
    stream.flush()
    while more := len(drain(reader)):
        kept += more
        stream.flush()
    assert kept <= _MOST_KEPT


def test_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = LogStream(writer)
    print("to nobody", file=stream, flush=True)
    assert stream.dropped == 1
    os.close(writer)


def test_full_disk_is_no_error() -> None:
    with Path("/dev/full").open("wb") as disk:
        stream = LogStream(disk.fileno())
        print("to a full disk", file=stream, flush=True)
    assert stream.dropped == 1


def test_file_is_appended_to_where_others_write(tmp_path: Path) -> None:
    """A regular file opened anew would be written from its beginning."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        os.write(file.fileno(), b"one\n")
        print("two", file=LogStream(file.fileno()))
        os.write(file.fileno(), b"three\n")
    assert path.read_text() == "one\ntwo\nthree\n"
