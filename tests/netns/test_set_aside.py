"""A router that ends engines costs itself; a program that does is left for the one before it.

No such router is known, so the engines here have a fault that one brings to light.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, faults, states
from tests.netns.lone import LoneSpeaker, router

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
# Python imports a module of this name before anything else.
_SITE = """
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.router_table import RouterTable

real_handle, real_follow = Executor._handle, RouterTable._follow

def handle(self, router, event, now_ns):
    if router.program.base_priority == 66 and str(router.machine.state) == "Active":
        raise ZeroDivisionError
    return real_handle(self, router, event, now_ns)

def follow(self, *replaced):
    if any(router.program.vrid == 77 for router in self.routers.values()):
        raise ZeroDivisionError
    return real_follow(self, *replaced)

Executor._handle, RouterTable._follow = handle, follow
"""


@pytest.fixture
def speaker(lan: Lan) -> Iterator[LoneSpeaker]:
    with LoneSpeaker(lan) as made:
        (made.folder / "site").mkdir()
        (made.folder / "site" / "sitecustomize.py").write_text(_SITE)
        yield made


def start(speaker: LoneSpeaker) -> None:
    site = str(speaker.folder / "site")
    path = os.pathsep.join(filter(None, (site, os.environ.get("PYTHONPATH"))))
    speaker.start(under=["env", f"PYTHONPATH={path}"])


def ends(speaker: LoneSpeaker) -> int:
    """Return how often an engine ended by the fault."""
    return speaker.node.log.read_text().splitlines().count("ZeroDivisionError")


def are(speaker: LoneSpeaker, **wanted: str) -> bool:
    return states(speaker.node) == wanted


def test_router_that_ends_engines_is_set_aside_and_the_others_run(speaker: LoneSpeaker) -> None:
    good, bad = (router(vrid, base, (), speaker.peer) for vrid, base in ((51, 100), (52, 66)))
    speaker.configure([good, bad], ())
    start(speaker)
    eventually(lambda: are(speaker, r51="Active", r52="Fault"), within_s=30)
    assert faults(speaker.node, "r52") == {"SetAside"}
    eventually(lambda: speaker.node.holds("10.9.0.51"), within_s=5)
    assert not speaker.node.holds("10.9.0.52")
    assert ends(speaker) == 3

    # Another start knows it, and nobody ends any more.
    before = engine(speaker.node).engine_starts
    speaker.node.kill_speaker()
    start(speaker)
    eventually(lambda: engine(speaker.node).engine_starts > before, within_s=30)
    eventually(lambda: are(speaker, r51="Active", r52="Fault"), within_s=30)
    assert ends(speaker) == 3

    # What changed is tried again.
    speaker.configure([good, {**bad, "basePriority": 67}], ())
    eventually(lambda: are(speaker, r51="Active", r52="Active"), within_s=30)
    assert ends(speaker) == 3
    eventually(lambda: speaker.node.holds("10.9.0.52"), within_s=5)


def test_program_that_ends_engines_is_left_for_the_one_before_it(speaker: LoneSpeaker) -> None:
    good, bad = (router(vrid, 100, (), speaker.peer) for vrid in (51, 77))
    speaker.configure([good], ())
    start(speaker)
    eventually(lambda: are(speaker, r51="Active"), within_s=30)
    proved = speaker.node.run_dir / "program.json.proved"
    eventually(proved.exists, within_s=60)

    speaker.configure([good, bad], ())
    eventually(lambda: "set aside" in speaker.node.get("/readyz"), within_s=60)
    eventually(lambda: speaker.states().get("r51") == "Active", within_s=30)
    eventually(lambda: speaker.node.holds("10.9.0.51"), within_s=5)
    before = ends(speaker)

    speaker.configure([{**good, "basePriority": 99}], ())
    eventually(lambda: are(speaker, r51="Active"), within_s=30)
    eventually(lambda: speaker.node.get("/readyz") == "ok\n", within_s=30)
    assert ends(speaker) == before
