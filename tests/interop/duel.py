"""Two routers on a LAN of their own play every variant at once, step by step.

A Virtual Router that wrongly takes an address over does so after its Active_Down_Interval, so "it
stayed Backup" means something only then. Each side therefore runs one Virtual Router more, which
the other side does not have, the *clock*: it hears nobody and waits longer than any that should
stay Backup. Once it is Active, every other one of its side has had its chance.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.eventually import eventually
from tests.interop.config import PRIORITY_RELEASE
from tests.interop.frr import Frr
from tests.interop.keepalived import Keepalived
from tests.interop.order import wrong_in_backup, wrong_in_release
from tests.interop.routers import Router
from tests.interop.side import Side
from tests.interop.speaker import Speaker
from tests.interop.variants import LEFT_ONLY, Step, Variant
from tests.interop.wire import Frame, Wire, write_pcap

from vrrp_lab.lan import Lan

_PATIENCE_S = 25.0
"""Long, for busy machines: nothing is asserted about how long a step takes."""
_SAMPLE = 4
LOSS_PERCENT = 10
_LOSSY_S = 8.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Which implementation is on which side."""

    left: type[Router]
    right: type[Router]

    @property
    def name(self) -> str:
        """Left, then right."""
        return f"{self.left.implementation} – {self.right.implementation}"

    @property
    def slug(self) -> str:
        """The name as test runners and file systems like it."""
        return self.name.replace(" – ", "-")


PAIRS = (
    Pair(Speaker, Keepalived),
    Pair(Keepalived, Speaker),
    Pair(Speaker, Frr),
    Pair(Frr, Speaker),
    Pair(Speaker, Speaker),
    # What the others do among themselves shows whether a peer or the lab is to blame.
    Pair(Keepalived, Keepalived),
    Pair(Keepalived, Frr),
    Pair(Frr, Keepalived),
    Pair(Frr, Frr),
)


@dataclass(slots=True)
class Outcome:
    """What a duel showed, by the variants' names.

    ``failures`` holds the first one of each variant, ``sent`` some of left's advertisements, those
    of priority 0 among them, ``lossy`` every advertisement of the lossy time.
    """

    failures: dict[str, str] = field(default_factory=dict)
    sent: dict[str, list[Frame]] = field(default_factory=dict)
    lossy: dict[str, list[Frame]] = field(default_factory=dict)


class Duel:
    """One pair and the variants it can play; files of failures go to ``captures``."""

    def __init__(self, pair: Pair, variants: Sequence[Variant], captures: Path) -> None:
        self._pair = pair
        self._variants = [v for v in variants if v.lacking(pair.left, pair.right) is None]
        self._captures = captures
        self._outcome = Outcome()

    def play(self) -> Outcome:
        """Play every step, then in loss; a variant that failed is not looked at again."""
        folder = Path(tempfile.mkdtemp(prefix="kube-vrrp-interop-"))
        folder.chmod(0o711)  # FRR changes its user
        try:
            with Lan(2) as lan:
                self._set_up(lan, folder)
                try:
                    for step in Step:
                        self._play(step)
                    self._play_in_loss()
                except AssertionError as error:  # a whole router is not what it should be
                    self._fail({v.name: f"the duel ended: {error}" for v in self._variants})
                self._keep_evidence()
        finally:
            shutil.rmtree(folder)
        return self._outcome

    def _set_up(self, lan: Lan, folder: Path) -> None:
        for host in lan.hosts:
            # FRR sends router advertisements over IPv6; nobody should become its client.
            for name in ("default", "eth0"):
                host.namespace.run("sysctl", "-qw", f"net.ipv6.conf.{name}.accept_ra=0")
        self._lan = lan
        self._wire = Wire(lan, lan.hosts)
        self._left, self._right = (
            Side(name, implementation, lan, self._variants, folder)
            for name, implementation in (("left", self._pair.left), ("right", self._pair.right))
        )

    # Steps -----------------------------------------------------------------------------

    def _play(self, step: Step) -> None:
        since_ns = time.time_ns()
        self._act(step)
        complaints: dict[str, str] = {}

        def as_expected() -> bool:
            complaints.clear()
            complaints.update(self._complaints(step, since_ns))
            return not complaints

        try:
            eventually(as_expected, within_s=_PATIENCE_S, every_s=0.5)
        except AssertionError:
            self._fail({name: f"after “{step.value}”: {c}" for name, c in complaints.items()})

    def _act(self, step: Step) -> None:
        left, right = self._left, self._right
        match step:
            case Step.STARTED:
                left.start()
                right.start()
            case Step.PARTED:
                self._lan.partition(left.host, right.host)
            case Step.HEALED:
                self._lan.heal()
            case Step.LEFT_STOPPED:
                left.stop()
            case Step.LEFT_BACK:
                left.start()
            case Step.RIGHT_KILLED:
                right.kill()
            case Step.RIGHT_BACK:
                right.start()
            case Step.LEFT_KILLED:
                left.kill()

    def _complaints(self, step: Step, since_ns: int) -> dict[str, str]:
        views = [(side, side.view()) for side in (self._left, self._right)]
        found = {}
        for variant in self._variants:
            expected = self._expected(variant, step)
            if expected is None or variant.name in self._outcome.failures:
                continue
            wrong = [
                complaint
                for (side, view), state in zip(views, expected, strict=True)
                if (complaint := side.complaint(view, variant, state))
            ]
            on_wire = None if wrong else self._wrong_on_wire(step, variant, since_ns)
            if on_wire is not None:
                wrong.append(on_wire)
            if wrong:
                found[variant.name] = "; ".join(wrong)
        return found

    def _wrong_on_wire(self, step: Step, variant: Variant, since_ns: int) -> str | None:
        frames = self._wire.advertisements(variant.vrid, since_ns)
        left, right = self._left.host.name, self._right.host.name
        match step:
            case Step.STARTED | Step.RIGHT_BACK if self._expected(variant, step) == LEFT_ONLY:
                # At 200 ms a busy machine alone may make right take over now and then.
                return wrong_in_backup(frames, right) if variant.left.interval_s >= 1 else None
            # Where left is none of right's peers, right speaks to somebody who is not there.
            case Step.LEFT_STOPPED if not variant.right.peers:
                ticks = self._wire.advertisements(self._right.clock.vrid, since_ns)
                before = self._expected(variant, Step.HEALED)
                return wrong_in_release(frames, ticks, left, before)
        return None

    def _expected(self, variant: Variant, step: Step) -> tuple[str, str] | None:
        return variant.expected(step, self._pair.left, self._pair.right)

    # Loss ------------------------------------------------------------------------------

    def _play_in_loss(self) -> None:
        """Start left again while every tenth packet is lost, and see what is advertised."""
        self._lan.drop(self._left.host, LOSS_PERCENT)
        self._left.start()
        since_ns = time.time_ns()
        eventually(lambda: time.time_ns() - since_ns > _LOSSY_S * 1e9, within_s=_LOSSY_S + 5)
        for variant in self._variants:
            self._outcome.lossy[variant.name] = self._wire.advertisements(variant.vrid, since_ns)

    # Evidence --------------------------------------------------------------------------

    def _fail(self, complaints: dict[str, str]) -> None:
        for name, complaint in complaints.items():
            self._outcome.failures.setdefault(name, complaint)

    def _keep_evidence(self) -> None:
        for variant in self._variants:
            frames = self._wire.advertisements(variant.vrid)
            own = [frame for frame in frames if frame.host == self._left.host.name]
            releases = [frame for frame in own if frame.priority == PRIORITY_RELEASE]
            self._outcome.sent[variant.name] = own[:_SAMPLE] + releases
        if not self._outcome.failures:
            return
        folder = self._captures / self._pair.slug
        folder.mkdir(parents=True, exist_ok=True)
        for side in (self._left, self._right):
            if side.router.log.exists():
                shutil.copy(side.router.log, folder / f"{side.name}.log")
        for variant in self._variants:
            if variant.name in self._outcome.failures:
                path = folder / f"{variant.slug}.pcap"
                write_pcap(path, self._wire.of_one_election(variant.vrid))
                self._outcome.failures[variant.name] += f"\ncapture: {path}, logs beside it"
