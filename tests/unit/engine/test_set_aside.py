"""What engines ended under: noted, set aside at the third time, and given up with the reason."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.engine.rig import NOW, ONE, Rig, rig
from tests.unit.engine.test_program import document
from tests.unit.engine.test_stored_program import load_and_keep, program_file

from vrrp.constants import State
from vrrp.events import DeadlineReached
from vrrp_speaker.agent.programs.program_store import ProgramStore
from vrrp_speaker.engine import main as main_module
from vrrp_speaker.engine.main import EngineFiles, run_engine
from vrrp_speaker.engine.programs import set_aside as set_aside_module
from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.known_program import KnownProgram
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import load_program
from vrrp_speaker.engine.programs.set_aside import (
    NOTHING_ASIDE,
    WITHIN_NS,
    RouterError,
    SetAside,
    note_end,
    over,
    path_of,
    read_set_aside,
)
from vrrp_speaker.engine.programs.stored_program import (
    has_other_proved,
    stored_program,
)
from vrrp_speaker.program_file import encode, file_checksum, fingerprint
from vrrp_speaker.shared_state import EngineFault, SharedState
from vrrp_speaker.shared_state import layout as shm

__all__ = ["rig"]  # pytest finds fixtures by name


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(program_file(tmp_path))


def over_ingress(cause: Exception) -> RouterError:
    """Return the error of an engine that ended over the program's router."""
    with pytest.raises(RouterError) as raised, over("ingress"):
        raise cause
    return raised.value


def ends(path: str, error: BaseException, times: int, *, every_ns: int = 1, proved: bool) -> None:
    for number in range(times):
        note_end(path, error, NOW + number * every_ns, proved=proved)


@pytest.mark.parametrize(("times", "is_aside"), [(1, False), (2, False), (3, True), (9, True)])
def test_router_is_set_aside_at_the_third_end_over_it(
    path: str, times: int, is_aside: bool
) -> None:
    ends(path, over_ingress(ZeroDivisionError()), times, proved=False)
    (router,) = load_program(path, read_set_aside(path)).routers
    assert (router.faults == (EngineFault.SET_ASIDE,)) is is_aside
    assert (router.addresses == ()) is is_aside
    assert (router.vrid, router.slot) == (51, 3)


def test_ends_that_are_far_apart_set_nothing_aside(path: str) -> None:
    ends(path, over_ingress(ZeroDivisionError()), 9, every_ns=WITHIN_NS // 2 + 1, proved=True)
    assert read_set_aside(path) == NOTHING_ASIDE


def test_ends_before_a_boot_count_no_more(path: str) -> None:
    error = over_ingress(ZeroDivisionError())
    ends(path, error, 2, proved=False)
    note_end(path, error, NOW - 10**11, proved=False)  # the clock began anew
    assert read_set_aside(path) == NOTHING_ASIDE


def test_router_that_changed_is_run_again(path: str) -> None:
    ends(path, over_ingress(ZeroDivisionError()), 3, proved=False)
    changed = document(lambda p: p["routers"][0].update(basePriority=199))
    Path(path).write_bytes(encode(changed))
    (router,) = load_program(path, read_set_aside(path)).routers
    assert router.faults == ()


def test_another_speaker_tries_everything_again(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends(path, over_ingress(ZeroDivisionError()), 3, proved=False)
    monkeypatch.setattr(set_aside_module, "__version__", "another")
    assert read_set_aside(path) == NOTHING_ASIDE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"ends": 3}'])
def test_notes_that_are_damaged_are_none(path: str, text: str) -> None:
    Path(path_of(path)).write_text(text)
    assert read_set_aside(path) == NOTHING_ASIDE
    ends(path, over_ingress(ZeroDivisionError()), 3, proved=False)
    assert read_set_aside(path).routers.keys() == {"ingress"}


@pytest.mark.parametrize(
    "cause",
    [MemoryError(), OSError(errno.ENOMEM, "no memory"), OSError(errno.ENOSPC, "disk full")],
)
def test_what_the_machine_lacks_is_no_routers_fault(path: str, cause: Exception) -> None:
    ends(path, over_ingress(cause), 3, proved=True)
    ends(path, cause, 3, proved=True)
    assert not Path(path_of(path)).exists()


def test_program_is_set_aside_for_one_that_was_proved(path: str) -> None:
    proved = Path(path).read_bytes()
    load_and_keep(path)
    ProgramStore(Path(path)).keep_proved()
    assert not has_other_proved(path)
    load_and_keep(str(program_file(Path(path).parent, generation=5)))
    assert has_other_proved(path)
    ends(path, ValueError(), 2, proved=has_other_proved(path))
    assert generation_of(stored_program(path)) == 5
    ends(path, ValueError(), 3, proved=has_other_proved(path))
    assert generation_of(stored_program(path)) == 4
    with pytest.raises(ProgramError, match="set aside, because engines ended under it"):
        load_and_keep(path)
    assert Path(f"{path}.proved").read_bytes() == proved
    load_and_keep(str(program_file(Path(path).parent, generation=6)))
    assert generation_of(stored_program(path)) == 6


def generation_of(program: EngineProgram | None) -> int:
    assert program is not None
    return program.generation


def test_program_that_is_the_only_one_is_never_set_aside(path: str) -> None:
    load_and_keep(path)
    ends(path, ValueError(), 9, proved=has_other_proved(path))
    assert read_set_aside(path) == NOTHING_ASIDE


def test_error_over_something_that_is_no_router_counts_for_the_program(path: str) -> None:
    """As over the announcements of the node's own address."""
    with pytest.raises(RouterError) as raised, over("the node's address on interface 2"):
        raise ZeroDivisionError
    ends(path, raised.value, 3, proved=True)
    assert read_set_aside(path) == SetAside({}, frozenset({file_checksum(path)}))


def test_notes_stay_short(path: str) -> None:
    for number in range(200):
        note_end(path, ValueError(), NOW + number, proved=True)
    notes = json.loads(Path(path_of(path)).read_text())
    assert len(notes["ends"]) <= 64
    assert len(notes["programs"]) <= 16


def test_what_cannot_be_noted_is_no_error(tmp_path: Path) -> None:
    note_end(str(tmp_path / "none" / "program"), ValueError(), NOW, proved=True)


def test_inner_router_is_the_one_to_blame() -> None:
    with pytest.raises(RouterError) as raised, over("outer"), over("inner"):
        raise ZeroDivisionError
    assert raised.value.name == "inner"


def test_fingerprint_is_of_all_that_a_router_is() -> None:
    router = document()["routers"][0]
    assert fingerprint(router) == fingerprint(dict(router))
    assert fingerprint({**router, "slot": 4}) != fingerprint(router)


def test_heir_does_not_run_what_was_set_aside_since_it_read(path: str) -> None:
    known = KnownProgram(path)
    known.read()
    ends(path, over_ingress(ZeroDivisionError()), 3, proved=False)
    program = known.take()
    assert program is not None
    assert program.routers[0].faults == (EngineFault.SET_ASIDE,)


def test_engine_that_ends_by_an_error_notes_it(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ends:
        def __init__(self, _files: EngineFiles) -> None: ...

        def run(self, _known: KnownProgram) -> None:
            with over("ingress"):
                raise ZeroDivisionError

    monkeypatch.setattr(main_module, "Engine", Ends)
    monkeypatch.setattr(main_module, "request_real_time", lambda: False)
    monkeypatch.setattr(main_module, "gc", SimpleNamespace(disable=lambda: None))
    shared = SharedState.create(str(tmp_path / "s"))
    alarm = SimpleNamespace(ring=lambda: None)
    files = SimpleNamespace(shared=shared, program_path=path, alarm=alarm)
    for _ in range(3):
        with pytest.raises(RouterError):
            run_engine(files)  # type: ignore[arg-type]  # no listener is needed
    assert read_set_aside(path).routers.keys() == {"ingress"}


def test_router_that_is_set_aside_waits_in_fault_and_says_why(rig: Rig) -> None:
    active = rig.load(ONE)
    rig.become_active(active)
    aside = rig.load(faults=(EngineFault.SET_ASIDE,), ifindex=0)
    assert aside.machine.state is State.FAULT
    told = rig.shared.get(aside.offset + shm.S_FAULTS)
    assert told == 1 << shm.FAULTS.index(EngineFault.SET_ASIDE)
    assert rig.requests.made[-1].startswith(b"del")


def test_error_in_a_machine_names_its_router(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    router = rig.load(ONE)
    monkeypatch.setattr(rig.executor, "_recorder", None)
    with pytest.raises(RouterError) as raised:
        rig.executor.handle(router, DeadlineReached(), NOW)
    assert raised.value.name == "a"
    assert isinstance(raised.value.__cause__, AttributeError)


@pytest.mark.parametrize("step", ["start", "change"])
def test_error_while_loading_names_its_router(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    if step == "change":
        rig.load(ONE)

    def fail(*_: object, **_by_name: object) -> None:
        raise ZeroDivisionError

    does = rig.table._starter if step == "start" else rig.table._changer
    monkeypatch.setattr(does, step, fail)
    with pytest.raises(RouterError, match="virtual router a"):
        rig.load(ONE, base_priority=99)
