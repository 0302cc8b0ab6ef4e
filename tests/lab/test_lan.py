"""The lab's own promises: faults are faults, the prober sees them, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import cannot_run
from tests.eventually import eventually

from vrrp_lab.lan import Host, Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import Processes, clean_crashed_labs, start_time

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("family", [4, 6])
def test_prober_sees_a_gap_and_where_answers_come_from(lan: Lan, family: int) -> None:
    first, second = lan.hosts[:2]
    address, prefix = ("192.0.2.90", "/24") if family == 4 else ("2001:db8:0:1::90", "/64")
    nodad = ["nodad"] if family == 6 else []
    first.exec("ip", "addr", "add", address + prefix, "dev", "eth0", *nodad)
    with lan.client.probe(address) as probe:
        probe.wait_answered(30)
        since_ns = time.monotonic_ns()
        eventually(lambda: probe.report(since_ns).sent > 200, within_s=5)
        steady = probe.report(since_ns)
        assert (steady.lost, steady.longest_gap_ns, steady.duplicates) == (0, 0, 0)
        assert list(steady.macs) == [first.mac]
        first.exec("ip", "addr", "del", address + prefix, "dev", "eth0")
        moved_ns = time.monotonic_ns()
        eventually(lambda: probe.report(moved_ns).lost > 50, within_s=5)
        second.exec("ip", "addr", "add", address + prefix, "dev", "eth0", *nodad)
        lan.client.exec("ip", "neigh", "flush", "dev", "eth0")
        eventually(lambda: second.mac in probe.report(moved_ns).macs, within_s=10)
        report = probe.report(moved_ns)
    assert report.longest_gap_ns > 20_000_000
    assert len(report.gaps) == 1


def lost_share(lan: Lan, target: Host) -> float:
    """Return the share of 300 probes from the client to a host that get no answer."""
    with lan.client.probe(target.address) as probe:
        since_ns = time.monotonic_ns()
        eventually(lambda: probe.report(since_ns).sent >= 300, within_s=10)
        report = probe.report(since_ns)
    return report.lost / report.sent


def test_drop_loses_about_the_share_asked_for(lan: Lan) -> None:
    target = lan.hosts[0]
    assert lost_share(lan, target) < 0.1
    lan.drop(target, 50)  # each way: three of four answers are lost
    assert 0.5 < lost_share(lan, target) < 0.95
    lan.heal()
    assert lost_share(lan, target) < 0.1


def test_partition_cuts_two_hosts_and_no_third(lan: Lan) -> None:
    first, second = lan.hosts[:2]
    lan.partition(lan.client, first)
    assert lost_share(lan, first) == 1
    assert lost_share(lan, second) < 0.1


def test_one_way_partition_drops_one_direction(lan: Lan) -> None:
    target = lan.hosts[0]
    count = ["sh", "-c", "grep -A1 '^Icmp:' /proc/net/snmp | tail -1"]
    before = target.exec(*count).stdout
    lan.partition(target, lan.client, one_way=True)
    lan.client.exec("ip", "neigh", "replace", target.address, "lladdr", target.mac, "dev", "eth0")
    assert lost_share(lan, target) == 1
    assert target.exec(*count).stdout != before  # requests arrived, answers did not


def test_cut_link_takes_the_carrier_and_gives_it_back(lan: Lan) -> None:
    host = lan.hosts[0]

    def carrier() -> bool:
        return "LOWER_UP" in host.exec("ip", "link", "show", "eth0").stdout

    host.cut_link()
    eventually(lambda: not carrier(), within_s=5)
    host.restore_link()
    eventually(carrier, within_s=5)


def test_powered_off_host_comes_back_as_the_same_machine(lan: Lan) -> None:
    host = lan.hosts[0]
    host.power_off()
    assert lost_share(lan, host) == 1
    host.power_on()
    eventually(lambda: lost_share(lan, host) < 0.1, within_s=10)
    assert host.mac in host.exec("ip", "link", "show", "eth0").stdout


# What stays behind --------------------------------------------------------------------

_CRASHING = """
import os, sys
from vrrp_lab.lan import Lan
lan = Lan(2)
print(*[host.namespace.holder for host in lan.hosts], flush=True)
os._exit(1)
"""


@pytest.fixture
def own_state_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of state files that no other lab of this machine cleans up."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_crashed_lab_is_cleaned_up_and_a_living_one_is_not(own_state_files: None, lan: Lan) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _CRASHING], capture_output=True, text=True, check=False
    )
    left = [int(pid) for pid in ended.stdout.split()]
    assert len(left) == 2
    assert all(start_time(pid) for pid in left)
    assert clean_crashed_labs() >= 2
    eventually(lambda: not any(start_time(pid) for pid in left), within_s=5)
    assert start_time(lan.hosts[0].namespace.holder)


class _Interrupted(subprocess.Popen[bytes]):
    """A process that has just been started when Ctrl-C arrives."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _STARTED.append(self.pid)
        signal.raise_signal(signal.SIGINT)


_STARTED: list[int] = []


def test_process_that_is_started_as_ctrl_c_arrives_is_ended_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processes = Processes()
    monkeypatch.setattr("vrrp_lab.processes.subprocess.Popen", _Interrupted)
    with pytest.raises(KeyboardInterrupt):
        processes.start(["sleep", "infinity"])
    (pid,) = _STARTED
    assert start_time(pid)
    processes.stop_all()
    assert not start_time(pid)


def test_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    demo = subprocess.Popen(
        [sys.executable, "-m", "vrrp_lab", "demo", "--standalone"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert demo.stdout is not None
    assert b"cluster up" in demo.stdout.readline()
    (state_file,) = tmp_path.rglob("*.json")

    def written_down() -> list[int]:
        text = state_file.read_text()
        assert text.endswith("]}"), "the demo goes on, and writes it anew with each process"
        return [pid for pid, _ in json.loads(text)["processes"]]

    pids = eventually(written_down, within_s=5)
    assert len(pids) > 5
    demo.terminate()
    demo.wait(60)
    eventually(lambda: not any(start_time(pid) for pid in pids), within_s=5)
    assert list(tmp_path.rglob("*.json")) == []


_UNPRIVILEGED = """
import sys, tempfile, pathlib
from vrrp_lab.lab import Lab, LabOptions
with Lab(LabOptions(nodes=2, standalone=(pathlib.Path(sys.argv[1]),))) as lab:
    with lab.client.probe("192.0.2.50") as probe:
        probe.wait_answered(60)
    print("answered by", [n.name for n in lab.holders("192.0.2.50")])
"""


def test_lab_works_in_an_unprivileged_user_namespace(tmp_path: Path) -> None:
    inside = ["unshare", "--user", "--map-root-user", "--net", "--"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        cannot_run("the kernel allows no user namespaces")
    manifest = tmp_path / "vip.yaml"
    manifest.write_text(
        "{apiVersion: kube-vrrp.io/v1alpha1, kind: VirtualIP, metadata: {name: a},"
        " spec: {addresses: [{address: 192.0.2.50}]}}"
    )
    ended = subprocess.run(
        [*inside, sys.executable, "-c", _UNPRIVILEGED, str(manifest)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("answered by ['node-")


# What a machine may lack --------------------------------------------------------------


def test_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="this machine lacks: ip, nft"):
        Lan(1)
