"""The key folder: what signs advertisements, mounted from a Secret.

One file for each key: ``<ref>.<id>`` holds an HMAC key (``hex:`` and digits, or the text itself,
32 to 64 bytes), ``<ref>.active`` the id that signs, ``<ref>.pass`` a VRRPv2 password. The form of a
key is that of keepalived's ``auth_hmac``. With one key, ``.active`` may be absent.

A key that was good and is damaged or gone goes on being used: a typing error in a Secret must not
cost an address. It is reported until it is mended. What changes is read once it has ceased to: half
a key can be as long as a whole one, and a node that signs with it is heard by nobody.

The kernel tells of changes in the folder (inotify); what it does not tell is found by looking.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrrp.authentication import KEY_LENGTHS, PASSWORD_LENGTH
from vrrp_speaker.agent.inotify import Watcher
from vrrp_speaker.agent.messages import Inbox, KeysChanged

_log = logging.getLogger(__name__)
_LOOK_S = 0.5
"""Between looks while something changes or is wrong, and where the kernel tells nothing."""
_LOOK_ALL_THE_SAME_S = 10.0
"""Between looks else: what a link in the folder leads to, or another host writes, is not told."""
_MAX_FILE = 256

Stamp = tuple[tuple[str, int, int, int], ...]

KeyMaterial = dict[str, Any]
"""What the compiler is given for one ref: ``keys`` (hexadecimal by id) and ``active``, and
``password`` (hexadecimal); or ``error``."""


class KeyFileError(ValueError):
    """One ref's files cannot be used; the message names the file and what is accepted."""


class KeyFolder:
    """Reads the folder, and again whenever it changes."""

    def __init__(self, path: Path, inbox: Inbox, known: Mapping[str, KeyMaterial]) -> None:
        self._path = path
        self._inbox = inbox
        self._material: dict[str, KeyMaterial] = dict(known)
        self.problem = ""
        """Why a ref's newest files are not in use; empty when all are."""
        self._read_stamp = self._looked_stamp = self._stamp()
        self._read()

    def start(self) -> None:
        """Follow in a thread of its own."""
        args = (_watcher_of(self._path),)
        threading.Thread(target=self._run, args=args, name="keys", daemon=True).start()

    def material(self) -> Mapping[str, KeyMaterial]:
        """Return what is in use, by ref."""
        return dict(self._material)

    def _run(self, watcher: Watcher | None) -> None:
        while True:
            self.look()  # first at what happened before it was watched
            if watcher is None or self.problem or self._looked_stamp != self._read_stamp:
                time.sleep(_LOOK_S)
            else:
                ready, _, _ = select.select((watcher,), (), (), _LOOK_ALL_THE_SAME_S)
                watcher = _taken_in(watcher) if ready else watcher

    def look(self) -> None:
        """Read what differs from what was read and is as it was at the last look."""
        before, self._looked_stamp = self._looked_stamp, self._stamp()
        if self._looked_stamp != before:
            return  # somebody is writing
        if self._looked_stamp == self._read_stamp and not self.problem:
            return  # what could not be read may be readable without a sign
        self._read_stamp = self._looked_stamp
        known = self.material()
        self._read()
        if self.material() != known:
            self._inbox.put(KeysChanged())

    def _stamp(self) -> Stamp:
        found = []
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _files(self) -> list[Path]:
        """Return the files of keys: no hidden ones, as a mounted Secret has for itself.

        Nor those whose names no `keyRef` can be.
        """
        try:
            named = (p for p in self._path.iterdir() if p.name.isascii() and p.name.isprintable())
            return sorted(path for path in named if path.name.find(".") > 0)
        except OSError:
            return []

    def _read(self) -> None:
        files: dict[str, dict[str, Path]] = {}
        for path in self._files():
            ref, _, part = path.name.partition(".")
            files.setdefault(ref, {})[part] = path
        problems = []
        for ref in sorted(files.keys() | self._material.keys()):
            try:
                material = read_material(ref, files.get(ref, {}))
                _compare(ref, self._material.get(ref, {}), material)
                self._material[ref] = material
            except KeyFileError as error:
                problems.append(str(error))
                if ref not in self._material or "error" in self._material[ref]:
                    self._material[ref] = {"error": str(error)}
        problem = "; ".join(problems)
        if problem and problem != self.problem:
            _log.error("keys not used", extra={"error": problem})
        self.problem = problem


def _compare(ref: str, known: KeyMaterial, found: KeyMaterial) -> None:
    """Have a ref that loses all its keys, or its password, count as damaged.

    Raises:
        KeyFileError: it does; what is in use stays so.
    """
    for part, lost in (("keys", "keys are"), ("password", "password is")):
        if known.get(part) and not found[part]:
            raise KeyFileError(f"{ref}: its {lost} gone")


def _watcher_of(folder: Path) -> Watcher | None:
    try:
        watcher = Watcher()
        watcher.watch_folder(folder)
    except OSError as error:
        _log.warning("keys are polled", extra={"error": str(error)})
        return None
    return watcher


def _taken_in(watcher: Watcher) -> Watcher | None:
    """Take in what the watcher has to tell, whatever it is; return it while it can tell more."""
    try:
        watcher.read()
    except OSError as error:
        watcher.close()
        _log.warning("keys are polled", extra={"error": str(error)})
        return None
    return watcher


def read_material(ref: str, files: Mapping[str, Path]) -> KeyMaterial:
    """Return what one ref's files hold; ``files`` by the part of their names behind the dot.

    Raises:
        KeyFileError: a file is missing, unreadable or wrong.
    """
    if not files:
        raise KeyFileError(f"{ref}: its files are gone")
    material: KeyMaterial = {"keys": {}, "active": None, "password": None}
    active = None
    for part, path in sorted(files.items()):
        if part == "pass":
            material["password"] = _password(path).hex()
        elif part == "active":
            active = _key_id(path, _text(path))
        else:
            material["keys"][str(_key_id(path, part))] = _key(path).hex()
    ids = [int(key_id) for key_id in material["keys"]]
    if active is None and len(ids) == 1:
        active = ids[0]
    if active not in ids and (ids or active is not None):
        named = f"names key {active}" if active is not None else "is absent"
        accepted = f"one of {', '.join(map(str, ids))}" if ids else "the id of a key beside it"
        raise KeyFileError(f"{ref}.active: {named} (accepted: {accepted})")
    material["active"] = active
    return material


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_MAX_FILE).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path.name}: {error}") from error


def _key_id(path: Path, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 255:
        raise KeyFileError(f"{path.name}: {text[:16]!r} is no key id (accepted: 1 to 255)")
    return int(text)


def _key(path: Path) -> bytes:
    text = _text(path)
    try:
        key = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
    except ValueError as error:
        raise KeyFileError(f"{path.name}: what follows hex: is not hexadecimal") from error
    if len(key) not in KEY_LENGTHS:
        accepted = f"{KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]}"
        raise KeyFileError(f"{path.name}: {len(key)} bytes (accepted: {accepted})")
    return key


def _password(path: Path) -> bytes:
    password = _text(path).encode()
    if not 1 <= len(password) <= PASSWORD_LENGTH:
        raise KeyFileError(f"{path.name}: {len(password)} bytes (accepted: 1 to {PASSWORD_LENGTH})")
    return password


def material_of_program(program: Mapping[str, Any] | None) -> dict[str, KeyMaterial]:
    """Return the keys a stored program was compiled with, so that an agent's restart loses none."""
    found: dict[str, KeyMaterial] = {}
    for router in (program or {}).get("routers", ()):
        authentication = router.get("authentication") or {}
        ref = authentication.get("keyRef")
        if ref:
            keys = {str(key["id"]): key["secret"] for key in authentication.get("keys", ())}
            known = found.setdefault(ref, {"keys": {}, "active": None, "password": None})
            known["keys"].update(keys)
            known["active"] = authentication.get("active", known["active"])
            known["password"] = authentication.get("password", known["password"])
    return found
