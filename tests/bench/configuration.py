"""What a configuration costs a node's speaker: the first program, and one changed VirtualIP.

CPU time, not waited for by anybody else on the machine: the agent's part is done here, step by
step as its thread does it; the engine is a real one, told as its agent tells it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.bench.report import Report
from tests.eventually import eventually
from tests.netns.lone import LoneSpeaker, router

from vrrp_api.election import Authentication, ElectionSpec
from vrrp_api.node_config import NodeConfig, Peer, VirtualRouterConfig
from vrrp_api.node_config_reading import Memory, read_node_config
from vrrp_api.virtual_ip import VipAddress
from vrrp_lab.lan import Lan
from vrrp_speaker.agent.checks.inputs import InputsJudge
from vrrp_speaker.agent.config.cache import ConfigCache
from vrrp_speaker.agent.programs.link_templates import LinkTemplates, run_compiler
from vrrp_speaker.agent.programs.node_program import NodeProgram
from vrrp_speaker.agent.programs.program_maker import ProgramMaker
from vrrp_speaker.agent.programs.program_store import ProgramStore
from vrrp_speaker.agent.repeated_json import RepeatedJson
from vrrp_speaker.links.table import Link, LinkAddress, LinkTable

_SIZES = ((1, 1), (16, 64), (255, 1), (255, 64))
_CHANGES = 20
_KEYS = {"cluster": {"active": 1, "keys": {"1": "00" * 32}, "password": None}}
_MAC = bytes.fromhex("02005e005311")
_PATIENCE_S = 120.0


def measure_configurations(report: Report) -> None:
    """Measure each size of a configuration; nothing else of the node is needed."""
    report.section(
        "Configuration",
        "CPU time in ms of a node's speaker from a NodeConfig (JSON) to the program that its engine"
        f" has loaded; a change is another base priority of one VirtualIP, median of {_CHANGES}."
        " Elections are signed with keys of their own and wait for checks, so nothing is bound.",
    )
    rows = []
    for routers, addresses in _SIZES:
        agent, programs = _agent(routers, addresses)
        engine = _engine(programs)
        rows.append(
            (
                f"{routers} × {addresses}",
                *(f"{a + e:.1f} ({a:.1f} + {e:.1f})" for a, e in zip(agent, engine, strict=True)),
            )
        )
    report.table(("VirtualIPs × addresses", "first program (agent + engine)", "one change"), rows)
    begun_s = _children_s()
    run_compiler([_link(2)])
    report.text(f"- a link that is new, once: {_children_s() - begun_s:.2f} s of a compiler's CPU")


def _agent(routers: int, addresses: int) -> tuple[tuple[float, float], list[dict[str, Any]]]:
    """Return the agent's part of the first program and of a change, and all programs."""
    link = _link(2)
    table = LinkTable((replace(link, addresses=(LinkAddress("192.0.2.11", 8, 0),)),))
    templates = LinkTemplates(SimpleQueue())
    templates.known.update(run_compiler([link]))
    spent_ms, programs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder, memory, judge = Path(name), Memory(), InputsJudge()
        cache = ConfigCache(folder / "node-config.json", "node-1")
        made = NodeProgram(
            ProgramStore(folder / "program.json"), ProgramMaker(templates, lambda: table)
        )
        events = RepeatedJson()
        for event in _events(routers, addresses):
            begun_s = time.process_time()
            config = read_node_config(_object_of(events, event), memory).config
            cache.store(config)
            assert made.make(config, _KEYS, 0.0)
            judge.judge(config, {})
            spent_ms.append(1000 * (time.process_time() - begun_s))
            assert made.document is not None
            programs.append(dict(made.document))
    return (spent_ms[0], statistics.median(spent_ms[1:])), programs


def _object_of(events: RepeatedJson, event: bytes) -> dict[str, Any]:
    found: dict[str, Any] = events.loads(event, "object", "spec", "virtualRouters")["object"]
    return found


def _events(routers: int, addresses: int) -> Iterator[bytes]:
    """Yield a NodeConfig as the API server's watch tells it, and it with each change."""
    election = ElectionSpec(authentication=Authentication("HMAC", "cluster", "Enforce", "Sign"))
    everybody = [
        VirtualRouterConfig(
            name=f"vip-{number}",
            virtual_ip_generation=1,
            virtual_router_id=number + 1,
            interface=None,
            addresses=tuple(
                VipAddress(f"192.{number + 1}.1.{last + 1}", 32) for last in range(addresses)
            ),
            base_priority=200,
            election=election,
            peers=tuple(Peer(f"node-{n}", f"192.0.2.{10 + n}", 200 - n) for n in (2, 3)),
            health_checks=(),
        )
        for number in range(routers)
    ]
    for change in range(_CHANGES + 1):
        everybody[0] = replace(everybody[0], base_priority=200 - change)
        config = NodeConfig("node-1", change + 1, ("192.0.2.11",), tuple(everybody), ())
        obj = config.to_object()
        obj["metadata"]["generation"] = config.generation
        yield json.dumps({"type": "MODIFIED", "object": obj}, separators=(",", ":")).encode()


def _link(index: int) -> Link:
    return Link(index, "eth0", _MAC, ())


# The engine ----------------------------------------------------------------------------------


def _engine(programs: list[dict[str, Any]]) -> tuple[float, float]:
    """Return a real engine's part of the first program and of a change."""
    spent_ms = []
    with Lan(2) as lan, LoneSpeaker(lan) as speaker:
        speaker.become_active(router(1, 100, (), speaker.peer))
        with _told(speaker) as channel:
            pid = speaker.node.processes()["engine"]
            store = ProgramStore(speaker.node.run_dir / "program.json")
            for program in programs:
                for document in program["routers"]:
                    document["checks"] = [{"name": "none", "weight": 0}]
                store.store(program)
                begun_s = _spent_s(pid)
                channel.send(json.dumps({"type": "load"}).encode())
                _await_loaded(channel, program["generation"])
                spent_ms.append(1000 * (_spent_s(pid) - begun_s))
    return spent_ms[0], statistics.median(spent_ms[1:])


@contextlib.contextmanager
def _told(speaker: LoneSpeaker) -> Iterator[socket.socket]:
    """Be the agent of an engine, while its own is stopped."""
    eventually(lambda: speaker.node.get("/readyz") == "ok\n", within_s=_PATIENCE_S)
    agent = speaker.node.processes()["agent"]
    os.kill(agent, signal.SIGSTOP)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
            channel.settimeout(_PATIENCE_S)
            channel.connect(str(speaker.node.run_dir / "engine.sock"))
            yield channel
    finally:
        os.kill(agent, signal.SIGCONT)


def _await_loaded(channel: socket.socket, generation: int) -> None:
    while True:
        told = json.loads(channel.recv(1 << 20))
        assert told["type"] != "refused", told
        if told["type"] == "loaded" and told["generation"] == generation:
            return


def _spent_s(pid: int) -> float:
    """Return the CPU time of a process, all of its threads."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system
