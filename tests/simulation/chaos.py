"""A chaos seed in virtual time: the faults that struck real nodes strike simulated ones.

The plan is that of ``tests.chaos``, and so are the elections: every VirtualIP of the real run is a
LAN of its own here, under the same faults. The oracle beside each router watches as always; who was
what and had which address is judged by the rules of the real run; then the LAN has to answer single
events like any other (``liveness``). What takes real time without being a fault, such as the start
of a speaker, takes a drawn time.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterable

from tests.chaos.judge import Judge
from tests.chaos.observed import NOT_RUNNING, Allowance, Election, Held, Run, Struck, Turn
from tests.chaos.plan import (
    INTERVAL_MS,
    NODES,
    VIRTUAL_IPS,
    Fault,
    Kind,
    by_multicast,
    over_ipv6,
    plan,
    priorities,
)
from tests.simulation.lan import SimulatedLan
from tests.simulation.liveness import Liveness
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import (
    KEYS,
    MS,
    SECOND,
    Cluster,
    FaultRates,
    NodeConfig,
    Settings,
    node_addresses,
)
from tests.simulation.simulation import Failure
from tests.simulation.timeline import OracleViolation
from tests.simulation.virtual_time import Deed

from vrrp.actions import StateChanged
from vrrp.authentication import HmacKeys, Mode
from vrrp.constants import DOWN_ADVERTISEMENTS, VERSION_3, Family, State
from vrrp.packet import ChecksumForm

SETTLED_NS = 5 * SECOND
"""The chaos begins when the cluster has been at rest for long."""
AFTER_NS = 10 * SECOND
_START_MS = (300, 3_000)
_FORK_MS = (1, 50)
_LATENCY_NS, _LATENESS_NS = MS // 5, MS // 5
_ALLOWED = Allowance(
    slack_ns=2 * MS,
    lease_fuzz_ns=0,
    install_ns=0,
    resolve_ns=0,
    fork_ns=_FORK_MS[1] * MS,
    start_ns=_START_MS[1] * MS + MS,
)
_HEALTHY = FaultRates(0, 0, 0, 0, SECOND, {})
_ADDRESS = "the address"


def run_chaos_seed(
    seed: int, seconds: float, virtual_ips: Iterable[int] = range(VIRTUAL_IPS)
) -> Failure | None:
    """Run the elections of a chaos seed under every oracle; return what went wrong, or None."""
    for virtual_ip in virtual_ips:
        lan = chaos_lan(seed, virtual_ip)
        try:
            run_chaos(lan, plan(seed, seconds), virtual_ip)
        except OracleViolation as violation:
            rule = str(violation)
        except Exception:
            rule = traceback.format_exc()
        else:
            continue
        options = f"--chaos-seed {seed} --seconds {seconds:g} --virtual-ip {virtual_ip}"
        return Failure(f"chaos seed {seed}, vip-{virtual_ip}", rule, lan.timeline.text(), options)
    return None


def chaos_lan(seed: int, virtual_ip: int) -> SimulatedLan:
    """Return the LAN of one VirtualIP of the chaos, nothing running yet."""
    family = Family.IPV6 if over_ipv6(virtual_ip) else Family.IPV4
    rng = random.Random(f"{seed} chaos addresses {virtual_ip}")
    cluster = Cluster(
        VERSION_3,
        family,
        by_multicast(virtual_ip),
        ChecksumForm.PSEUDO_HEADER,
        node_addresses(rng, family, NODES),
        _LATENCY_NS,
        _LATENESS_NS,
    )
    keys = HmacKeys({1: KEYS[1]}, 1, Mode.ENFORCE)
    everybody = frozenset(range(NODES))
    configs = tuple(
        NodeConfig(
            priority, INTERVAL_MS * MS, DOWN_ADVERTISEMENTS, True, 0, everybody - {node}, keys
        )
        for node, priority in enumerate(priorities(virtual_ip))
    )
    lan = SimulatedLan(Settings(seed, cluster, configs, _HEALTHY, False))
    lan.nodes += [SimulatedNode(lan, i, config) for i, config in enumerate(configs)]
    return lan


def run_chaos(lan: SimulatedLan, faults: tuple[Fault, ...], virtual_ip: int) -> None:
    """Settle, carry the faults out, let everything settle, judge; then what a healthy LAN must do.

    Raises:
        OracleViolation: an invariant did not hold; the LAN's timeline tells how it came to that.
    """
    for node in lan.nodes:
        node.start(0)
    seen = _Seen(lan)
    lan.run_until(SETTLED_NS)
    chaos = Chaos(lan, faults, seen)
    lan.run_until(chaos.ends_ns + AFTER_NS)
    _judge(lan, chaos, seen, virtual_ip)
    Liveness(lan, chaos).run(lan.now_ns)


def _judge(lan: SimulatedLan, chaos: Chaos, seen: _Seen, virtual_ip: int) -> None:
    election = Election(
        f"vip-{virtual_ip}", priorities(virtual_ip), INTERVAL_MS * MS, not by_multicast(virtual_ip)
    )
    run = Run(election, seen.turns, seen.held(chaos.struck), chaos.struck, SETTLED_NS, lan.now_ns)
    judge = Judge(run, _ALLOWED)
    found = judge.violations()
    if found:
        raise OracleViolation("\n".join(violation.words(SETTLED_NS) for violation in found))
    if not judge.figures().calms:
        raise OracleViolation("the cluster was never found at rest, so nothing was judged there")


class Chaos:
    """Carries a plan out; when it is over, everything is mended."""

    def __init__(self, lan: SimulatedLan, faults: tuple[Fault, ...], seen: _Seen) -> None:
        self._lan = lan
        self._seen = seen
        self._rng = random.Random(f"{lan.settings.seed} chaos starts")
        self._in_force: list[Fault] = []
        self._wanted = [True] * len(lan.nodes)
        """Whether each node is meant to run."""
        self._left_active = [False] * len(lan.nodes)
        """Whether each node was Active when it last died."""
        self.struck: list[Struck] = []
        self.longest_interval_ns = INTERVAL_MS * MS
        self.most_down = DOWN_ADVERTISEMENTS
        begun_ns = lan.now_ns
        for fault in faults:
            begins_ns = begun_ns + fault.begins_ms * MS
            ends_ns = begun_ns + fault.ends_ms * MS
            self.struck.append(Struck(fault, begins_ns, begins_ns, ends_ns, ends_ns))
            lan.at(begins_ns, lambda now_ns, fault=fault: self._strike(fault, now_ns))  # type: ignore[misc]  # binds the loop variable
            lan.at(ends_ns, lambda now_ns, fault=fault: self._mend(fault, now_ns))  # type: ignore[misc]  # binds the loop variable
        self.ends_ns = max((struck.mended_ns for struck in self.struck), default=begun_ns)

    def heal(self, *, spare_dead: int | None = None, spare_faulty: int | None = None) -> None:
        """End what the plan has not ended; like every disturbance, spare a node or two."""
        for node in self._lan.nodes:
            if node.index == spare_dead and node.router is not None:
                node.crash(self._lan.now_ns)
            node.set_fault(self._lan.now_ns, node.index == spare_faulty)

    def forget_old_configurations(self) -> None:
        """Nothing is ever reconfigured here."""

    # Faults ----------------------------------------------------------------------------

    def _strike(self, fault: Fault, now_ns: int) -> None:
        self._lan.timeline.note(now_ns, -1, "chaos begins:", fault)
        self._in_force.append(fault)
        self._lay_out()
        node = self._lan.nodes[fault.node]
        match fault.kind:
            case Kind.KILL | Kind.POWER:
                self._kill(node, now_ns, power=fault.kind is Kind.POWER)
            case Kind.ENGINE if node.router is not None:
                self._replace_engine(node, now_ns)
            case Kind.STOP:
                self._wanted[node.index] = False
                if node.router is not None:
                    node.shut_down(now_ns)
            case Kind.FREEZE if node.router is not None:
                node.freeze(now_ns)
            case Kind.CUT:
                node.set_fault(now_ns, True, link=True)
            case _:
                pass  # of the network alone, or nothing there to strike

    def _mend(self, fault: Fault, now_ns: int) -> None:
        self._lan.timeline.note(now_ns, -1, "chaos mends:", fault)
        self._in_force.remove(fault)
        self._lay_out()
        node = self._lan.nodes[fault.node]
        match fault.kind:
            case Kind.KILL | Kind.STOP | Kind.POWER:
                if fault.kind is Kind.POWER:
                    node.forget(0)
                self._wanted[node.index] = True
                self._later(_START_MS, lambda at_ns: self._start(node, at_ns))
            case Kind.FREEZE if node.frozen:
                node.wake(now_ns)
            case Kind.FREEZE:
                self._start(node, now_ns)  # it was about to, when it was struck
            case Kind.CUT:
                node.set_fault(now_ns, False)
            case _:
                pass

    def _later(self, range_ms: tuple[int, int], deed: Deed) -> None:
        self._lan.after(self._rng.randint(*range_ms) * MS, deed)

    def _kill(self, node: SimulatedNode, now_ns: int, *, power: bool) -> None:
        self._wanted[node.index] = False
        if node.router is not None:
            self._left_active[node.index] = node.state is State.ACTIVE and not power
            node.crash(now_ns, power=power)
        self._seen.note(now_ns, node.index, NOT_RUNNING)

    def _replace_engine(self, node: SimulatedNode, now_ns: int) -> None:
        """Kill the engine; its supervisor forks another a moment later."""
        self._left_active[node.index] = node.state is State.ACTIVE
        node.crash(now_ns)
        self._later(_FORK_MS, lambda at_ns: self._start(node, at_ns))

    def _start(self, node: SimulatedNode, now_ns: int) -> None:
        """Start a node unless something keeps it from that; whoever was Active just now resumes."""
        if node.leaving:
            node.when_gone = lambda gone_ns: self._start(node, gone_ns)
        stands_still = any(
            fault.kind is Kind.FREEZE and fault.node == node.index for fault in self._in_force
        )
        if not self._wanted[node.index] or node.router is not None or stands_still:
            return
        silent_ns = now_ns - node.last_sent_ns
        lately = silent_ns < DOWN_ADVERTISEMENTS * node.config.interval_ns
        resume = self._left_active[node.index] and lately
        self._left_active[node.index] = False
        self._lan.timeline.note(now_ns, node.index, "starts", "and resumes" if resume else "")
        if resume:
            node.start(now_ns, resume=True)
            self._seen.note(now_ns, node.index, node.state)
            return
        # The engine begins with removing what an earlier life left.
        node.addresses.unbind(now_ns)
        self._lan.timeline.did(now_ns, node.index, "unbinds", "what was left over")
        node.start(now_ns)

    # The network -----------------------------------------------------------------------

    def _lay_out(self) -> None:
        """Let pass what the faults in force let pass."""
        lan, blocked = self._lan, set()
        lan.losses = {}
        for fault in self._in_force:
            far = [node.index for node in lan.nodes if node.index != fault.node]
            if fault.kind in (Kind.PARTITION, Kind.MUTE):
                far = list(fault.others)
            there = {(fault.node, other) for other in far}
            back = {(other, fault.node) for other in far}
            if fault.kind in (Kind.CUT, Kind.POWER, Kind.PARTITION):
                blocked |= there | back
            elif fault.kind is Kind.MUTE:
                blocked |= there
            elif fault.kind is Kind.LOSS:
                for pair in there | back:
                    passes = (1 - lan.losses.get(pair, 0.0)) * (1 - fault.percent / 100)
                    lan.losses[pair] = 1 - passes
        lan.blocked = blocked


class _Seen:
    """What the nodes became and what they held, for the judge."""

    def __init__(self, lan: SimulatedLan) -> None:
        self._lan = lan
        self.turns: list[Turn] = []
        for node in lan.nodes:
            self.note(0, node.index, node.state)
        lan.watchers.append(self._on_transition)

    def note(self, now_ns: int, node: int, state: str) -> None:
        """Note what a node is, whatever it was."""
        self.turns.append(Turn(now_ns, node, state))

    def _on_transition(self, now_ns: int, node: int, change: StateChanged) -> None:
        self.turns.append(Turn(now_ns, node, change.after, change.reason, change.before))

    def held(self, struck: Iterable[Struck]) -> list[Held]:
        """Return when nodes gained and lost the addresses: bound, unbound, powered off, lapsed."""
        doings = [
            doing for doing in self._lan.timeline.doings if doing[2] in ("binds for", "unbinds")
        ]
        doings += [(s.begun_ns, s.fault.node, "unbinds", "")
                   for s in struck if s.fault.kind is Kind.POWER]  # fmt: skip
        found: list[Held] = []
        lease_ends: dict[int, int] = {}

        def ends(node: int, at_ns: int) -> None:
            end_ns = lease_ends.pop(node, None)
            if end_ns is not None:
                found.append(Held(min(at_ns, end_ns), node, _ADDRESS, held=False))

        for at_ns, node, what, detail in sorted(doings, key=lambda doing: doing[0]):
            if what == "unbinds" or lease_ends.get(node, at_ns) < at_ns:
                ends(node, at_ns)
            if what == "binds for":
                assert isinstance(detail, int)
                if node not in lease_ends:
                    found.append(Held(at_ns, node, _ADDRESS, held=True))
                lease_ends[node] = at_ns + detail
        for node in list(lease_ends):
            if lease_ends[node] < self._lan.now_ns:
                ends(node, self._lan.now_ns)
        return sorted(found, key=lambda change: change.at_ns)
