"""The program that outlives a damaged file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.engine.test_program import document

from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader, finished
from vrrp_speaker.engine.programs.stored_program import read_and_keep, stored_program
from vrrp_speaker.program_file import encode


def program_file(folder: Path, generation: int = 4) -> Path:
    path = folder / "program.json"
    path.write_bytes(encode(document(lambda p: p.update({"generation": generation}))))
    return path


def load_and_keep(path: str) -> EngineProgram:
    """Read a program as the loop does, in one turn."""
    return finished(read_and_keep(path, ProgramReader()))


def test_damaged_or_missing_program_is_replaced_by_its_copy(tmp_path: Path) -> None:
    path = program_file(tmp_path)
    good = load_and_keep(str(path))
    path.write_text("{ torn")
    assert stored_program(str(path)) == good
    path.unlink()
    assert stored_program(str(path)) == good


def test_newer_program_is_preferred_to_the_copy(tmp_path: Path) -> None:
    load_and_keep(str(program_file(tmp_path, generation=4)))
    newer = stored_program(str(program_file(tmp_path, generation=5)))
    assert newer is not None
    assert newer.generation == 5


def test_refused_program_leaves_the_copy_as_it_was(tmp_path: Path) -> None:
    path = program_file(tmp_path)
    good = load_and_keep(str(path))
    path.write_text("[]")
    with pytest.raises(ProgramError):
        load_and_keep(str(path))
    assert stored_program(str(path)) == good


def test_copy_is_of_what_was_read_though_the_file_is_another_one_by_then(tmp_path: Path) -> None:
    """The agent may store the next program while the loop reads this one."""
    path = program_file(tmp_path, generation=4)
    steps = read_and_keep(str(path), ProgramReader())
    next(steps)
    newer = tmp_path / "newer.json"
    newer.write_text("{ torn")
    newer.replace(path)
    assert finished(steps).generation == 4
    kept = stored_program(str(path))
    assert kept is not None
    assert kept.generation == 4


def test_no_program_is_none(tmp_path: Path) -> None:
    assert stored_program(str(tmp_path / "program.json")) is None


def test_copy_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = program_file(tmp_path)
    load_and_keep(str(path))
    assert Path(f"{path}.good").stat().st_mode & 0o077 == 0
