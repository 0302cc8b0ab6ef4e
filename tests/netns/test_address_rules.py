"""What the kernel makes of our addresses, and what they leave of the node's own.

The requests are those of programs; the kernel is the real one, with an interface for each case.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.conftest import cannot_run
from tests.eventually import eventually

from vrrp_lab.lan import Host, Lan
from vrrp_lab.namespaces import LabError

pytestmark = pytest.mark.netns

# What a program asks for an address, sent as the engine does: a line asks, the errno answers.
_REQUEST = """
import sys
from ipaddress import ip_address
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.programs.placing import _address
from vrrp_speaker.compiler.templates import link_templates
from vrrp_speaker.engine.network.netlink import RequestSocket
from vrrp_speaker.links.reading import read_links
from vrrp_speaker.links.templates import Kind

requests = RequestSocket()
for line in sys.stdin:
    what, interface, address, lease_s = line.split()
    host, _, prefix = address.partition("/")
    table = read_links()
    link = table.by_name(interface, "interface")
    placed = _address(VipAddress(host, int(prefix)), link, int(lease_s), table)
    kind = Kind(what + str(placed["family"]))
    asked = link_templates(link)[kind].fill(ip_address(host).packed, int(lease_s))
    print(requests.request(asked + bytes.fromhex(placed.get(what + "Route", ""))), flush=True)
"""


class Kernel:
    """A host's kernel, asked as the engine asks it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        command = [sys.executable, "-c", _REQUEST]
        self._asker = host.namespace.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def request(self, what: str, interface: str, address: str, lease_s: int = 60) -> None:
        """Add an address, or delete it."""
        assert self._asker.stdin is not None
        assert self._asker.stdout is not None
        self._asker.stdin.write(f"{what} {interface} {address} {lease_s}\n".encode())
        self._asker.stdin.flush()
        assert self._asker.stdout.readline() == b"0\n"


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    try:
        lan = Lan(2)
    except LabError as error:
        cannot_run(error)
    with lan:
        yield lan.hosts


@pytest.fixture(scope="module")
def kernel(hosts: list[Host]) -> Kernel:
    return Kernel(hosts[0])


def run(host: Host, *lines: str) -> str:
    """Run a shell script; return what it says."""
    return host.namespace.run("sh", "-ec", "\n".join(lines)).stdout


def add_interface(host: Host, name: str, *more: str) -> None:
    """Give a host an interface with a carrier, and no address but its link-local one."""
    run(host, f"ip link add {name} type veth peer name peer-{name}")
    run(host, *more, f"ip link set {name} up", f"ip link set peer-{name} up")


def source_to(host: Host, destination: str) -> str:
    """Return the address that the node would speak to a destination from."""
    words = run(host, f"ip route get {destination}").split()
    return words[words.index("src") + 1]


@pytest.mark.parametrize("promote", [0, 1])
def test_own_addresses_come_and_go_whether_we_hold_one_or_not(kernel: Kernel, promote: int) -> None:
    """RFC 9568 has nothing of it: the kernel's first address of a subnet carries all others."""
    host, name = kernel.host, f"own{promote}"
    sysctl = f"sysctl -qw net.ipv4.conf.{name}.promote_secondaries={promote}"
    add_interface(host, name, sysctl, f"ip addr add 198.51.100.11/24 dev {name}")
    kernel.request("add", name, "198.51.100.50/24")
    run(host, f"ip addr del 198.51.100.11/24 dev {name}")
    assert host.holds("198.51.100.50")
    run(host, f"ip addr add 198.51.100.11/24 dev {name}")
    assert "src 198.51.100.11" in run(host, f"ip route show 198.51.100.0/24 dev {name}")
    kernel.request("delete", name, "198.51.100.50/24")
    assert not host.holds("198.51.100.50")
    assert host.holds("198.51.100.11")
    assert "src 198.51.100.11" in run(host, f"ip route show 198.51.100.0/24 dev {name}")
    run(host, f"ip link del {name}")


def test_address_is_no_source_of_the_nodes_traffic_to_a_gateway_in_its_subnet(
    kernel: Kernel,
) -> None:
    """The node has a host prefix and its gateway on the link, as clouds and BGP fabrics do."""
    host = kernel.host
    add_interface(host, "edge", "ip addr add 198.51.100.11/32 dev edge")
    run(host, "ip route add 198.51.100.1 dev edge", "ip route add 8.8.8.8 via 198.51.100.1")
    kernel.request("add", "edge", "198.51.100.50/24")
    run(host, "ip route flush cache")
    assert source_to(host, "8.8.8.8") == "198.51.100.11"
    assert source_to(host, "198.51.100.1") == "198.51.100.11"
    # Who takes the first address of the interface takes the node's own.
    listed = run(host, "ip -4 -o addr show dev edge").splitlines()
    assert "198.51.100.11/32" in listed[0]
    # In IPv6 the kernel lists the newest first; whoever leaves out deprecated ones finds its own.
    run(host, "ip addr add 2001:db8:9::11/64 dev edge nodad")
    kernel.request("add", "edge", "2001:db8:9::50/64")
    assert source_to(host, "2001:db8:9::1") == "2001:db8:9::11"
    listed = run(host, "ip -6 -o addr show dev edge scope global -deprecated").splitlines()
    assert ["2001:db8:9::11/64" in line for line in listed] == [True]
    run(host, "ip link del edge")


@pytest.mark.parametrize(
    ("address", "another", "neighbour", "own"),
    [
        ("203.0.113.50/24", "203.0.113.51/24", "203.0.113.9", "203.0.113.11/24"),
        ("2001:db8:9::50/64", "2001:db8:9::51/64", "2001:db8:9::9", "2001:db8:9::11/64"),
    ],
    ids=["four", "six"],
)
def test_route_to_the_subnet_comes_with_the_address_where_nothing_else_brings_it(
    kernel: Kernel, address: str, another: str, neighbour: str, own: str
) -> None:
    host = kernel.host

    def way() -> str:
        """Return the entry of the table by which a neighbour is reached; empty without one."""
        return host.exec("ip", "route", "get", "fibmatch", neighbour).stdout

    add_interface(host, "bare", "sysctl -qw net.ipv6.conf.bare.accept_dad=0")
    for _ in range(2):  # the second time it is a renewal
        kernel.request("add", "bare", address)
        assert "dev bare proto 112" in way()
    kernel.request("add", "bare", another)
    kernel.request("delete", "bare", another)
    assert "dev bare proto 112" in way()  # each has its own
    kernel.request("delete", "bare", address)
    assert not way()
    # Where nobody lives to take it away it goes with the lease.
    kernel.request("add", "bare", address, 1)
    eventually(lambda: not way(), within_s=10)
    # The node's own is preferred when it comes, and stays when ours goes.
    kernel.request("add", "bare", address)
    run(host, f"ip addr add {own} dev bare")
    assert "dev bare proto kernel" in way()
    kernel.request("delete", "bare", address)
    assert "dev bare proto kernel" in way()
    run(host, "ip link del bare")


# VLANs -----------------------------------------------------------------------------------

_LISTEN = """
import select, socket
from vrrp_speaker.engine.neighbours.listening import Neighbours

neighbours = Neighbours()
neighbours.watch([socket.inet_aton("192.0.2.50")])
print("ready", flush=True)
while True:
    for descriptor in select.select(neighbours.filenos(), [], [])[0]:
        for sighting in neighbours.receive(descriptor):
            print(sighting.mac.hex(), flush=True)
            raise SystemExit
"""
_SAY = """
import socket, struct
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
address = socket.inet_aton("192.0.2.50")
for mac, tag in (("02005e0053aa", struct.pack("!HH", 0x8100, 200)), ("02005e0053bb", b"")):
    sender = bytes.fromhex(mac)
    arp = bytes.fromhex("0001080006040001") + sender + address + bytes(6) + address
    wire.send(bytes([255] * 6) + sender + tag + bytes.fromhex("0806") + arp + bytes(18))
"""


def test_frame_of_a_vlan_that_is_not_ours_is_no_sighting(hosts: list[Host]) -> None:
    """On a trunk port the kernel takes the tag away, and says only that it is for others."""
    listener = hosts[0].namespace.start([sys.executable, "-c", _LISTEN], stdout=-1)
    assert listener.stdout is not None
    with listener.stdout:
        assert listener.stdout.readline() == b"ready\n"
        assert hosts[1].exec(sys.executable, "-c", _SAY).returncode == 0
        assert listener.stdout.readline() == b"02005e0053bb\n"
    listener.wait(10)
