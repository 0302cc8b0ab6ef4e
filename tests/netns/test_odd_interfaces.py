"""Interfaces that are named oddly, lack what others have, or have what nobody else does.

Each works, or the node says in one stable reason why it takes no part.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.conftest import lab_or_skip
from tests.eventually import eventually
from tests.netns.inside import addresses, faults, manifest, program, routers, states, transitions

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.lan import Host
from vrrp_lab.node import Node
from vrrp_lab.probe import Probe

pytestmark = pytest.mark.netns
SERVICE, BARE, BARE6 = "192.0.2.50", "203.0.113.50", "2001:db8:9::50"
LONGEST = "fifteen-letters"
WORKING = {
    "service": (f"{SERVICE}/24", "eth0", ""),
    "other-name": ("192.0.2.51/24", "eth0", "uplink0"),
    "loopback": ("192.0.2.52/32", "lo", "lo"),
    "like-an-address": ("192.0.2.53/32", "192.0.2.1", "192.0.2.1"),
    "dotted": ("192.0.2.54/32", "eth0.100", "eth0.100"),
    "long": ("192.0.2.55/32", LONGEST, LONGEST),
    "point-to-point": ("192.0.2.56/32", "tunnel0", "tunnel0"),
}
"""By name: the address, where it is to be, and what the VirtualIP says of that."""
REFUSED = {
    "elsewhere": ("198.51.100.50/24", "", "NotInSubnet"),
    "of-containers": ("172.17.0.50/16", "", "NotInSubnet"),
    "without-ipv6": ("2001:db8:0:1::60/64", "four0", "IPv6Disabled"),
    "down": ("192.0.2.61/32", "down0", "InterfaceDown"),
    "missing": ("192.0.2.62/32", "eth7", "InterfaceNotFound"),
}
"""By name: the address, what the VirtualIP says of its interface, and why nobody has it."""


def _manifest() -> str:
    told = {**{n: (a, i) for n, (a, _, i) in WORKING.items()},
            **{n: (a, i) for n, (a, i, _) in REFUSED.items()}}  # fmt: skip
    return "".join(
        manifest(name, vrid, address, ranks=(1, 2), spec=f'interface: "{on}"' if on else "")
        for vrid, (name, (address, on)) in enumerate(told.items(), 51)
    ) + manifest("bare", 50, f"{BARE}/24", f"{BARE6}/64", ranks=(1, 2), spec="interface: eth1")


_ODD = (
    # As kube-proxy does in mode IPVS with strictARP; a kernel of tests may lack dummies.
    "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
    "ip link add kube-ipvs0 type bridge",
    "ip link set kube-ipvs0 arp off",
    f"ip addr add {SERVICE}/32 dev kube-ipvs0",
    "ip link property add dev eth0 altname uplink0",
    # A bridge of containers, with an address of the nodes' own network too.
    "ip link add docker0 type bridge",
    "ip link add veth0 type veth peer name pod0",
    "ip link set veth0 master docker0",
    "ip addr add 172.17.0.1/16 dev docker0",
    "ip addr add 192.0.2.201/24 dev docker0 noprefixroute",
    "ip link set docker0 up",
    *(
        line
        for number, name in enumerate(("192.0.2.1", "eth0.100", LONGEST, "four0", "down0"))
        for line in (
            f"ip link add '{name}' type veth peer name end{number}",
            f"ip link set end{number} up",
            f"ip link set '{name}' up",
        )
    ),
    "sysctl -qw net.ipv6.conf.four0.disable_ipv6=1",
    "ip link set down0 down",
    f"for i in $(seq 150); do ip addr add 10.77.0.$i/32 dev {LONGEST}; done",
    f"for i in $(seq 150); do ip addr add 2001:db8:77::$i/128 dev {LONGEST} nodad; done",
)


# A tunnel, whose other end is this process; it has a carrier as long as that lives.
_TUNNEL = """
import fcntl, signal, struct
device = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(device, 0x400454CA, struct.pack("16sH", b"tunnel0", 0x1001))  # TUNSETIFF, IFF_TUN
signal.pause()
"""


def run(host: Host, *lines: str) -> str:
    """Run a shell script on a host; return what it says."""
    return host.namespace.run("sh", "-ec", "\n".join(lines)).stdout


def tunnel_is_up(host: Host) -> bool:
    """Whether the tunnel was there to be brought up."""
    return host.exec("ip", "link", "set", "tunnel0", "up").returncode == 0


def all_held(node: Node, names: Iterable[str]) -> bool:
    """Whether a node is Active for all of these."""
    seen = {name: (states(node)[name], faults(node, name)) for name in names}
    assert seen == {name: ("Active", set()) for name in seen}, seen
    return True


def takes_no_part(node: Node, name: str, why: str) -> bool:
    """Whether a router is in Fault for one reason."""
    return states(node)[name] == "Fault" and faults(node, name) == {why}


@pytest.fixture(scope="module")
def home(odd: Lab) -> Node:
    return odd.node("node-1")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    path: Path = tmp_path_factory.mktemp("manifest") / "manifest.yaml"
    path.write_text(_manifest())
    options = LabOptions(nodes=2, standalone=(path,), start_speakers=False)
    for lab in lab_or_skip(options):
        switch = lab.lan.switch
        run_switch = partial(switch.run, "ip", "link")
        run_switch("add", "br1", "type", "bridge")
        run_switch("set", "br1", "up")
        for host in [node.host for node in lab.nodes] + [lab.client]:
            port = f"q{host.number}"
            run(host, f"ip link add eth1 type veth peer name {port} netns {switch.holder}",
                "ip link set eth1 up")  # fmt: skip
            run_switch("set", port, "master", "br1", "up")
        run(lab.client, "ip addr add 203.0.113.9/24 dev eth1",
            "ip addr add 2001:db8:9::9/64 dev eth1 nodad")  # fmt: skip
        for node in lab.nodes:
            run(node.host, *_ODD)
            node.host.namespace.start([sys.executable, "-c", _TUNNEL])
            eventually(partial(tunnel_is_up, node.host), within_s=10)
            node.start_speaker()
        yield lab


def all_work(lab: Lab, node: Node) -> bool:
    """Whether a node holds everything that can be held, and the others stand by."""
    for each in lab.nodes:
        seen = states(each)
        wanted = "Active" if each is node else "Backup"
        assert {name: seen[name] for name in (*WORKING, "bare")} == dict.fromkeys(
            (*WORKING, "bare"), wanted
        ), (each.name, seen)
    listed = run(node.host, "ip -o addr show")
    for name, (address, on, _) in WORKING.items():
        assert any(
            line.split()[1] == on and f" {address.partition('/')[0]}/32 " in line
            for line in listed.splitlines()
        ), name
    return True


def test_each_works_or_says_why(odd: Lab, home: Node) -> None:
    eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)
    for node in odd.nodes:
        why = {name: faults(node, name) for name in REFUSED}
        assert why == {name: {reason} for name, (_, _, reason) in REFUSED.items()}
        assert {states(node)[name] for name in REFUSED} == {"Fault"}


def test_address_is_answered_where_its_interface_has_none_of_its_network(
    odd: Lab, home: Node
) -> None:
    eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)
    for interface, address in (("eth0", SERVICE), ("eth1", BARE), ("eth1", BARE6)):
        with Probe(odd.client.namespace, interface, address, 0.05) as probe:
            probe.wait_answered(30)
    assert "proto 112" in run(home.host, "ip route show dev eth1")
    assert "proto 112" not in run(odd.node("node-2").host, "ip route show dev eth1")


_MENDED = (
    "ip addr add 198.51.100.{number}/24 dev eth1",
    "sysctl -qw net.ipv6.conf.four0.disable_ipv6=0",
    "ip link set down0 up",
    "ip link property add dev end4 altname eth7",
)
_BROKEN = (
    "ip addr del 198.51.100.{number}/24 dev eth1",
    "sysctl -qw net.ipv6.conf.four0.disable_ipv6=1",
    "ip link set down0 down",
    "ip link property del dev end4 altname eth7",
)


def test_what_was_refused_is_held_once_its_cause_is_gone(odd: Lab, home: Node) -> None:
    mended = REFUSED.keys() - {"of-containers"}
    hosts = [node.host for node in odd.nodes]
    for host in hosts:
        run(host, *(line.format(number=host.number) for line in _MENDED))
    eventually(partial(all_held, home, mended), within_s=60)
    for host in hosts:
        run(host, *(line.format(number=host.number) for line in _BROKEN))
    # Who holds stays on its interface without an own address there.
    for name in mended - {"elsewhere"}:
        eventually(partial(takes_no_part, home, name, REFUSED[name][2]), within_s=30)
    assert states(home)["elsewhere"] == "Active"
    eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)


def noticed(node: Node, *lines: str) -> None:
    """Change something, and wait until the engine has acted on news that came after it."""
    before = routers(node)["service"].addresses_restored
    run(node.host, *lines, f"ip addr del {SERVICE}/32 dev eth0")
    eventually(lambda: routers(node)["service"].addresses_restored > before, within_s=20)


def test_another_netmask_and_another_network_move_nothing(odd: Lab, home: Node) -> None:
    eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)
    own, before = home.host.address, transitions(odd.nodes)
    noticed(home, f"ip addr add {own}/23 brd + dev eth0", f"ip addr del {own}/24 dev eth0")
    noticed(home, f"ip addr add {own}/24 brd + dev eth0", f"ip addr del {own}/23 dev eth0")
    # A second interface in the subnet: for who begins there is no telling which is meant.
    noticed(home, "ip addr add 192.0.2.77/24 dev eth1 noprefixroute")
    compiled = Path(home.run_dir / "program.json").stat().st_mtime_ns
    noticed(home, "ip addr add 203.0.114.77/24 dev eth1")
    eventually(
        lambda: Path(home.run_dir / "program.json").stat().st_mtime_ns >= compiled, within_s=20
    )
    assert all_work(odd, home)
    assert transitions(odd.nodes) == before
    run(home.host, "ip addr del 192.0.2.77/24 dev eth1", "ip addr del 203.0.114.77/24 dev eth1")


def test_interface_that_goes_elsewhere_is_missed_and_comes_back(odd: Lab, home: Node) -> None:
    """Renamed while in use, and moved to another namespace."""
    eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)
    away = run(home.host, "unshare --net sleep infinity >/dev/null 2>&1 & echo $!").strip()
    try:
        own = os.stat(home.host.namespace.path).st_ino
        eventually(lambda: os.stat(f"/proc/{away}/ns/net").st_ino != own, within_s=20)
        run(home.host, "ip link set 192.0.2.1 down", "ip link set 192.0.2.1 name odd1")
        run(home.host, f"ip link set eth0.100 netns {away}")
        for name in ("like-an-address", "dotted"):
            eventually(partial(takes_no_part, home, name, "InterfaceNotFound"), within_s=20)
        run(home.host, "ip link set odd1 name 192.0.2.1", "ip link set 192.0.2.1 up")
        run(home.host, f"nsenter --net=/proc/{away}/ns/net ip link set eth0.100 netns "
            f"{home.host.namespace.holder}", "ip link set eth0.100 up")  # fmt: skip
        eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)
    finally:
        run(home.host, f"kill {away}")
    assert program(home)["dotted"]["faults"] == []
    assert addresses(home.host)["192.0.2.54"] == "eth0.100"


_NO_IPV6 = """
import errno, os, socket

class Socket(socket.socket):
    def __init__(self, family=-1, *more, **named):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        super().__init__(family, *more, **named)

socket.socket = Socket
"""


def test_node_without_ipv6_takes_part_over_ipv4(odd: Lab, home: Node, tmp_path: Path) -> None:
    """As with ipv6.disable=1; last, because it is not put back."""
    eventually(lambda: all_work(odd, home), within_s=60, every_s=0.2)
    node = odd.node("node-2")
    node.stop_speaker()
    run(node.host, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    (tmp_path / "sitecustomize.py").write_text(_NO_IPV6)
    node.start_speaker(under=("env", f"PYTHONPATH={tmp_path}"))
    eventually(partial(takes_no_part, node, "bare", "IPv6Disabled"), within_s=30)
    eventually(lambda: {states(node)[name] for name in WORKING} == {"Backup"}, within_s=30)
    home.stop_speaker()
    eventually(lambda: {states(node)[name] for name in WORKING} == {"Active"}, within_s=30)
