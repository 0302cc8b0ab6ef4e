"""A kernel without inotify instances left, as where other programs took all: files are looked at.

In a user namespace of its own, whose limit is this test's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import cannot_run
from tests.unit.agent.config_files import GOOD, changed

_LIMIT = Path("/proc/sys/user/max_inotify_instances")
_SCRIPT = """
import sys
from pathlib import Path
from queue import SimpleQueue
from vrrp_api.check_kinds import FileCheck
from vrrp_speaker.agent.checks.file_watch import Files
from vrrp_speaker.agent.config.file_source import FileConfigSource
from vrrp_speaker.agent.messages import CheckTouched

limit, folder, other = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
limit.write_text("0")
config, inbox = folder / "config.yaml", SimpleQueue()
FileConfigSource(config, "node-1", inbox).start()
first = inbox.get(timeout=60)
config.write_text(other)
second = inbox.get(timeout=60)
print([m.config.virtual_routers[0].addresses[0].address for m in (first, second)])

heard = SimpleQueue()
files = Files(heard, (str(folder),))
files.watch({"weight": FileCheck(str(folder / "weight"))})
limit.write_text("128")
print(heard.get(timeout=60) == CheckTouched("weight"))
(folder / "weight").write_text("1")
print(heard.get(timeout=60) == CheckTouched("weight"))
"""


def test_files_are_followed_without_inotify_and_watched_once_there_is_some(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    alone = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*alone, "test", "-w", _LIMIT], check=False).returncode:
        cannot_run("no user namespace can be made (unshare --user)")
    other = changed(("192.0.2.50/24", "192.0.2.60/24"))
    command = [*alone, sys.executable, "-c", _SCRIPT, str(_LIMIT), str(tmp_path), other]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ran.stdout.splitlines() == ["['192.0.2.50', '192.0.2.60']", "True", "True"], ran.stderr
