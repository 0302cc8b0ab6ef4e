"""A cut heals between keepalived, which is better and announces when it hears a loser, and us."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.conftest import cannot_run
from tests.eventually import eventually
from tests.interop.config import RouterConfig
from tests.interop.keepalived import Keepalived
from tests.interop.speaker import Speaker

from vrrp_lab.lan import Lan

ROUNDS, VRID = 3, 51


@pytest.mark.parametrize("address", ["192.0.2.50", "2001:db8:0:1::50"], ids=["four", "six"])
def test_client_finds_keepalived_again_whoever_hears_whom_first(
    lan: Lan, tmp_path: Path, address: str
) -> None:
    if Keepalived.version() is None:
        cannot_run("this machine lacks: keepalived")
    better, ours = lan.hosts[:2]
    sides = []
    for host, other, priority, kind in (
        (better, ours, 200, Keepalived),
        (ours, better, 100, Speaker),
    ):
        folder = tmp_path / host.name
        folder.mkdir()
        peer = other.address6 if ":" in address else other.address
        sides.append(
            kind(host, lan, [RouterConfig(VRID, (address,), priority, peers=(peer,))], folder)
        )
    config = tmp_path / better.name / "keepalived.conf"
    # As it is by default: a lower priority makes it announce.
    config.write_text(config.read_text().replace("vrrp_garp_lower_prio_repeat 0", ""))
    for side in sides:
        side.start()
    try:
        eventually(
            lambda: (better.holds(address), ours.holds(address)) == (True, False), within_s=20
        )
        for number in range(ROUNDS):
            with lan.client.probe(address) as probe:
                probe.wait_answered(30)
                lan.switch.run("ip", "link", "set", better.port, "nomaster")
                eventually(lambda: ours.holds(address), within_s=20)
                probe.wait_answered(30)
                time.sleep(0.07 * number)
                healed_ns = time.monotonic_ns()
                lan.switch.run("ip", "link", "set", better.port, "master", "br0")
                eventually(lambda: not ours.holds(address), within_s=20)
                time.sleep(2)
                report = probe.report(healed_ns)
            print(f"round {number}: {report.lost} of {report.sent} lost, {report.macs}")
            assert report.lost <= report.stall_ns // 1_000_000
    finally:
        for side in sides:
            side.stop()
