"""File checks: looked at the moment a file is written, replaced or removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vrrp_api.check_kinds import CheckKind
from vrrp_speaker.agent.checks.probe_file import allowed
from vrrp_speaker.agent.checks.watching import Watching
from vrrp_speaker.agent.inotify import Watcher
from vrrp_speaker.agent.messages import CheckMessage, CheckTouched, Inbox


class Files(Watching):
    """Watches files below the allowed folders; the runs themselves read them."""

    def __init__(self, inbox: Inbox, folders: Sequence[str]) -> None:
        super().__init__(inbox)
        self._folders = folders

    def open(self) -> WatchedFiles:
        """Open an inotify instance."""
        return WatchedFiles(self._folders)

    def blind(self, wanted: Mapping[str, CheckKind], reason: str) -> Iterable[CheckMessage]:
        """Say nothing: the files are still read at every interval."""
        return []


class WatchedFiles:
    """The files that are followed now."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders
        self._watcher = Watcher()
        self._followed: set[Path] = set()

    def fileno(self) -> int:
        """Return the inotify instance."""
        return self._watcher.fileno()

    def wait_s(self) -> None:
        """Nothing happens without news."""
        return

    def close(self) -> None:
        """Follow nothing."""
        self._watcher.close()

    def turn(self, wanted: Mapping[str, CheckKind]) -> Iterable[CheckMessage]:
        """Return the checks whose files were touched, and those followed from now on."""
        paths = {
            name: Path(kind.target)
            for name, kind in wanted.items()
            if allowed(kind.target, self._folders) is not None
        }
        touched = self._watcher.read()
        followed = set(paths.values())
        for path in self._followed - followed:
            self._watcher.unwatch(path)
        for path in followed - self._followed:
            self._watcher.watch(path)
            touched.add(path)  # what happened before is not told
        self._followed = followed
        return [CheckTouched(name) for name, path in paths.items() if path in touched]
