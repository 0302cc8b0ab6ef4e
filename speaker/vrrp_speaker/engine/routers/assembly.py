"""The parts that routers are run by, joined: who tells whom is decided here, once."""

from __future__ import annotations

from dataclasses import dataclass

from vrrp.authentication import SignatureClock
from vrrp_speaker.engine.addresses.leases import Leases
from vrrp_speaker.engine.addresses.worker import AddressWorker
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.foreign import ForeignRouters, Observer
from vrrp_speaker.engine.neighbours.listening import Neighbours
from vrrp_speaker.engine.neighbours.presence import Presence
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.recorder import Recorder
from vrrp_speaker.engine.routers.changing import Changer
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.executor import Executor, TransitionListener
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.routers.hearing import Hearing
from vrrp_speaker.engine.routers.inputs import InputsTaker
from vrrp_speaker.engine.routers.router_table import RouterTable
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.routers.starting import Starter
from vrrp_speaker.engine.wire.frame_sender import FrameSender
from vrrp_speaker.engine.wire.transport import Transport
from vrrp_speaker.engine.wire.wanted_groups import WantedGroups
from vrrp_speaker.shared_state import SharedState


@dataclass(frozen=True, slots=True)
class World:
    """What routers work with: sockets, the kernel, the agent's ear, the shared state."""

    shared: SharedState
    clock: SignatureClock
    transport: Transport
    worker: AddressWorker
    network: NodeNetwork
    frames: FrameSender
    recorder: Recorder
    neighbours: Neighbours
    observer: Observer


@dataclass(frozen=True, slots=True)
class RouterParts:
    """What runs the routers of a node."""

    dispatcher: Dispatcher
    executor: Executor
    leases: Leases
    hearing: Hearing
    presence: Presence
    conflicts: Conflicts
    foreign: ForeignRouters
    groups: WantedGroups
    faults: Faults
    inputs: InputsTaker
    table: RouterTable


def assemble(world: World, on_transition: TransitionListener) -> RouterParts:
    """Return parts without routers; ``on_transition`` is told after conflicts are."""
    shared, network = world.shared, world.network
    routers = dict[str, RunningRouter]()
    leases = Leases(shared, world.worker, network)
    executor = Executor(
        shared=shared,
        clock=world.clock,
        transport=world.transport,
        leases=leases,
        frames=world.frames,
        network=network,
        recorder=world.recorder,
    )
    dispatcher = Dispatcher(executor)
    hearing, presence = Hearing(shared), Presence()
    conflicts = Conflicts(shared, executor, dispatcher, network, world.neighbours)
    executor.listeners = conflicts.moved, on_transition
    foreign = ForeignRouters(shared, world.observer)
    groups = WantedGroups(world.transport, foreign, world.worker)
    faults = Faults(
        shared,
        dispatcher,
        routers,
        network=network,
        groups=groups,
        presence=presence,
        conflicts=conflicts,
        leases=leases,
    )
    leases.on_refusal = faults.refresh
    table = RouterTable(
        shared,
        dispatcher,
        routers,
        hearing=hearing,
        faults=faults,
        groups=groups,
        presence=presence,
        conflicts=conflicts,
        starter=Starter(shared, dispatcher, executor, network, faults),
        changer=Changer(shared, dispatcher, executor, hearing, conflicts),
    )
    inputs = InputsTaker(shared, dispatcher, faults, routers)
    return RouterParts(
        dispatcher,
        executor,
        leases,
        hearing,
        presence,
        conflicts,
        foreign,
        groups,
        faults,
        inputs,
        table,
    )
