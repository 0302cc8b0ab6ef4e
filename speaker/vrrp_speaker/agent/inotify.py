"""Following paths by inotify(7), over libc: files that are replaced, not only written.

A path is followed through every directory and symbolic link that leads to it, so an atomic rename,
the ``..data`` link that a kubelet swaps in a mounted ConfigMap, an editor, and a directory that is
deleted and made again are all seen. What does not exist yet is waited for in the nearest directory
that does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

_ATTRIB, _CLOSE_WRITE, _CREATE = 0x4, 0x8, 0x100
_MOVED_FROM, _MOVED_TO, _DELETE = 0x40, 0x80, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_QUEUE_OVERFLOW = 0x4000
_ONLY_DIRECTORY, _DO_NOT_FOLLOW = 0x0100_0000, 0x0200_0000
# Not IN_MODIFY: a file is looked at when its writer has closed it, not half written.
_MASK = (
    (_ATTRIB | _CLOSE_WRITE | _CREATE | _MOVED_FROM | _MOVED_TO | _DELETE)
    | (_DELETE_SELF | _MOVE_SELF)
    | (_ONLY_DIRECTORY | _DO_NOT_FOLLOW)
)
_HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_BUFFER = 1 << 16
_MOST_LINKS = 40
"""As many symbolic links as the kernel follows."""
_SETTLING = 5
_ANY = "/"
"""Stands for every name in a directory; none has one."""

_libc = ctypes.CDLL(None, use_errno=True)

Place = tuple[int, str]
"""A directory's watch and a name in it."""


class Watcher:
    """Tells which of the watched paths may lead to something else than before.

    Watch first, read the file afterwards: then nothing is missed. A path may be reported without a
    change. Not told: what another host does on a network file system, a file that is written and
    never closed, and a hard link whose other name is removed at once. For one thread.
    """

    def __init__(self) -> None:
        """Open an inotify instance.

        Raises:
            OSError: the kernel has no more of them (fs.inotify.max_user_instances).
        """
        self._descriptor = _checked(
            _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify instance"
        )
        self._places: dict[Path, dict[Place, str]] = {}
        self._folders: set[Path] = set()
        """Those of the paths in which everything is of interest."""

    def fileno(self) -> int:
        """Return the descriptor to poll for reading."""
        return self._descriptor

    def watch(self, path: Path) -> None:
        """Follow a path, which need not exist; nothing happens when it is followed already.

        Directories that this process may not read are left out: changes in them are not told.

        Raises:
            OSError: the kernel has no more watches (fs.inotify.max_user_watches); the path is not
                followed.
        """
        if path not in self._places:
            self._places[path] = {}
            try:
                self._place(path)
            except OSError:
                self.unwatch(path)
                raise

    def watch_folder(self, path: Path) -> None:
        """Follow a folder, and every file in it, also such as come; not what links lead to.

        Raises:
            OSError: as ``watch``.
        """
        self._folders.add(path)
        self.watch(path)

    def unwatch(self, path: Path) -> None:
        """Stop following a path; nothing happens when it is not followed."""
        self._folders.discard(path)
        self._remove_unused(self._places.pop(path, {}))

    def read(self) -> set[Path]:
        """Return the paths that were touched since the last call; does not wait.

        Raises:
            OSError: the kernel has no more watches; the paths touched are followed in part.
        """
        try:
            data = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return set()
        touched: set[Path] = set()
        for watch, mask, name in _events(data):
            touched.update(p for p in self._places if self._touches(p, watch, mask, name))
        for path in touched:
            self._place(path)
        return touched

    def close(self) -> None:
        """Follow nothing any more."""
        self._places.clear()
        os.close(self._descriptor)

    def _touches(self, path: Path, watch: int, mask: int, name: str) -> bool:
        places = self._places[path]
        if mask & _QUEUE_OVERFLOW:
            return True
        if not name:  # the directory itself
            return any(watch == known for known, _ in places)
        found = places.get((watch, name))
        if found is None and (folder := places.get((watch, _ANY))) is not None:
            found = os.path.join(folder, name)
        return found is not None and not (mask & _CREATE and _is_being_written(found))

    def _place(self, path: Path) -> None:
        """Watch every directory on the way, until the way is the one that was watched."""
        before = self._places[path]
        places: dict[Place, str] = {}
        trail: list[tuple[str, str]] = []
        for _ in range(_SETTLING):
            if trail == (trail := _trail(path, whole=path in self._folders)):
                break
            for directory, name in trail:
                watch = self._add(directory)
                if watch is not None:
                    places[watch, name] = os.path.join(directory, name.strip(_ANY))
                    self._places[path] = before | places
        self._places[path] = places
        self._remove_unused(before)

    def _add(self, directory: str) -> int | None:
        watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), _MASK)
        if watch < 0 and ctypes.get_errno() != errno.ENOSPC:
            return None  # gone again, or not ours to read
        return _checked(watch, f"inotify watch of {directory}")

    def _remove_unused(self, places: dict[Place, str]) -> None:
        used = {watch for kept in self._places.values() for watch, _ in kept}
        for watch in {watch for watch, _ in places} - used:
            _libc.inotify_rm_watch(self._descriptor, watch)  # fails if the directory is gone: good


def _trail(path: Path, *, whole: bool) -> list[tuple[str, str]]:
    """Return each directory and the name looked up in it on the way to where a path leads.

    The directories are free of symbolic links. The last name may not exist. ``whole``: where the
    path leads is a directory of which every name counts.
    """
    here, links, trail = "/", 0, []
    ahead = os.path.join(os.getcwd(), path).split("/")[::-1]
    while ahead:
        name = ahead.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        trail.append((here, name))
        try:
            target = os.readlink(os.path.join(here, name))
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: there, and no link
                break
            here = os.path.join(here, name)
            continue
        links += 1
        if links > _MOST_LINKS:
            break
        here = "/" if target.startswith("/") else here
        ahead += target.split("/")[::-1]
    else:
        if whole:
            trail.append((here, _ANY))
    return trail


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    offset = 0
    while offset < len(data):
        watch, mask, _, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        yield watch, mask, os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
        offset += length


def _is_being_written(path: str) -> bool:
    """Tell a file that was just made, whose writer will close it, from a link to a finished one."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
