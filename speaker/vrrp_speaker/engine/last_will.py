"""What is left to do when no engine can run: release, and leave no address behind.

Executed by the supervisor (architecture §4.6), so it needs nothing but the program file, the
shared state and the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns, time_ns

from vrrp.actions import StateChanged
from vrrp.authentication import SignatureClock
from vrrp.constants import PRIORITY_RELEASE, State, TransitionReason
from vrrp_speaker.engine.network.netlink import (
    ADDRESS_PROTOCOL,
    AddressNews,
    RequestSocket,
    delete_address_request,
)
from vrrp_speaker.engine.programs.stored_program import stored_program
from vrrp_speaker.engine.routers.members import recall_members
from vrrp_speaker.engine.routers.running_router import new_router
from vrrp_speaker.engine.wire.transport import Transport
from vrrp_speaker.shared_state import FencingReason, SharedState
from vrrp_speaker.shared_state import layout as shm


def execute_last_will(
    shared: SharedState, program_path: str, is_obsolete: Callable[[], bool] = lambda: False
) -> None:
    """Send priority 0 for every router left Active and remove every address with our mark.

    The first waits for nothing. The second waits for the kernel, which may have others' work to do,
    and ends where ``is_obsolete``: another engine runs, and sees to the addresses itself.

    Raises:
        OSError: the kernel gives no sockets; the leases end by themselves.
    """
    try:
        _release(shared, program_path)
    finally:
        _remove_addresses(shared, is_obsolete)


def _release(shared: SharedState, program_path: str) -> None:
    program = stored_program(program_path)
    if program is None:
        return  # nobody to tell by name; the addresses go all the same
    transport = Transport()
    clock = SignatureClock(shared.get(shm.H_CLOCK_OFFSET), shared.get(shm.H_CLOCK_LAST))
    try:
        for router_program in program.routers:
            offset = shm.slot_offset(router_program.slot)
            if shared.get(offset + shm.S_STATE) != shm.STATES.index(State.ACTIVE):
                continue
            router = new_router(
                router_program, input_faults=False, priority=router_program.base_priority
            )
            recall_members(shared, router)
            copies = router.encoder.encode(PRIORITY_RELEASE, clock, monotonic_ns(), time_ns())
            transport.send(router.encoder.route, copies)
            ended = StateChanged(State.ACTIVE, State.INITIALIZE, TransitionReason.SHUTDOWN)
            shared.note_transition(router_program.slot, ended, monotonic_ns(), time_ns())
            shared.set(offset + shm.S_ADDRESS_PRESENT, 0)
    finally:
        transport.close()


def _remove_addresses(shared: SharedState, is_obsolete: Callable[[], bool]) -> None:
    requests = RequestSocket()
    try:
        for news in requests.dump():
            if is_obsolete():
                return
            if isinstance(news, AddressNews) and news.protocol == ADDRESS_PROTOCOL:
                requests.request(delete_address_request(news))
                shared.add(shm.H_FENCED + 8 * shm.FENCINGS.index(FencingReason.LAST_WILL))
    finally:
        requests.close()
