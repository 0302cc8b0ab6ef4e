"""A fault for every alert, made on a running lab, and what it ought to raise.

node-1 holds every address, so the other nodes can be maltreated without moving one. Each fault of
one VirtualIP has a VirtualIP of its own, so that many can be there at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.eventually import eventually
from tests.netns.clock import Clock
from tests.netns.inside import engine
from tests.netns.strangers import advertisement, advertising, claimed_by

from vrrp_lab.lab import Lab, new_key
from vrrp_lab.node import METRICS_PORT, Node

HOLDER = "node-1"
SPARE, OTHER = "node-2", "node-3"
VRID = 99
"""Of the VirtualIP that a foreign router takes for its own."""
ADDRESSES = {
    "moved": "192.0.2.50",
    "flapping": "192.0.2.51",
    "lost": "192.0.2.52",
    "parted": "192.0.2.53",
    "single": "192.0.2.54",
    "ignored": "192.0.2.55",
    "stranger": "192.0.2.57",
    "foreign": "192.0.2.58",
    "removed": "192.0.2.59",
}
CHECKED = {"flapping": "flip", "single": "alone", "ignored": "every"}
"""VirtualIPs with a check, by the interface that it looks at."""
MANY = 225
"""With those that are there, enough for more than nine tenths of 255."""

Broken = Callable[[Lab], AbstractContextManager[None]]


def mended(fault: Callable[[Lab], Iterator[None]]) -> Broken:
    """Make a context manager: what follows the ``yield`` is done whatever happened in the block."""

    @contextmanager
    def broken(lab: Lab) -> Iterator[None]:
        steps = fault(lab)
        next(steps)
        try:
            yield
        finally:
            next(steps, None)

    return broken


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done, and the alerts that follow: name and labels of each."""

    text: str
    broken: Broken
    raises: tuple[tuple[str, Mapping[str, str]], ...]
    also: frozenset[str] = field(default=frozenset())
    """Critical alerts that are right meanwhile, of any VirtualIP."""


# What is there from the start ---------------------------------------------------------------


def prepare(lab: Lab) -> None:
    """Make the interfaces that checks look at, the keys, and every VirtualIP."""
    for node in lab.nodes:
        for interface in CHECKED.values():
            far = f"{interface}-far"
            node.host.exec("ip", "link", "add", interface, "type", "veth", "peer", "name", far)
            _link(node, far, "up")
            _link(node, interface, "up")
    _share_key(lab.nodes, "parted", new_key())
    checks = [
        _object("HealthCheck", interface, {"interface": {"name": interface}})
        for interface in CHECKED.values()
    ]
    _apply(lab, *checks, *(_virtual_ip(name) for name in ADDRESSES))


def _virtual_ip(name: str, **spec: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "addresses": [{"address": ADDRESSES[name]}],
        "nodePriorities": [
            {"node": node, "priority": priority}
            for node, priority in ((HOLDER, 200), (SPARE, 175), (OTHER, 150))
        ],
    }
    if name in CHECKED:
        given["healthChecks"] = [{"name": CHECKED[name]}]
    if name == "parted":
        given["authentication"] = {"type": "HMAC", "keyName": "parted", "mode": "Enforce"}
    if name == "foreign":
        given["virtualRouterID"] = VRID
    return _object("VirtualIP", name, {**given, **spec})


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"made-by": "alerts"}},
        "spec": spec,
    }


def _apply(lab: Lab, *objects: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(listed))


def _delete(lab: Lab, *names: str) -> None:
    lab.kubectl("delete", "vip", "--wait=false", *names)


def _link(node: Node, interface: str, state: str) -> None:
    ended = node.host.exec("ip", "link", "set", interface, state)
    assert ended.returncode == 0, ended.stderr


def _share_key(nodes: list[Node], ref: str, key: str) -> None:
    for node in nodes:
        node.write_key(f"{ref}.1", key)


# Of one VirtualIP ---------------------------------------------------------------------------


@mended
def handed_over(lab: Lab) -> Iterator[None]:
    """The address moves to another node, and is left there for a while."""
    ended = lab.kubectl_vrrp("handover", "moved", SPARE, "--timeout", "60s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    yield
    # It stays: coming back would be a failover of its own.


@mended
def without_interface(lab: Lab) -> Iterator[None]:
    """The VirtualIP names an interface that no node has."""

    def patch(value: str) -> None:
        body = f'{{"spec":{{"interface":{value}}}}}'
        lab.kubectl("patch", "vip", "lost", "--type=merge", "-p", body)

    patch('"nosuch0"')
    yield
    patch("null")


@mended
def another_key(lab: Lab) -> Iterator[None]:
    """One node has another key of the same ID than the others."""
    right = (lab.nodes[0].keys_dir / "parted.1").read_text()
    lab.node(OTHER).write_key("parted.1", new_key())
    yield
    lab.node(OTHER).write_key("parted.1", right)


def failing_on(interface: str, *nodes: str) -> Broken:
    """A check of weight 0 fails on these nodes."""

    @mended
    def broken(lab: Lab) -> Iterator[None]:
        for name in nodes:
            _link(lab.node(name), interface, "down")
        yield
        for name in nodes:
            _link(lab.node(name), interface, "up")

    return broken


@mended
def twice(lab: Lab) -> Iterator[None]:
    """A VirtualIP wants an address that another one has."""
    address = [{"address": ADDRESSES["moved"]}]
    _apply(lab, _object("VirtualIP", "copy", {"addresses": address}))
    yield
    _delete(lab, "copy")


@mended
def without_key(lab: Lab) -> Iterator[None]:
    """A VirtualIP is to be signed with a key that no node has, until they get it."""
    signed = {"type": "HMAC", "keyName": "later", "mode": "Enforce"}
    spec = {"addresses": [{"address": "192.0.2.56"}], "authentication": signed}
    _apply(lab, _object("VirtualIP", "keyless", spec))
    yield
    _share_key(lab.nodes, "later", new_key())


@mended
def going_to_and_fro(lab: Lab) -> Iterator[None]:
    """A check fails and passes on the holder, four times."""
    holder = lab.node(HOLDER)
    for _ in range(4):
        _link(holder, "flip", "down")
        eventually(lambda: not holder.holds(ADDRESSES["flapping"]), within_s=20)
        _link(holder, "flip", "up")
        eventually(lambda: holder.holds(ADDRESSES["flapping"]), within_s=20)
    yield


@mended
def with_a_stranger(lab: Lab) -> Iterator[None]:
    """The client says that it has the address."""
    with claimed_by(lab.client, ADDRESSES["stranger"]):
        yield


@mended
def with_a_foreign_router(lab: Lab) -> Iterator[None]:
    """The client advertises with the virtual router ID of one of ours."""
    with advertising(lab.client, advertisement(lab.client, VRID)):
        yield


@mended
def taken_away(lab: Lab) -> Iterator[None]:
    """Somebody on the holder removes the address, four times."""
    holder, address = lab.node(HOLDER), ADDRESSES["removed"]
    for _ in range(4):
        eventually(lambda: holder.holds(address), within_s=10)
        holder.host.exec("ip", "addr", "del", f"{address}/32", "dev", "eth0")
    yield


# Of one node --------------------------------------------------------------------------------


@mended
def engine_killed(lab: Lab) -> Iterator[None]:
    """The engine is killed three times, each time as soon as there is another one."""
    node = lab.node(OTHER)
    for _ in range(3):
        starts = engine(node).engine_starts
        os.kill(engine(node).engine_pid, signal.SIGKILL)
        eventually(partial(_has_begun, node, starts), within_s=10)
    yield


def _has_begun(node: Node, starts: int) -> bool:
    now = engine(node)
    return now.engine_starts > starts and now.loaded


@mended
def starving(lab: Lab) -> Iterator[None]:
    """The engine is stopped for a quarter of a second, once a second."""
    node, ended = lab.node(SPARE), threading.Event()

    def pause() -> None:
        while not ended.wait(0.75):
            pid = engine(node).engine_pid
            with contextlib.suppress(ProcessLookupError):  # it may be replaced meanwhile
                os.kill(pid, signal.SIGSTOP)
                ended.wait(0.25)
                os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=pause)
    thread.start()
    yield
    ended.set()
    thread.join()


@mended
def hanging(lab: Lab) -> Iterator[None]:
    """The engine and who would replace it stand still, and a new VirtualIP is planned."""
    node = lab.node(SPARE)
    running = node.processes()
    stopped = [running["supervisor"], running["engine"]]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    _apply(lab, _object("VirtualIP", "newer", {"addresses": [{"address": "192.0.2.60"}]}))
    yield
    for pid in reversed(stopped):
        os.kill(pid, signal.SIGCONT)
    _delete(lab, "newer")


@mended
def killed(lab: Lab) -> Iterator[None]:
    """All of the speaker is killed."""
    node = lab.node(OTHER)
    node.kill_speaker()
    yield
    node.start_speaker()


class WrongClock:
    """A node boots with a clock that is an hour ahead; it is set, and the node boots again.

    Setting it is not enough: ten minutes after a boot a node has settled what time it is.
    """

    def __init__(self, clock: Callable[[Node], Clock]) -> None:
        self._clock = clock

    def __call__(self, lab: Lab) -> AbstractContextManager[None]:
        """Be the fault."""
        return mended(self._broken)(lab)

    def _broken(self, lab: Lab) -> Iterator[None]:
        node = lab.node(OTHER)
        node.stop_speaker()
        clock = self._clock(node)
        clock.step_to(3600)
        clock.start_speaker()
        yield
        node.stop_speaker()
        clock.step_to(0)
        clock.start_speaker()


# Of the whole -------------------------------------------------------------------------------


@mended
def unscraped(lab: Lab) -> Iterator[None]:
    """A firewall keeps Prometheus from every speaker; all else goes on."""
    host = lab.control_plane.host
    for line in (
        "add table inet alerts",
        "add chain inet alerts out { type filter hook output priority 0 ; }",
        f"add rule inet alerts out tcp dport {METRICS_PORT} drop",
    ):
        assert host.exec("nft", line).returncode == 0
    yield
    host.exec("nft", "delete table inet alerts")


@mended
def without_operator(lab: Lab) -> Iterator[None]:
    """The operator is stopped."""
    lab.operator.stop()
    yield
    lab.operator.start()


@mended
def without_api_server(lab: Lab) -> Iterator[None]:
    """The API server is killed."""
    lab.control_plane.stop()
    yield
    lab.control_plane.start()


def _create(lab: Lab, objects: list[dict[str, Any]]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    lab.kubectl("create", "-f", "-", stdin=json.dumps(listed))


@mended
def many(lab: Lab) -> Iterator[None]:
    """So many VirtualIPs that few IDs are left on a node, which has none of their networks."""
    there = {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": SPARE}}}
    objects = []
    for number in range(MANY):
        spec = {"addresses": [{"address": f"198.51.100.{number}"}], **there}
        made = _object("VirtualIP", f"many-{number}", spec)
        made["metadata"]["labels"] = {"made-by": "many"}
        objects.append(made)
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(_create, lab), [objects[part::5] for part in range(5)]))
    yield
    all_of_them = "/apis/kube-vrrp.io/v1alpha1/virtualips?labelSelector=made-by%3Dmany"
    lab.kubectl("delete", "--raw", all_of_them)  # one request, not one each


# In turns -----------------------------------------------------------------------------------

Track = tuple[Fault, ...]
"""Faults that come one after the other."""


def _of(virtual_ip: str, **more: str) -> dict[str, str]:
    return {"virtual_ip": virtual_ip, **more}


def of_addresses() -> tuple[Track, ...]:
    """Return faults that need the API server; each track at the same time as the others."""
    faults = (
        Fault("kubectl vrrp handover", handed_over, (("Failover", _of("moved", node=SPARE)),)),
        Fault(
            "names an interface that no node has",
            without_interface,
            (("NoHolder", _of("lost")), ("VirtualIPNotProgrammed", _of("lost"))),
            frozenset({"lost"}),
        ),
        Fault(
            "one node has another key",
            another_key,
            (
                ("TwoHolders", _of("parted")),
                ("AuthenticationFailing", {"node": HOLDER, "reason": "auth_invalid"}),
            ),
            frozenset({"parted"}),
        ),
        Fault(
            "its check fails on all nodes but one",
            failing_on("alone", SPARE, OTHER),
            (("NoStandby", _of("single")),),
        ),
        Fault(
            "its check fails on all nodes",
            failing_on("every", HOLDER, SPARE, OTHER),
            (
                ("ChecksIgnored", _of("ignored")),
                ("CheckFailing", {"check": "every", "node": OTHER}),
            ),
        ),
        Fault("has another one's address", twice, (("VirtualIPNotAccepted", _of("copy")),)),
        Fault(
            "its key is on no node",
            without_key,
            (("KeyMissing", {"node": SPARE}),),
            frozenset({"keyless"}),
        ),
    )
    return tuple((fault,) for fault in faults)


def of_the_data_plane() -> tuple[Track, ...]:
    """Return the absence of API server and operator, and faults that go on beside it."""
    away = (
        Fault("kill -9 of the API server", without_api_server, (("OperatorStalled", {}),)),
        Fault("the operator is stopped", without_operator, (("OperatorDown", {}),)),
    )
    of_a_node = (
        Fault(
            "kill -9 of the engine, three times",
            engine_killed,
            (("EngineRestarting", {"node": OTHER}),),
        ),
        Fault("kill -9 of the whole speaker", killed, (("SpeakerDown", {"node": OTHER}),)),
    )
    others = (
        Fault(
            "its check fails and passes in turns",
            going_to_and_fro,
            (("Flapping", _of("flapping")),),
        ),
        Fault(
            "another host has the address",
            with_a_stranger,
            (("AddressConflict", _of("stranger", node=HOLDER)),),
        ),
        Fault(
            "another router advertises with its VRID",
            with_a_foreign_router,
            (("ForeignRouter", _of("foreign", node=SPARE)),),
        ),
        Fault(
            "ip addr del, four times",
            taken_away,
            (("AddressRemoved", _of("removed", node=HOLDER)),),
        ),
        Fault(
            "SIGSTOP of the engine, 250 ms of each second",
            starving,
            (("EngineLate", {"node": SPARE}),),
        ),
    )
    return (away, of_a_node, *((fault,) for fault in others))


def of_nodes(clock: Callable[[Node], Clock]) -> tuple[Track, ...]:
    """Return faults of two nodes, then of all scrapes, beside one that takes long to be told."""
    hangs = Fault(
        "SIGSTOP of supervisor and engine, then a new VirtualIP",
        hanging,
        (("ConfigurationNotApplied", {"node": SPARE}),),
        frozenset({"newer"}),
    )
    unheard = Fault(
        "boots with a clock an hour ahead",
        WrongClock(clock),
        (("ClockSkew", {"node": OTHER}),),
        frozenset({*ADDRESSES, "keyless", "newer"}),
    )
    unseen = Fault("a firewall drops scrapes of port 9105", unscraped, (("SpeakersAbsent", {}),))
    few = Fault(
        f"{MANY} more VirtualIPs",
        many,
        (("VRIDsLow", {}),),
        frozenset(f"many-{number}" for number in range(MANY)),
    )
    return ((few,), (hangs, unseen), (unheard,))
