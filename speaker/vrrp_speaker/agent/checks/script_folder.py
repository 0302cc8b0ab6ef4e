"""Which scripts may run: those that nobody but root can have put there."""

from __future__ import annotations

import errno
import os
import stat

from vrrp_speaker.agent.checks.beneath import find_beneath

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class RefusedError(Exception):
    """A script is not run; the message says why, and what to do."""


def trusted_script(folder: str, name: str) -> str:
    """Return the path of a script that may run.

    The folder and the file belong to root and nobody else can write them; a folder on a read-only
    mount, as Kubernetes makes it of a ConfigMap, may have any mode. Links may not lead out of it.

    Raises:
        RefusedError: it may not, or there is none.
    """
    _check_folder(folder)
    path = os.path.join(folder, name)
    try:
        found = find_beneath(folder, name)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise RefusedError(f"{path}: a symbolic link leads out of the folder") from error
        raise RefusedError(f"{path}: {error.strerror}") from error
    try:
        status = os.fstat(found)
    finally:
        os.close(found)
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"{path}: not a file")
    if status.st_uid != 0:
        raise RefusedError(f"{path}: must belong to root")
    if status.st_mode & _OTHERS_WRITE:
        raise RefusedError(f"{path}: must not be writable by group or others")
    if not status.st_mode & stat.S_IXOTH:
        raise RefusedError(f"{path}: must be executable by others (chmod 755)")
    return path


def _check_folder(folder: str) -> None:
    try:
        status, mount = os.stat(folder), os.statvfs(folder)
    except OSError as error:
        raise RefusedError(f"--scripts-dir {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"--scripts-dir {folder}: not a folder")
    if status.st_uid != 0:
        raise RefusedError(f"--scripts-dir {folder}: must belong to root")
    if status.st_mode & _OTHERS_WRITE and not mount.f_flag & os.ST_RDONLY:
        raise RefusedError(f"--scripts-dir {folder}: must not be writable by group or others")
