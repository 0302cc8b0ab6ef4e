"""What the protocol costs: advertisements handled per second, and 255 routers at 100 ms."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dpkt
from scapy.layers.vrrp import VRRPv3
from tests.bench.keepalived import Keepalived
from tests.bench.memory import pss_mb
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
_REPEATED_S = 1.0
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


def _measure_many_routers(report: Report) -> None:
    report.section(
        f"{_ROUTERS} Virtual Routers",
        f"{_ROUTERS} elections at {_INTERVAL_MS} ms between two nodes; percent of a core over"
        f" {_MEASURED_S:.0f} s on the Active and the Backup node, and memory of the processes that"
        " run the protocol (PSS).",
    )
    with tempfile.TemporaryDirectory() as folder:
        ours = _many_of_ours(Path(folder), keys=True)
        plain = _many_of_ours(Path(folder), keys=False)
        theirs = _many_of_theirs(Path(folder))
    rows = [
        ("kube-vrrp, signed (default)", *ours),
        ("kube-vrrp, plain", *plain),
        ("keepalived, plain", *theirs),
    ]
    table = [(name, f"{a:.1f}", f"{b:.1f}", f"{m:.1f}") for name, a, b, m in rows]
    report.table(("", "Active %", "Backup %", "MB, Active node"), table)


def _many_of_ours(folder: Path, *, keys: bool) -> tuple[float, float, float]:
    manifest = folder / "many.yaml"
    manifest.write_text("---".join(_manifest(n, keys) for n in range(_ROUTERS)))
    with Lab(LabOptions(nodes=2, standalone=[manifest])) as lab:
        eventually(lambda: _all_held(lab), within_s=60)
        first, second = lab.nodes
        engines = [node.processes()["engine"] for node in (first, second)]
        active, backup = _spent([[engine] for engine in engines])
        pair = [first.processes()[name] for name in ("supervisor", "engine")]
        return active, backup, sum(map(pss_mb, pair))


def _many_of_theirs(folder: Path) -> tuple[float, float, float]:
    with Lab(LabOptions(nodes=2, standalone=[])) as lab:
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
        groups = [session_members(peer.pid) for peer in peers]
        active, backup = _spent(groups)
        memory = sum(map(pss_mb, groups[0]))
        for peer in peers:
            peer.kill()
        return active, backup, memory


def _all_held(lab: Lab) -> bool:
    listed = lab.nodes[0].host.exec("ip", "-o", "addr", "show", "dev", "eth0").stdout
    return all(f" {_address(n)}/" in listed for n in range(_ROUTERS))


def _address(number: int) -> str:
    return f"192.0.2.{number}" if number not in _TAKEN else f"198.51.100.{number}"


_TAKEN = frozenset((0, 1, 2, 3, 10, 11, 12, 100, 255))
"""Last bytes that the lab's hosts and the subnet itself may use."""


def _manifest(number: int, keys: bool) -> str:
    plain = "" if keys else "\n  authentication: {type: None}"
    return f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: many-{number}}}
spec:
  addresses: [{{address: {_address(number)}/24}}]
  interface: eth0
  advertisementInterval: {_INTERVAL_MS}ms{plain}
  nodePriorities:
  - {{node: node-1, priority: 200}}
  - {{node: node-2, priority: 100}}
"""


def _spent(groups: list[list[int]]) -> list[float]:
    """Return the percentage of a core that each group of processes uses over a while."""
    before = [sum(map(_cpu_s, group)) for group in groups]
    begun = time.monotonic()
    time.sleep(_MEASURED_S)
    elapsed = time.monotonic() - begun
    after = [sum(map(_cpu_s, group)) for group in groups]
    return [100 * (b - a) / elapsed for a, b in zip(before, after, strict=True)]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
