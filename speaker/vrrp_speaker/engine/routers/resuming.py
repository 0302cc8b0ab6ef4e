"""What an engine before us left in the shared state: who goes on where it was, and with what."""

from __future__ import annotations

from vrrp.constants import State
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.routers.running_router import last_heard_ns
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm


def left_active(shared: SharedState, program: RouterProgram, now_ns: int) -> bool:
    """Return whether an engine before us was Active so lately that nobody took over.

    The best Backup waits so many of our intervals from our last advertisement.
    """
    offset = shm.slot_offset(program.slot)
    if shared.get(offset + shm.S_NAME_HASH) != shm.name_hash(program.name):
        return False
    if shared.get(offset + shm.S_STATE) != shm.STATES.index(State.ACTIVE):
        return False
    silent_ns = now_ns - shared.get(offset + shm.S_LAST_SENT)
    return 0 <= silent_ns < program.down_advertisements * program.adver_interval_ns


def left_backup(shared: SharedState, program: RouterProgram, now_ns: int) -> bool:
    """Return whether an engine before us was Backup and has just heard the Active Router."""
    offset = shm.slot_offset(program.slot)
    if shared.get(offset + shm.S_STATE) != shm.STATES.index(State.BACKUP):
        return False
    silent_ns = now_ns - last_heard_ns(shared, program)
    return 0 <= silent_ns < program.down_advertisements * program.adver_interval_ns


def left_points(shared: SharedState, program: RouterProgram) -> int:
    """Return what health checks gave or took, as a predecessor was told last."""
    offset = shm.slot_offset(program.slot)
    effective = shared.get(offset + shm.S_EFFECTIVE_PRIORITY)
    base = shared.get(offset + shm.S_BASE_PRIORITY)
    return effective - base if effective and base else 0
