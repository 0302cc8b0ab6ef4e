"""The node's program: when a compiler is started, what is stored, offered and tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from tests.unit.agent.inbox import Inbox, take
from tests.unit.agent.test_program import ETH0, node_config, objects_of, router

from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.messages import TemplatesMade
from vrrp_speaker.agent.programs import link_templates
from vrrp_speaker.agent.programs.node_program import NodeProgram
from vrrp_speaker.agent.programs.program_maker import ProgramMaker
from vrrp_speaker.agent.programs.program_store import ProgramStore
from vrrp_speaker.engine.programs.reading import load_program
from vrrp_speaker.links.table import Link, LinkAddress, LinkTable
from vrrp_speaker.program_file import encode

ETH1 = Link(3, "eth1", bytes.fromhex("02005e005312"), (LinkAddress("198.51.100.1", 24, 0),))
ONE = node_config(router("a", 1, "192.0.2.50"))
TWO = node_config(router("a", 1, "192.0.2.50"), router("b", 2, "192.0.2.51"))
ELSEWHERE = node_config(router("a", 1, "192.0.2.50"), router("b", 2, "198.51.100.50"))


class Bench:
    """A node's program, links that a test decides on, and what was asked of the compiler."""

    def __init__(self, folder: Path) -> None:
        self.inbox: Inbox = SimpleQueue()
        self.path = folder / "program.json"
        self.table = LinkTable((ETH0, ETH1))
        self.readings = 0
        self.compiled: list[list[str]] = []
        self.killed = False
        self.program = NodeProgram(
            ProgramStore(self.path),
            ProgramMaker(link_templates.LinkTemplates(self.inbox), self._read),
        )

    def _read(self) -> LinkTable:
        self.readings += 1
        return self.table

    def run_compiler(self, links: Collection[Link]) -> dict[Link, Mapping[str, Any]]:
        self.compiled.append([link.name for link in links])
        if self.killed:
            raise ValueError("compiler ended with -9: ")
        return {link: objects_of(link) for link in links}

    def make(self, config: NodeConfig) -> bool:
        """Make a program, waiting for the compiler where one is started."""
        if self.program.make(config, {}, 0.0):
            return True
        made = take(self.inbox)
        assert isinstance(made, TemplatesMade)
        return self.program.take(made, 0.0) and self.program.make(config, {}, 0.0)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setattr(link_templates, "run_compiler", made.run_compiler)
    return made


def is_due(bench: Bench) -> bool:
    return bench.program.is_to_be_loaded


def names(bench: Bench) -> list[str]:
    return [router.name for router in load_program(str(bench.path)).routers]


def test_change_of_configuration_needs_no_compiler(bench: Bench) -> None:
    assert bench.make(ONE)
    assert bench.make(TWO)
    assert bench.make(node_config(replace(TWO.virtual_routers[1], base_priority=7)))
    assert bench.compiled == [["eth0"]]
    assert names(bench) == ["b"]


def test_likely_links_are_ready_before_there_is_a_configuration(bench: Bench) -> None:
    bench.program.prepare()
    made = take(bench.inbox)
    assert isinstance(made, TemplatesMade)
    bench.program.take(made, 0.0)
    assert bench.make(ELSEWHERE)
    assert bench.compiled == [["eth0", "eth1"]]


def test_link_that_changed_is_compiled_for_and_no_other(bench: Bench) -> None:
    assert bench.make(ELSEWHERE)
    changed = replace(ETH1, mac=bytes.fromhex("02005e0053ff"))
    bench.table = LinkTable((ETH0, changed))
    bench.program.maker.forget_links()
    assert bench.make(ELSEWHERE)
    assert bench.compiled[1:] == [["eth1"]]
    frames = load_program(str(bench.path)).routers[1].announcements
    assert all(frame.data[6:12] == changed.mac for frame in frames)


def test_compiler_that_failed_is_told_and_tried_again(bench: Bench) -> None:
    bench.killed = True
    assert not bench.make(ONE)
    assert "compiler ended with -9" in bench.program.problem
    assert bench.program.again.take(1.0)
    bench.killed = False
    assert bench.make(ONE)
    assert not bench.program.problem
    assert names(bench) == ["a"]


def test_equal_program_is_loaded_once_unless_it_was_refused(bench: Bench) -> None:
    assert bench.make(ONE)
    assert is_due(bench)
    bench.program.offered(taken=True)
    written = bench.path.stat()
    assert bench.make(ONE)
    assert not is_due(bench)
    assert bench.path.stat().st_ino == written.st_ino
    bench.program.refused("program.routers[0].vrid: 0", 0.0)
    assert bench.make(ONE)
    assert is_due(bench)


def test_engine_that_could_not_be_told_is_told_again(bench: Bench) -> None:
    assert bench.make(ONE)
    bench.program.offered(taken=False)
    assert bench.make(ONE)
    assert is_due(bench)


def test_program_that_cannot_be_written_is_not_the_programs(bench: Bench) -> None:
    assert bench.make(ONE)
    bench.path.with_suffix(".tmp").mkdir()
    assert not bench.program.make(TWO, {}, 0.0)
    assert "Errno" in bench.program.problem
    assert bench.program.document is not None
    assert len(bench.program.document["routers"]) == 1
    bench.path.with_suffix(".tmp").rmdir()
    assert bench.make(TWO)
    assert names(bench) == ["a", "b"]


def test_links_are_read_when_something_new_is_asked_of_them(bench: Bench) -> None:
    assert bench.make(ONE)
    readings = bench.readings
    bench.make(node_config(replace(ONE.virtual_routers[0], base_priority=7)))
    assert bench.readings == readings
    bench.make(TWO)
    assert bench.readings == readings + 1
    bench.program.maker.forget_links()
    bench.make(TWO)
    assert bench.readings == readings + 2


def test_agent_that_begins_leaves_routers_where_they_run(bench: Bench, tmp_path: Path) -> None:
    """What runs is read off the program on disk; another network that appears moves nobody."""
    twin = Link(4, "eth2", bytes.fromhex("02005e005313"), (LinkAddress("192.0.2.12", 24, 0),))
    assert bench.make(ONE)
    bench.table = LinkTable((ETH0, ETH1, twin))
    again = Bench(tmp_path)
    again.table = bench.table
    bench.program.maker.forget_links()
    assert bench.program.make(ONE, {}, 0.0)
    assert again.make(ONE)
    for made in (bench, again):
        assert made.program.document is not None
        (router,) = made.program.document["routers"]
        assert (router["interface"], router["faults"]) == ("eth0", [])
    # Of one that never ran here nobody can tell which is meant.
    assert again.make(TWO)
    assert again.program.document is not None
    assert again.program.document["routers"][1]["faults"] == ["InterfaceAmbiguous: eth0, eth2"]


def test_file_says_all_of_the_program_whatever_was_encoded_before(bench: Bench) -> None:
    changed = node_config(replace(ONE.virtual_routers[0], base_priority=7))
    for config in (ONE, changed, TWO, replace(TWO, generation=9), ELSEWHERE, ONE):
        assert bench.make(config)
        assert bench.program.document is not None
        assert bench.path.read_bytes() == encode(bench.program.document)
        assert ProgramStore(bench.path).stored() == bench.program.document
