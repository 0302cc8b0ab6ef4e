"""The program that was read before it was needed: never an older one than what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.engine.test_stored_program import load_and_keep, program_file

from vrrp_speaker.engine.programs import known_program as known_program_module
from vrrp_speaker.engine.programs.known_program import KnownProgram
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader
from vrrp_speaker.engine.programs.stored_program import stored_program


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read so far."""
    paths: list[str] = []

    def count(path: str, reader: ProgramReader) -> EngineProgram | None:
        paths.append(path)
        return stored_program(path, reader)

    monkeypatch.setattr(known_program_module, "stored_program", count)
    return paths


def generation(known: KnownProgram) -> int:
    program = known.take()
    assert program is not None
    return program.generation


def test_file_that_did_not_change_is_read_once_and_not_kept(
    tmp_path: Path, read: list[str]
) -> None:
    known = KnownProgram(str(program_file(tmp_path)))
    known.read()
    assert generation(known) == 4
    assert len(read) == 1
    assert generation(known) == 4  # another engine's turn
    assert len(read) == 2


def test_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = program_file(tmp_path)
    known = KnownProgram(str(path))
    known.read()
    (tmp_path / "new").mkdir()
    newer = program_file(tmp_path / "new", generation=5)
    before = path.stat()
    os.utime(newer, ns=(before.st_atime_ns, before.st_mtime_ns))
    newer.replace(path)
    assert path.stat().st_size == before.st_size
    assert generation(known) == 5


def test_file_that_was_damaged_in_place_is_not_believed(tmp_path: Path) -> None:
    path = program_file(tmp_path)
    known = KnownProgram(str(path))
    known.read()
    path.write_text("{ torn")
    assert known.take() is None


def test_copy_is_not_believed_once_a_newer_one_was_made(tmp_path: Path) -> None:
    """The file was missing each time we looked; an engine had another one in between."""
    path = program_file(tmp_path)
    load_and_keep(str(path))
    path.unlink()
    known = KnownProgram(str(path))
    known.read()
    load_and_keep(str(program_file(tmp_path, generation=5)))
    path.unlink()
    assert generation(known) == 5


def test_program_that_came_after_nothing_is_found(tmp_path: Path) -> None:
    known = KnownProgram(str(tmp_path / "program.json"))
    assert known.read() is None
    program_file(tmp_path)
    assert generation(known) == 4
