"""The compiler imports of its libraries what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("script", "loaded"),
    [
        ("import vrrp_speaker.compiler.netlink", False),
        ("import vrrp_speaker.compiler.netlink, pyroute2; pyroute2.IPRoute", True),
        ("import pyroute2, vrrp_speaker.compiler.netlink; pyroute2.IPRoute", True),
        ("import vrrp_speaker.compiler.netlink, pyroute2.netlink.rtnl.ifinfmsg", True),
    ],
)
def test_messages_of_pyroute2_come_without_the_rest_unless_somebody_wants_it(
    script: str, loaded: bool
) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print('pyroute2.ndb' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == f"{loaded}\n"
