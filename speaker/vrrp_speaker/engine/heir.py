"""The heir: the next engine, there before it is needed.

A fork begins with the pages of the supervisor and copies each one that it touches, 900 of them
before its first advertisement: that was half of the 4 ms in between. So the next engine is forked
while the present one runs, and rehearses: it does once what it will have to do, on a shared state
of its own, and lets go of all of it but the program. What it has then are warm pages, and neither a
socket nor a belief that could grow old.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
from dataclasses import replace

from vrrp_speaker.engine.main import (
    Engine,
    EngineFiles,
    lock_memory,
    name_process,
    request_real_time,
    run_engine,
)
from vrrp_speaker.engine.programs.known_program import KnownProgram
from vrrp_speaker.pulse import Pulse
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm


def await_turn(files: EngineFiles, predecessor: Pulse) -> None:
    """Rehearse, wait for the end of the present engine, and go on for it."""
    gc.disable()
    signal.set_wakeup_fd(-1)  # it is the supervisor's
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name_process("vrrp-heir")
    known = rehearse(files)
    request_real_time()
    lock_memory()
    files.shared.set(shm.H_HEIR, os.getpid())
    if predecessor.await_end(files.parent):
        predecessor.close()
        run_engine(files, known)


def rehearse(files: EngineFiles) -> KnownProgram:
    """Do what an heir does, without being one; return the program."""
    with contextlib.suppress(OSError):  # the present engine comes first
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    known = KnownProgram(files.program_path)
    nobodys = SharedState(mmap.mmap(-1, shm.SIZE))
    Engine(replace(files, shared=nobodys)).rehearse(known.read())
    gc.collect()  # its parts know each other, and have sockets
    return known
