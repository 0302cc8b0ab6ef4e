"""The runner of a real node: its probes, and what watches the node itself."""

from __future__ import annotations

from vrrp_api.check_kinds import FileCheck, InterfaceCheck, ProcessCheck
from vrrp_speaker.agent.checks.file_watch import Files
from vrrp_speaker.agent.checks.interfaces import Interfaces
from vrrp_speaker.agent.checks.probes import CheckSettings, Probes
from vrrp_speaker.agent.checks.processes import Processes
from vrrp_speaker.agent.checks.runner import CheckRunner
from vrrp_speaker.agent.messages import Inbox


def check_runner(inbox: Inbox, settings: CheckSettings) -> CheckRunner:
    """Return a runner without checks."""
    return CheckRunner(
        Probes(inbox, settings).begin,
        {
            FileCheck: Files(inbox, settings.file_folders),
            InterfaceCheck: Interfaces(inbox),
            ProcessCheck: Processes(inbox),
        },
        settings.runs_per_second,
    )
