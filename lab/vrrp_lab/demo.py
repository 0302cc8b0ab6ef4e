"""``make demo``: the main job, played once, seen by a client.

A cluster comes up, a VirtualIP is applied, and then its node dies in every way that matters. Each
step says what it broke, how long the client saw nothing, and where the address went.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from vrrp_lab.kubelets.cluster import ClusterOptions, KubeletCluster
from vrrp_lab.kubelets.product import product_images
from vrrp_lab.kubelets.stage import KubeletStage
from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.namespaces import LabError
from vrrp_lab.probe import Probe
from vrrp_lab.stage import Stage, StageNode
from vrrp_lab.web import WebServer

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "first-vip.yaml"
VIP, ADDRESS = "ingress", "192.0.2.50"
_PATIENCE_S = 240.0
_SETTLED_S = 1.5
_STRIP = 60
"""Quarter seconds of the client's past that the live picture shows."""
_STATE = re.compile(rf'kube_vrrp_state\{{.*?state="(\w+)",virtual_ip="{VIP}"\}} 1\.0')


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the final table; ``held`` tells whether what should happen did."""

    event: str
    gap_ms: float
    lost: int
    moved: str
    held: bool


class Demo:
    """Plays the steps on a running lab."""

    def __init__(self, lab: Stage, console: Console, meanwhile: Callable[[], str]) -> None:
        self._lab = lab
        self._console = console
        self._meanwhile = meanwhile
        self._steps: list[Step] = []
        self._note = "starting"
        self._strip = ""
        self._live: Live | None = None
        self._servers = {n.name: WebServer(n, lab.lan.processes) for n in lab.nodes}

    # Playing ---------------------------------------------------------------------------

    def play(self) -> bool:
        """Play every step; return whether all held."""
        for server in self._servers.values():
            server.start()
        with self._lab.client.probe(ADDRESS) as probe:
            if self._console.is_terminal:
                with Live(self._picture(), console=self._console, refresh_per_second=4) as live:
                    self._live = live
                    self._play(probe)
                self._live = None
            else:
                self._play(probe)
        self._console.print(self._result())
        return bool(self._steps) and all(step.held for step in self._steps)

    def _play(self, probe: Probe) -> None:
        self._apply(probe)
        self._step(probe, "steady state, 3 s", self._nothing, self._nothing, moves=False)
        self._step(probe, "kill -9 the speaker", _kill, _start)
        self._step(probe, "cut the link", _cut, _restore)
        self._step(probe, "power off", _power_off, self._power_on)
        self._step(probe, "health check fails", self._fail_check, self._mend_check)
        plane = self._lab.plane
        if plane is not None:
            plane.stop()
            self._step(probe, "API server down, kill -9", _kill, _start)
            plane.start()
        self._delete(probe)

    def _apply(self, probe: Probe) -> None:
        """Apply the example and wait for the first answer."""
        begun_ns = time.monotonic_ns()
        if self._lab.plane is not None:
            self._say(f"kubectl apply -f {EXAMPLE.name}")
            self._lab.kubectl("apply", "-f", str(EXAMPLE))
        answered_ns = probe.wait_answered(_PATIENCE_S)
        self._add(Step("apply → first answer", (answered_ns - begun_ns) / 1e6, 0, "", True))
        self._settle(probe)

    def _step(
        self,
        probe: Probe,
        event: str,
        harm: Callable[[StageNode], None],
        mend: Callable[[StageNode], None],
        *,
        moves: bool = True,
    ) -> None:
        """Harm the Active node, watch the client until it settles, mend the node."""
        before = self._active()
        self._say(f"{event} ({before.name})")
        begun_ns = time.monotonic_ns()
        harm(before)
        after = self._wait_for_holder(probe, before if moves else None, begun_ns)
        report = probe.report(begun_ns)
        gap_ms = report.longest_gap_ns / 1e6
        moved = f"{before.name} → {after.name if after else 'nobody'}" if moves else before.name
        held = after is not None and (moves or report.lost == 0)
        self._add(Step(event, gap_ms, report.lost, moved, held))
        mend(before)
        self._settle(probe)

    def _delete(self, probe: Probe) -> None:
        """Remove the VirtualIP and see it leave every node."""
        self._say("delete the VirtualIP")
        begun_ns = time.monotonic_ns()
        self._lab.withdraw(VIP)
        gone = self._until(lambda: not self._holders(), probe)
        gone_ms = (time.monotonic_ns() - begun_ns) / 1e6
        self._add(Step("delete → gone from every node", gone_ms, 0, "", gone))

    # Harm and mending ------------------------------------------------------------------

    def _nothing(self, _node: StageNode) -> None:
        time.sleep(3)

    def _power_on(self, node: StageNode) -> None:
        node.power_on()
        self._servers[node.name].start()

    def _fail_check(self, node: StageNode) -> None:
        self._servers[node.name].stop()

    def _mend_check(self, node: StageNode) -> None:
        self._servers[node.name].start()

    # Watching --------------------------------------------------------------------------

    def _holders(self) -> list[StageNode]:
        return [node for node in self._lab.nodes if node.holds(ADDRESS)]

    def _active(self) -> StageNode:
        holders = self._holders()
        if len(holders) != 1:
            names = ", ".join(node.name for node in holders) or "nobody"
            raise LabError(f"{ADDRESS} is held by {names}, expected one node")
        return holders[0]

    def _wait_for_holder(
        self, probe: Probe, gone: StageNode | None, since_ns: int
    ) -> StageNode | None:
        """Wait until another node than ``gone`` holds the address and answers."""
        found: list[StageNode] = []

        def moved() -> bool:
            others = [
                node
                for node in self._lab.nodes
                if node is not gone and node.running and node.holds(ADDRESS)
            ]
            macs = probe.report(max(since_ns, time.monotonic_ns() - 300_000_000)).macs
            found[:] = [node for node in others if macs.get(node.host.mac)]
            return bool(found)

        return found[0] if self._until(moved, probe) else None

    def _settle(self, probe: Probe) -> None:
        """Wait until one node has been Active and the others Backup for a while."""
        wanted = ["Active"] + ["Backup"] * (len(self._lab.nodes) - 1)
        since_s, holder = time.monotonic(), ""

        def settled() -> bool:
            nonlocal since_s, holder
            states = self._states()
            active = next((name for name, state in states.items() if state == "Active"), "")
            if sorted(states.values()) != wanted or active != holder:
                since_s, holder = time.monotonic(), active
            return time.monotonic() - since_s >= _SETTLED_S

        if not self._until(settled, probe):
            raise LabError(f"the cluster does not settle: {self._states()}")

    def _until(self, check: Callable[[], bool], probe: Probe) -> bool:
        deadline_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline_s:
            if check():
                return True
            self._draw(probe)
            time.sleep(0.05)
        return False

    def _states(self) -> dict[str, str]:
        states = {}
        for node in self._lab.nodes:
            match = _STATE.search(node.get("/metrics")) if node.running else None
            states[node.name] = match[1] if match else "-"
        return states

    # Showing ---------------------------------------------------------------------------

    def _say(self, note: str) -> None:
        self._note = note
        if self._live is None:
            self._console.print(f"• {note}", soft_wrap=True)

    def _add(self, step: Step) -> None:
        self._steps.append(step)
        if self._live is None:
            verdict = "held" if step.held else "FAILED"
            self._console.print(
                f"  {verdict}: {step.gap_ms:.0f} ms, {step.lost} probes lost {step.moved}",
                soft_wrap=True,
            )

    def _draw(self, probe: Probe) -> None:
        if self._live is None:
            return
        report = probe.report(time.monotonic_ns() - 250_000_000, time.monotonic_ns() - 20_000_000)
        answered = report.sent - report.lost
        mark = "█" if report.lost == 0 else ("▄" if answered else "·")
        self._strip = (self._strip + mark)[-_STRIP:]
        self._live.update(self._picture())

    def _picture(self) -> Table:
        caption = "\n".join(filter(None, (f"client {self._strip}", self._meanwhile())))
        title = f"{VIP} {ADDRESS} – {self._note}"
        table = Table(title=title, caption=caption, min_width=_STRIP + len("client "))
        table.add_column("node")
        table.add_column("state")
        for name, state in self._states().items():
            style = {"Active": "bold green", "Backup": "cyan", "Fault": "red"}.get(state, "dim")
            table.add_row(name, f"[{style}]{state}[/]")
        return table

    def _result(self) -> Table:
        table = Table(title="What the client saw (1 ms probes, 200 ms advertisements)")
        for column in ("event", "ms", "probes lost", "VIP", "held"):
            table.add_column(column, justify="right" if column in ("ms", "probes lost") else "left")
        for step in self._steps:
            row = (step.event, f"{step.gap_ms:.0f}", str(step.lost), step.moved)
            table.add_row(*row, "yes" if step.held else "NO")
        return table


def _kill(node: StageNode) -> None:
    node.kill_speaker()


def _start(node: StageNode) -> None:
    node.start_speaker()


def _power_off(node: StageNode) -> None:
    node.power_off()


def _cut(node: StageNode) -> None:
    node.host.cut_link()


def _restore(node: StageNode) -> None:
    node.host.restore_link()


def _nothing_else() -> str:
    return ""


def new_console() -> Console:
    """Return a console that is wide enough for the tables where output is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 100)


def run_demo(*, standalone: bool, keep: bool, meanwhile: Callable[[], str] = _nothing_else) -> int:
    """Bring up a lab, play the demo; return the exit status (0 every step held).

    ``meanwhile`` says what goes on beside it; it is shown below the live picture.
    """
    console = new_console()
    begun_s = time.monotonic()
    options = LabOptions(standalone=(EXAMPLE,) if standalone else ())
    with Lab(options) as lab:
        console.print(f"cluster up in {time.monotonic() - begun_s:.1f} s", soft_wrap=True)
        held = Demo(lab, console, meanwhile).play()
        if keep:
            _keep(lab, console)
    return 0 if held else 1


def run_demo_on_kubelets(*, keep: bool) -> int:
    """Bring up real kubelets, install the chart, play the demo; return the exit status.

    Raises:
        LabError: something this machine lacks, or a part that cannot be built or started.
    """
    console = new_console()
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-images-") as folder:
        images = product_images(Path(folder))
        with KubeletCluster(ClusterOptions(images=images)) as cluster:
            stage = KubeletStage(cluster)
            held = Demo(stage, console, _nothing_else).play()
            if keep:
                _keep(stage, console)
    return 0 if held else 1


def _keep(lab: Stage, console: Console) -> None:
    """Leave the lab running until Ctrl-C and say how to use it."""
    if lab.plane is not None:
        console.print(f"export KUBECONFIG={lab.plane.kubeconfig}", soft_wrap=True)
        console.print(f"kubectl apply -f {EXAMPLE}", soft_wrap=True)
    for node in lab.nodes:
        console.print(
            f"{node.name}: {' '.join(node.host.namespace.command('bash'))}", soft_wrap=True
        )
    console.print("running until Ctrl-C")
    while True:
        time.sleep(1)
