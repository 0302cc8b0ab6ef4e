"""Who held an address when: one watcher on each host, and the arithmetic over what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.realtime import real_time

from vrrp_lab.lan import Host
from vrrp_lab.namespaces import LabError


@dataclass(frozen=True, slots=True)
class Change:
    """A host gained or lost an address."""

    at_ns: int
    host: str
    held: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """A host received an advertisement."""

    at_ns: int
    host: str
    source: str
    vrid: int
    priority: int


@dataclass(frozen=True)
class Timeline:
    """The holders of one address over time."""

    changes: Sequence[Change]

    def spans(self) -> Iterator[tuple[int, frozenset[str]]]:
        """Yield from when on which hosts held it, in order."""
        holders: frozenset[str] = frozenset()
        for change in sorted(self.changes, key=lambda change: change.at_ns):
            host = frozenset([change.host])
            holders = holders | host if change.held else holders - host
            yield change.at_ns, holders

    def latest(self) -> tuple[int, frozenset[str]]:
        """Return since when the present holders have been the holders, and their names."""
        latest: tuple[int, frozenset[str]] = (0, frozenset())
        for latest in self.spans():  # noqa: B007 - the last one is wanted
            pass
        return latest

    def time_ns(self, since_ns: int, until_ns: int, wanted: Callable[[int], bool]) -> int:
        """Return for how long the number of holders was one that is ``wanted``."""
        spent_ns, begun_ns, count = 0, since_ns, 0
        for at_ns, holders in (*self.spans(), (until_ns, frozenset())):
            end_ns = min(max(at_ns, since_ns), until_ns)
            if wanted(count):
                spent_ns += end_ns - begun_ns
            begun_ns, count = end_ns, len(holders)
        return spent_ns

    def gained(self, since_ns: int, until_ns: int, but: str = "") -> int:
        """Return how many times a host got the address, one host left out."""
        return sum(
            change.held and change.host != but and since_ns <= change.at_ns <= until_ns
            for change in self.changes
        )


class _Helper:
    """The parent's end of one watcher."""

    def __init__(self, host: Host, *, advertisements: bool) -> None:
        command = [sys.executable, "-m", "tests.bench.watcher"]
        with real_time():
            self._process = host.namespace.start(
                [*command, *(["--advertisements"] if advertisements else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise LabError(f"{host.name}: the address watcher does not start")

    def news(self) -> dict[str, list[list[object]]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        answer: dict[str, list[list[object]]] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@dataclass
class Holders:
    """Watches the addresses of several hosts; the lab's end is its end too."""

    hosts: Sequence[Host]
    advertisements: bool = False
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._changes: dict[str, list[Change]] = {}
        self._helpers: dict[str, _Helper] = {}
        for host in self.hosts:
            self.powered_on(host)

    def powered_on(self, host: Host) -> None:
        """Watch a host's new namespace."""
        self._helpers[host.name] = _Helper(host, advertisements=self.advertisements)

    def powered_off(self, host: Host) -> None:
        """Stop watching: what the host still had, it has no longer."""
        self._refresh([host.name])
        self._helpers.pop(host.name).close()
        now_ns = time.monotonic_ns()
        for address, changes in self._changes.items():
            if host.name in self.timeline(address, refresh=False).latest()[1]:
                changes.append(Change(now_ns, host.name, held=False))

    def timeline(self, address: str, *, refresh: bool = True) -> Timeline:
        """Return who held an address up to now."""
        if refresh:
            self._refresh(self._helpers)
        return Timeline(tuple(self._changes.get(address, ())))

    def advertisements_since(self, since_ns: int) -> list[Heard]:
        """Return the advertisements that any host received, in order of arrival."""
        self._refresh(self._helpers)
        found = [heard for heard in self.heard if heard.at_ns >= since_ns]
        return sorted(found, key=lambda heard: heard.at_ns)

    def _refresh(self, names: Iterable[str]) -> None:
        for name in names:
            news = self._helpers[name].news()
            for at_ns, address, held in news["changes"]:
                change = Change(int(str(at_ns)), name, held=bool(held))
                self._changes.setdefault(str(address), []).append(change)
            for at_ns, source, vrid, priority in news["advertisements"]:
                numbers = (int(str(vrid)), int(str(priority)))
                self.heard.append(Heard(int(str(at_ns)), name, str(source), *numbers))
