"""TCP checks: a connection must be accepted."""

from __future__ import annotations

from vrrp_api.check_kinds import TcpCheck
from vrrp_speaker.agent.checks.connection import connect, host_and_port, reason
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.targets import Targets
from vrrp_speaker.agent.checks.verdict import Result


def probe_tcp(run: Run, kind: TcpCheck, targets: Targets) -> Result:
    """Connect, and close."""
    try:
        connect(run, *host_and_port(kind.address), targets).close()
    except OSError as error:
        return Result(False, reason(error))
    return Result(True)
