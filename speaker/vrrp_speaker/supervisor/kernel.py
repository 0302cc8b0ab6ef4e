"""What the speaker needs of the kernel, found out before anything is bound.

Standard library only: it belongs to process 1.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from vrrp_speaker.engine.network.netlink import RequestSocket, damaged_mark_request
from vrrp_speaker.supervisor.run_directory import CannotRunError

Ask = Callable[[bytes], int]
"""Sends a netlink request; returns 0 or the errno."""


def require_address_marks(ask: Ask | None = None) -> None:
    """Make sure that the kernel keeps our mark on addresses (IFA_PROTO, Linux 5.18).

    Without it a speaker takes its own addresses for the node's, and lets go of each at once. The
    release is not asked: distributions carry such things back. Where the kernel does not tell, as
    without CAP_NET_ADMIN, nothing is refused.

    Raises:
        CannotRunError: it does not.
    """
    if not _passes_over_marks(ask or RequestSocket().request):
        return
    raise CannotRunError(
        f"kernel {os.uname().release}: knows no IFA_PROTO, the mark by which a speaker tells its"
        " addresses from the node's (accepted: Linux 5.18 or newer, or one with that carried back);"
        " update the node's kernel, or keep the speaker off the node"
    )


def _passes_over_marks(ask: Ask) -> bool:
    """Return whether the kernel surely ignores the attribute; binds nothing.

    The request holds a damaged mark and an interface that does not exist: who knows the mark
    refuses it (ERANGE), who does not goes on to the interface (ENODEV).
    """
    return ask(damaged_mark_request()) == errno.ENODEV
