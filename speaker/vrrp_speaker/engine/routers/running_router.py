"""A Virtual Router of this node at run time: a state machine joined with its program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vrrp.authentication import ReplayMarks
from vrrp.constants import NS_PER_CENTISECOND, PRIORITY_RELEASE
from vrrp.members import MAX_LEARNED, LearnedMembers
from vrrp.states import Parameters
from vrrp.validation import Election
from vrrp.virtual_router import VirtualRouter
from vrrp_speaker.engine.programs.program import AddressProgram, Place, RouterProgram
from vrrp_speaker.engine.wire.encoder import Encoder, advertised_addresses
from vrrp_speaker.lease import lease_seconds
from vrrp_speaker.shared_state import EngineFault, SharedState
from vrrp_speaker.shared_state import layout as shm

INSTALL_RETRY_NS = 5_000_000_000
"""How long a router stays in Fault after the kernel refused its address; twice as long each time,
because every attempt takes the address from a node that could hold it."""
_MOST_DOUBLINGS = 4


@dataclass(slots=True)
class Told:
    """What the agent said last of a router (``inputs``)."""

    faulty: bool
    """Whether its checks, or their absence so far, hold the router in Fault."""
    keeps: bool = False
    """Whether the checks that do so may be failing on every node."""
    points: int = 0
    """What its checks did to the base priority."""


@dataclass(slots=True)
class Found:
    """What the engine itself found wrong with a router (``faults``)."""

    faults: frozenset[EngineFault] = frozenset()
    link_down: int = 0
    """The index of a link that the router needs and that does not run; 0: all do."""


@dataclass(slots=True)
class Others:
    """Who else takes part in a router's election (``hearing``)."""

    marks: ReplayMarks = field(default_factory=ReplayMarks)
    learned: LearnedMembers = field(default_factory=LearnedMembers)
    """Members that the program does not list; only where it is open."""
    election: tuple[RouterProgram, Election] | None = None
    """What advertisements are checked against, and the program that it was made of."""


@dataclass(slots=True)
class Lease:
    """When the kernel is to be asked for a router's addresses (``addresses/leases``)."""

    renew_at_ns: int | None = None
    """None while no addresses are bound."""
    retry_ns: int = 0
    """Until then the kernel is not asked again for what it refused."""
    failures: int = 0
    """How often in a row it refused an address."""


@dataclass(slots=True)
class Course:
    """What a router was before it was what it is (``executor``)."""

    left_ns: int | None = None
    """When it stopped being Active; addresses that go later were kept for a successor."""
    was_backup: bool = False
    """An engine before this one was Backup a moment ago: to be Backup is nothing new."""


@dataclass(slots=True)
class RunningRouter:
    """One Virtual Router: its program, its machine, and what others note of it, each in its place.

    A group of fields is written by the module that its class names, and by nobody else.
    """

    program: RouterProgram
    machine: VirtualRouter
    encoder: Encoder
    told: Told
    found: Found = field(default_factory=Found)
    others: Others = field(default_factory=Others)
    lease: Lease = field(default_factory=Lease)
    course: Course = field(default_factory=Course)
    withheld: frozenset[Place] = frozenset()
    """Addresses that are not to be bound yet, because they are asked about first (``executor``)."""
    queued_ns: int | None = None
    """Which entry of the queue of deadlines is the router's (``dispatcher``)."""
    removed: bool = False
    """No longer in the program: its slot may be another's (``router_table``)."""

    def runs(self, program: RouterProgram) -> bool:
        """Return whether that is its program; as a rule it is the same object, or another one."""
        return self.program is program or self.program == program

    @property
    def addresses(self) -> tuple[AddressProgram, ...]:
        """What the router binds when it becomes Active, and holds while it is."""
        addresses = self.program.addresses
        if not self.withheld:
            return addresses
        return tuple(a for a in addresses if (a.ifindex, a.address) not in self.withheld)

    @property
    def faulty(self) -> bool:
        """Whether anything keeps this node from holding the addresses."""
        return bool(self.program.faults or self.told.faulty or self.found.faults)

    @property
    def can_hand_over(self) -> bool:
        """Whether addresses that stay until a successor has them are of use to anybody."""
        return self.has_others and not self.program.faults and not self.found.faults

    @property
    def has_others(self) -> bool:
        """Whether anybody else may take part in the election."""
        return bool(self.program.peers or self.others.learned.known_ns) or self.program.multicast

    @property
    def keeps(self) -> bool:
        """Whether only a successor ends the holding, because all the others may be no better."""
        return self.told.keeps and not self.program.faults and not self.found.faults

    @property
    def offset(self) -> int:
        """Where the router's slot of the shared state starts."""
        return shm.slot_offset(self.program.slot)

    def reach_members(self) -> None:
        """Send to everybody who was learned, and to no one else beyond the list."""
        self.encoder.reach(self.others.learned.known_ns)
        self.prepare()

    def prepare(self) -> None:
        """Encode what a failover needs before it needs it."""
        self.encoder.prepare(self.machine.parameters.priority, PRIORITY_RELEASE)

    def lease_ns(self) -> int:
        """Return the valid lifetime the compiler put into the address requests."""
        program = self.program
        seconds = lease_seconds(
            program.version,
            program.base_priority,
            program.adver_interval_ns,
            program.down_advertisements,
        )
        return seconds * 1_000_000_000

    def install_wait_ns(self) -> int:
        """Return how long not to try again what the kernel has just refused."""
        doublings = min(self.lease.failures, _MOST_DOUBLINGS) if self.has_others else 0
        return INSTALL_RETRY_NS << doublings

    def lease_due(self, now_ns: int) -> bool:
        """Return whether addresses are bound whose lease is to be renewed."""
        due_ns = self.lease.renew_at_ns
        return due_ns is not None and now_ns >= due_ns

    def renewal_ns(self) -> int:
        """Return how long after one renewal the next is due, which goes with an advertisement.

        Whenever this process dies, the lease should outlive the successor's longest wait: the
        missed advertisements and a skew of less than one interval. One more is what the
        advertisement may be away. Then the address is always somewhere.
        """
        lease_ns = self.lease_ns()
        intervals = self.program.down_advertisements + 2
        return max(0, min(lease_ns // 3, lease_ns - intervals * self.program.adver_interval_ns))


def new_router(program: RouterProgram, *, input_faults: bool, priority: int) -> RunningRouter:
    """Return a router in Initialize for a program."""
    parameters = Parameters(
        version=program.version,
        priority=priority,
        adver_interval_ns=program.adver_interval_ns,
        down_advertisements=program.down_advertisements,
        preempt_mode=program.preempt,
        preempt_delay_ns=program.preempt_delay_ns,
        source=program.source,
    )
    router = RunningRouter(
        program=program,
        machine=VirtualRouter(parameters, faulty=bool(program.faults or input_faults)),
        encoder=Encoder(program),
        told=Told(input_faults),
    )
    router.prepare()
    return router


def election_of(router: RunningRouter) -> Election:
    """Return what the router's advertisements are checked against; made once for a program."""
    program, known = router.program, router.others.election
    if known is None or known[0] is not program:
        known = router.others.election = program, _election(router, program)
    return known[1]


def _election(router: RunningRouter, program: RouterProgram) -> Election:
    return Election(
        version=program.version,
        family=program.family,
        vrid=program.vrid,
        source=program.source,
        peers=frozenset(peer.address for peer in program.peers),
        interval_cs=program.adver_interval_ns // NS_PER_CENTISECOND,
        addresses=frozenset(advertised_addresses(program)),
        group_ifindex=program.ifindex if program.multicast else 0,
        ttl_minimum=program.ttl_minimum,
        authentication=program.authentication,
        marks=router.others.marks,
        learned=router.others.learned if program.open else None,
    )


def run_already(routers: Mapping[str, RunningRouter], wanted: Mapping[str, RouterProgram]) -> bool:
    """Return whether those are the programs that run: no router comes, goes or changes."""
    return wanted.keys() == routers.keys() and all(
        router.runs(wanted[name]) for name, router in routers.items()
    )


def last_heard_ns(shared: SharedState, program: RouterProgram) -> int:
    """Return when anybody of the election was last heard, by an engine before us too; 0: never."""
    places = [shm.slot_offset(program.slot) + shm.S_UNLISTED]
    places += [shm.peer_offset(program.slot, index) for index in range(len(program.peers))]
    if program.open:
        places += [shm.learned_offset(program.slot, index) for index in range(MAX_LEARNED)]
    return max(shared.get(place + shm.PEER_LAST) for place in places)
