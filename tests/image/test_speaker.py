"""The speaker's image on a node's network: it binds, answers, and ends whenever it is told."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.image.container import Container
from tests.image.unpacked import Image
from tests.netns.lone import node_config, router

from vrrp_lab.lan import Host, Lan

ADDRESS = "10.9.0.51"
NEEDED = ("CAP_NET_ADMIN", "CAP_NET_RAW")
FOR_SCRIPTS = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL")
SCRIPT = """#!/usr/bin/python3
import os, sys
print(os.getuid(), os.access("/etc/kube-vrrp/keys", os.R_OK))
sys.exit(os.getuid() != 65534)
"""
MOMENTS_S = (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6, 1.2)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A node's folders; not pytest's, where the user that scripts run as may not go."""
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-image-") as made:
        path = Path(made)
        path.chmod(0o755)
        for name in ("etc", "state", "run"):
            (path / name).mkdir()
        yield path


def speaker(
    image: Image,
    lan: Lan,
    folder: Path,
    name: str = "container",
    checks: Sequence[Mapping[str, Any]] = (),
    capabilities: Sequence[str] = NEEDED,
    process_1: bool = True,
) -> Container:
    """Return a speaker that is alone with its virtual router."""
    peer, host = lan.hosts[:2]
    used = [(str(check["name"]), 0, False) for check in checks]
    config = node_config(host, [router(51, 200, used, peer)], checks)
    (folder / "etc" / "node.yaml").write_text(config)
    return Container(
        image,
        folder / name,
        *("--node", host.name, "--config", "/etc/kube-vrrp/node.yaml", "--log-format", "text"),
        capabilities=capabilities,
        mounts={
            folder / "etc": "/etc/kube-vrrp",
            folder / "state": "/var/lib/kube-vrrp",
            folder / "run": "/run/kube-vrrp",
        },
        network=host.namespace.path,
        process_1=process_1,
    )


def dump(container: Container) -> Any:
    """Return what ``kubectl exec … -- vrrp-speaker dump`` prints."""
    ended = container.exec("vrrp-speaker", "dump")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def end(container: Container, host: Host) -> None:
    """Have a container end as a kubelet does, and see that nothing stays."""
    container.kill("TERM")
    eventually(lambda: container.status == "stopped", within_s=30)
    assert not host.holds(ADDRESS)


@pytest.mark.parametrize("process_1", [True, False], ids=["own-pids", "pids-of-the-node"])
def test_it_holds_an_address_and_gives_it_back(
    images: dict[str, Image], lan: Lan, folder: Path, process_1: bool
) -> None:
    host = lan.hosts[1]
    with speaker(images["speaker"], lan, folder, process_1=process_1) as container:
        container.start()
        eventually(lambda: host.holds(ADDRESS), within_s=60)
        said = eventually(lambda: dump(container), within_s=20)
        assert [found["name"] for found in said["virtualRouters"]] == ["r51"]
        end(container, host)


def test_a_script_runs_as_nobody(images: dict[str, Image], lan: Lan, folder: Path) -> None:
    (folder / "etc" / "scripts").mkdir()
    script = folder / "etc" / "scripts" / "who"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    check: dict[str, Any] = {"name": "who", "exec": {"script": "who"}, "rise": 1, "fall": 1}
    check |= {"interval": "5s", "timeout": "5s"}
    rights = (*NEEDED, *FOR_SCRIPTS)
    with speaker(images["speaker"], lan, folder, checks=[check], capabilities=rights) as container:
        container.start()
        eventually(lambda: lan.hosts[1].holds(ADDRESS), within_s=60)

        def passes() -> bool:
            (found,) = dump(container)["checks"]
            assert found["passing"] is True, found
            return True

        eventually(passes, within_s=20)
        end(container, lan.hosts[1])


def test_sigterm_ends_it_whenever_it_comes(
    images: dict[str, Image], lan: Lan, folder: Path
) -> None:
    host = lan.hosts[1]
    for moment_s in MOMENTS_S:
        with speaker(images["speaker"], lan, folder, name=f"after-{moment_s}") as container:
            container.start()
            # Before that it is the runtime's own program, which hears nothing.
            eventually(lambda: container.process_1_name == "tini", within_s=20, every_s=0.001)
            # Nor does tini before it begins its program, a millisecond after it began itself.
            eventually(lambda: container.process_1_has_begun, within_s=20, every_s=0.0002)
            time.sleep(moment_s)  # the stimulus: when it comes is what differs
            end(container, host)
