"""The systemd unit: right, and enough for a speaker to do all its work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import cannot_run
from tests.eventually import eventually
from tests.unit.agent.config_files import GOOD

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
UNIT = Path(__file__).parents[2] / "docs" / "examples" / "standalone" / "vrrp-speaker.service"


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        cannot_run("this machine lacks: systemd-analyze (Debian package systemd)")
    (command,) = values("ExecStart")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(command.split()[0], sys.executable))
    ended = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_speaker_is_active_with_the_units_capabilities_alone(lan: Lan, tmp_path: Path) -> None:
    capabilities = [f"+{name.removeprefix('CAP_').lower()}" for name in values(
        "CapabilityBoundingSet")[0].split()]  # fmt: skip
    assert sorted(capabilities) == ["+ipc_lock", "+net_admin", "+net_raw", "+sys_nice"]
    (command,) = values("ExecStart")
    flags = command.split()[1:]
    places = {
        "%H": "node-1",
        "/etc/kube-vrrp/node.yaml": str(tmp_path / "node.yaml"),
    }
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "cluster.1").write_text("unit-test-key-of-thirty-two-bytes")
    (tmp_path / "node.yaml").write_text(GOOD)
    host = lan.hosts[0]
    host.namespace.start(
        [
            *("setpriv", "--no-new-privs", f"--bounding-set=-all,{','.join(capabilities)}"),
            *(sys.executable, "-m", "vrrp_speaker", *(places.get(flag, flag) for flag in flags)),
            *("--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")),
            *("--keys-dir", str(tmp_path / "keys")),
        ],
        log=tmp_path / "log",
    )
    eventually(lambda: host.holds("192.0.2.51"), within_s=20)
    metrics = eventually(
        lambda: host.exec("curl", "-s", "http://127.0.0.1:9105/metrics").stdout, within_s=10
    )
    gauges = re.findall(r"^kube_vrrp_(real_time|memory_locked)(?:{.*})? (.*)$", metrics, re.M)
    print(gauges)
    assert len(gauges) == 2
    bounding = re.search(r"CapBnd:\t(\w+)", host.exec("cat", _status(tmp_path)).stdout)
    assert bounding is not None
    assert int(bounding[1], 16).bit_count() == len(capabilities)


def _status(folder: Path) -> str:
    """Return the status file in /proc of the engine whose files lie in this folder."""
    command = (sys.executable, "-m", "vrrp_speaker", "dump", "--run-dir", str(folder / "run"))
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r'"engine": (\d+)', ended.stdout)
    assert found is not None
    return f"/proc/{found[1]}/status"
