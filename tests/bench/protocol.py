"""What the protocol costs: advertisements handled per second, and 255 routers at 100 ms."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import dpkt
from scapy.layers.vrrp import VRRPv3
from tests.bench.keepalived import Keepalived
from tests.bench.memory import alone_mb, rss_mb
from tests.bench.report import Report
from tests.eventually import eventually

from vrrp.authentication import HmacKeys, Mode, SignatureClock, sign
from vrrp.constants import Family, State
from vrrp.events import AdvertisementReceived, Startup
from vrrp.packet import Advertisement, encode_message, seal_message
from vrrp.states import Parameters
from vrrp.validation import Accepted, Datagram, Election, Elections
from vrrp.virtual_router import VirtualRouter
from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.processes import session_members

_ROUTERS = 255
_INTERVAL_MS = 100
_MEASURED_S = 10.0
_SETTLED_S = 8.0
"""By then all have announced their new addresses for the last time."""
_REPEATED_S = 1.0
_KEEPALIVED_PROCESSES = 2
"""The parent and the one that speaks VRRP."""
_ME, _PEER = socket.inet_aton("192.0.2.11"), socket.inet_aton("192.0.2.12")
_VIP = socket.inet_aton("192.0.2.50")
_KEYS = HmacKeys({1: bytes(range(32))}, 1, Mode.ENFORCE)


def measure_protocol(report: Report) -> None:
    """Print how fast advertisements are taken in, and what many routers cost."""
    report.section(
        "Protocol",
        "Advertisements per second on one core: validated, decoded and handled by a Backup; beside"
        " the mere dissection of the same bytes (dpkt knows version 2 only and does not check).",
    )
    message = _message()
    ours = _rate(_handler(None, lambda _: message))
    clock = SignatureClock()
    signed = _rate(
        _handler(
            _KEYS,
            lambda _: message + sign(_KEYS, message, _PEER, clock.next(1, time.time_ns())),
        )
    )
    signing = _rate(lambda: sign(_KEYS, message, _PEER, clock.next(1, time.time_ns())))
    # What a sender would spend is not the receiver's: taken off again.
    receiving = 1 / (1 / signed - 1 / signing)
    rows = [
        ("kube-vrrp, plain", ours),
        ("kube-vrrp, HMAC verified", receiving),
        ("kube-vrrp, HMAC signed (sending)", signing),
        ("scapy, dissection", _rate(lambda: VRRPv3(message))),
        ("dpkt, dissection", _rate(lambda: dpkt.vrrp.VRRP(message))),
    ]
    table = [(name, f"{rate:,.0f}", f"{rate / rows[0][1]:.2f}") for name, rate in rows]
    report.table(("", "per second", "of ours, plain"), table)
    _measure_many_routers(report)


def _message() -> bytes:
    return seal_message(encode_message(Advertisement(3, 51, 200, 10, (_VIP,))), b"")


def _handler(keys: HmacKeys | None, data: Callable[[int], bytes]) -> Callable[[], None]:
    """Return one step of a Backup that hears its Active Router."""
    election = Election(
        3, Family.IPV4, 51, _ME, frozenset({_PEER}), 10, frozenset({_VIP}), authentication=keys
    )
    elections = Elections([election])
    router = VirtualRouter(Parameters(3, 100, 100_000_000, 3, True, 0, _ME))
    now_ns = 1
    router.handle(Startup(), now_ns)

    def step() -> None:
        nonlocal now_ns
        now_ns += 1_000_000
        datagram = Datagram(Family.IPV4, _PEER, _ME, 255, 2, data(now_ns))
        accepted = elections.validate(datagram, time.time_ns())
        assert isinstance(accepted, Accepted)
        heard = accepted.advertisement
        router.handle(AdvertisementReceived(_PEER, heard.priority, heard.interval_cs), now_ns)
        assert router.state is State.BACKUP

    return step


def _rate(step: Callable[[], object]) -> float:
    """Return how often ``step`` runs in a second of this process."""
    begun, count = time.process_time(), 0
    while (spent := time.process_time() - begun) < _REPEATED_S:
        for _ in range(100):
            step()
        count += 100
    return count / spent


# Many routers --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Running:
    """One implementation at work: the processes of its Active and of its Backup node."""

    name: str
    active: list[int]
    backup: list[int]


def _measure_many_routers(report: Report) -> None:
    report.section(
        f"{_ROUTERS} Virtual Routers",
        f"{_ROUTERS} elections at {_INTERVAL_MS} ms between two nodes; percent of a core over"
        f" {_MEASURED_S:.0f} s. A node is Active for some addresses and Backup for others, so what"
        " both nodes spend is what a cluster spends. Memory on the Active node: of the process that"
        " speaks VRRP (RSS), and of it, its heir and its supervisor as on a machine of their own.",
    )
    names, spent, rss, memory = list[str](), list[float](), list[str](), list[str]()
    for begin in (_ours_signed, _ours_plain, _theirs):
        # One after the other: so many engines of real-time priority starve each other on two cores.
        with tempfile.TemporaryDirectory() as folder, begin(Path(folder)) as running:
            names.append(running.name)
            spent += _spent([running.active, running.backup])
            rss.append(f"{max(map(rss_mb, running.active)):.1f}")
            memory.append(f"{alone_mb(running.active):.1f}")
    active, backup = spent[::2], spent[1::2]
    together = [sum(pair) for pair in zip(active, backup, strict=True)]
    columns = (names, *chain(*map(_beside_the_last, (active, backup, together))), rss, memory)
    beside = "of keepalived's"
    report.table(
        ("", "Active %", beside, "Backup %", beside, "both nodes %", beside, "RSS MB", "all MB"),
        list(zip(*columns, strict=True)),
    )


def _beside_the_last(values: list[float]) -> tuple[list[str], list[str]]:
    """Return values as text, and how many times the last one they are."""
    return [f"{v:.1f}" for v in values], [f"{v / values[-1]:.2f}" for v in values]


@contextlib.contextmanager
def _ours_signed(folder: Path) -> Iterator[_Running]:
    with _ours(folder, "kube-vrrp, signed (default)", "") as running:
        yield running


@contextlib.contextmanager
def _ours_plain(folder: Path) -> Iterator[_Running]:
    with _ours(folder, "kube-vrrp, plain", "authentication: {type: None}") as running:
        yield running


@contextlib.contextmanager
def _ours(folder: Path, name: str, spec: str) -> Iterator[_Running]:
    manifest = folder / "many.yaml"
    manifest.write_text("---".join(_manifest(n, spec) for n in range(_ROUTERS)))
    with Lab(LabOptions(nodes=2, standalone=[manifest])) as lab:
        eventually(lambda: _all_held(lab), within_s=60)
        time.sleep(_SETTLED_S)
        eventually(lambda: lab.nodes[0].heir, within_s=10)
        pairs = [
            [node.processes()[process] for process in ("supervisor", "engine")]
            for node in lab.nodes
        ]
        pairs[0].append(lab.nodes[0].heir)
        yield _Running(name, *pairs)


@contextlib.contextmanager
def _theirs(folder: Path) -> Iterator[_Running]:
    manifest = folder / "one.yaml"  # the speakers are stopped at once
    manifest.write_text(_manifest(0, ""))
    with Lab(LabOptions(nodes=2, standalone=[manifest])) as lab:
        peers = [
            Keepalived(
                node.host,
                lab.lan,
                priority,
                {n + 1: _address(n) for n in range(_ROUTERS)},
                folder,
                advert_int_s=_INTERVAL_MS / 1000,
            )
            for node, priority in zip(lab.nodes, (200, 100), strict=True)
        ]
        for node, peer in zip(lab.nodes, peers, strict=True):
            node.stop_speaker()
            peer.start()
        eventually(lambda: _all_held(lab), within_s=60)
        time.sleep(_SETTLED_S)
        groups = [session_members(peer.pid) for peer in peers]
        assert all(len(group) == _KEEPALIVED_PROCESSES for group in groups), groups
        yield _Running("keepalived, plain", *groups)
        for peer in peers:
            peer.kill()


def _all_held(lab: Lab) -> bool:
    listed = lab.nodes[0].host.exec("ip", "-o", "addr", "show", "dev", "eth0").stdout
    return all(f" {_address(n)}/" in listed for n in range(_ROUTERS))


def _address(number: int) -> str:
    return f"192.0.2.{number}" if number not in _TAKEN else f"198.51.100.{number}"


_TAKEN = frozenset((0, 1, 2, 3, 10, 11, 12, 100, 255))
"""Last bytes that the lab's hosts and the subnet itself may use."""


def _manifest(number: int, spec: str) -> str:
    return f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: many-{number}}}
spec:
  addresses: [{{address: {_address(number)}/24}}]
  interface: eth0
  advertisementInterval: {_INTERVAL_MS}ms
  nodePriorities:
  - {{node: node-1, priority: 200}}
  - {{node: node-2, priority: 100}}
  {spec}
"""


def _spent(groups: list[list[int]]) -> list[float]:
    """Return the percentage of a core that each group of processes uses over a while."""
    before = [sum(map(_run_ns, group)) for group in groups]
    begun_ns = time.monotonic_ns()
    time.sleep(_MEASURED_S)
    elapsed_ns = time.monotonic_ns() - begun_ns
    after = [sum(map(_run_ns, group)) for group in groups]
    return [100 * (b - a) / elapsed_ns for a, b in zip(before, after, strict=True)]


def _run_ns(pid: int) -> int:
    """Return the time a single-threaded process has run (proc/pid/schedstat: not by ticks)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
