"""A LAN: a bridge in a namespace of its own, hosts on it, and what can go wrong between them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from types import TracebackType

from vrrp_lab.namespaces import LabError, Namespace, missing_tools
from vrrp_lab.probe import Probe
from vrrp_lab.processes import Processes, clean_crashed_labs

IPV4_NETWORK = "192.0.2"
IPV6_NETWORK = "2001:db8:0:1"
CLIENT, CONTROL_PLANE = 100, 200
INTERFACE = "eth0"


MakeNamespace = Callable[[str, Processes], Namespace]
"""Makes what a host of this name lives in, at each power-on."""


class Host:
    """One machine on the LAN; ``number`` is the last part of its addresses."""

    def __init__(
        self, name: str, number: int, lan: Lan, make_namespace: MakeNamespace = Namespace
    ) -> None:
        self.name = name
        self.number = number
        self.port = f"p{number}"
        self._lan = lan
        self._make_namespace = make_namespace
        self.namespace: Namespace = self._plug_in()

    @property
    def address(self) -> str:
        """The host's own IPv4 address."""
        return f"{IPV4_NETWORK}.{self.number}"

    @property
    def address6(self) -> str:
        """The host's own IPv6 address."""
        return f"{IPV6_NETWORK}::{self.number}"

    @property
    def mac(self) -> str:
        """The hardware address, the same after every power-on."""
        return f"02:00:5e:00:53:{self.number:02x}"

    def _plug_in(self) -> Namespace:
        namespace = self._make_namespace(self.name, self._lan.processes)
        self._add_interface(namespace)
        return namespace

    def _add_interface(self, namespace: Namespace, *index: str) -> None:
        switch = self._lan.switch
        namespace.run_on_network(
            *("ip", "link", "add", INTERFACE, *index, "address", self.mac, "type", "veth"),
            *("peer", "name", self.port, "netns", str(switch.holder)),
        )
        switch.run("ip", "link", "set", self.port, "master", "br0", "up")
        namespace.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", check=False)
        namespace.run("ip", "link", "set", INTERFACE, "up")
        namespace.run("ip", "addr", "add", f"{self.address}/24", "dev", INTERFACE)
        namespace.run("ip", "addr", "add", f"{self.address6}/64", "dev", INTERFACE, "nodad")

    def remove_interface(self) -> None:
        """The interface goes, as when its driver is unloaded."""
        self._lan.switch.run("ip", "link", "del", self.port)

    def restore_interface(self) -> None:
        """It comes back: the same name, addresses and hardware address, another index."""
        self._add_interface(self.namespace)

    def replace_interface(self) -> None:
        """It goes and comes back at once, the same in everything, its index included."""
        listed = self.namespace.run("ip", "-o", "link", "show", INTERFACE).stdout
        self.remove_interface()
        self._add_interface(self.namespace, "index", listed.partition(":")[0])

    def cut_link(self) -> None:
        """Pull the cable: the host sees its carrier go."""
        self._lan.switch.run("ip", "link", "set", self.port, "down")

    def restore_link(self) -> None:
        """Plug the cable in again."""
        self._lan.switch.run("ip", "link", "set", self.port, "up")

    def power_off(self) -> None:
        """The machine is gone: first its network, then its processes."""
        self._lan.switch.run("ip", "link", "del", self.port)
        self.namespace.end()

    def power_on(self) -> None:
        """A machine with the same name, addresses and hardware address, nothing running."""
        self.namespace = self._plug_in()

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command here to its end, whatever its exit status."""
        return self.namespace.run(*command, check=False)

    def holds(self, address: str) -> bool:
        """Return whether an interface of this host has the address."""
        listed = self.exec("ip", "-o", "addr", "show").stdout
        return any(f" {address}/" in line for line in listed.splitlines())


class Lan:
    """A switch, hosts and a client; use as a context manager.

    Raises:
        LabError: something this machine lacks; the message names it.
    """

    def __init__(self, hosts: int = 3, make_namespace: MakeNamespace = Namespace) -> None:
        missing = missing_tools()
        if missing:
            raise LabError("this machine lacks: " + ", ".join(missing))
        clean_crashed_labs()
        self.processes = Processes()
        self._faults: list[str] = []
        try:
            self.switch = self._make_switch()
            self.hosts = [
                Host(f"node-{n}", 10 + n, self, make_namespace) for n in range(1, hosts + 1)
            ]
            self.client = Client("client", CLIENT, self)
        except BaseException:
            self.processes.stop_all()
            raise

    def __enter__(self) -> Lan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the lab; the namespaces go with them."""
        self.processes.stop_all()

    def host(self, name: str) -> Host:
        """Return a host by name."""
        return next(host for host in self.hosts if host.name == name)

    def _make_switch(self) -> Namespace:
        switch = Namespace("lan", self.processes)
        switch.run(
            *["ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0"]
        )
        switch.run(*["ip", "link", "set", "br0", "up"])
        switch.run("nft", "add table bridge faults")
        switch.run(
            "nft", "add chain bridge faults forward { type filter hook forward priority 0 ; }"
        )
        return switch

    # Faults ----------------------------------------------------------------------------

    def partition(self, first: Host, second: Host, *, one_way: bool = False) -> None:
        """Drop what goes from ``first`` to ``second``, and the other way unless ``one_way``."""
        ways = [(first, second)] if one_way else [(first, second), (second, first)]
        self._faults += [_between(source, destination) for source, destination in ways]
        self._write_faults()

    def rejoin(self, first: Host, second: Host) -> None:
        """End the partitions of two hosts; what is lost between others goes on being lost."""
        between = {_between(first, second), _between(second, first)}
        self._faults = [rule for rule in self._faults if rule not in between]
        self._write_faults()

    def drop(self, host: Host, percent: int) -> None:
        """Lose this share of the packets of a host, each way."""
        rule = f"numgen random mod 100 < {percent} drop"
        self._faults += [f"{way} {host.port} {rule}" for way in ("iifname", "oifname")]
        self._write_faults()

    def heal(self) -> None:
        """End partitions and losses; cut links stay cut."""
        self._faults = []
        self._write_faults()

    def _write_faults(self) -> None:
        """Put all rules in the place of those that are there, at once."""
        chain = "bridge faults forward"
        rules = [f"add rule {chain} {rule}" for rule in self._faults]
        self.switch.run("nft", "; ".join([f"flush chain {chain}", *rules]))


def _between(source: Host, destination: Host) -> str:
    """Return the rule that drops what goes from one host to another."""
    return f"iifname {source.port} oifname {destination.port} drop"


class Client(Host):
    """The machine whose view counts."""

    def probe(self, address: str, interval_s: float = 0.001) -> Probe:
        """Return a running prober for an address; use as a context manager."""
        return Probe(self.namespace, INTERFACE, address, interval_s)
