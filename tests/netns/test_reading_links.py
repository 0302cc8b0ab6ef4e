"""The speaker's own look at the links of a node, with pyroute2 as the second opinion."""

from __future__ import annotations

import sys

import pytest

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
# Links, the name of one of which is no text; addresses of both families, marked ones too.
_COMPARE = """
import subprocess
from pathlib import Path
from pyroute2 import IPRoute
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.netlink import add_request
from vrrp_speaker.engine.network.netlink import RequestSocket
from vrrp_speaker.links.reading import read_links

def ip(*words): subprocess.run([b"ip", *(word.encode() for word in words)], check=True)
odd = [b"ip", b"link", b"add", b"name", b"od\\xffd", b"type", b"veth", b"peer", b"name", b"odd0"]
subprocess.run(odd, check=True)
ip("link", "add", "end9", "type", "veth", "peer", "name", "end8")
ip("link", "set", "end9", "up")
ip("addr", "add", "198.51.100.1", "peer", "198.51.100.9/24", "dev", "end9")
ip("addr", "add", "2001:db8:9::1/64", "dev", "end9", "nodad")
Path("/proc/sys/net/ipv6/conf/end9/forwarding").write_text("1")
ours = add_request(VipAddress("203.0.113.7", 28), read_links().by_name("end9", ""), 60)
assert RequestSocket().request(ours) == 0

with IPRoute() as ipr:
    wanted = {}
    for link in ipr.get_links():
        name = link.get_attr("IFLA_IFNAME")
        name = name if isinstance(name, str) else name.decode(errors="backslashreplace")
        parts = (link.get_attr("IFLA_ADDRESS") or "").split(":")
        mac = bytes(int(part, 16) for part in parts) if len(parts) == 6 else b""
        wanted[link["index"]] = (name, mac, set())
    for address in ipr.get_addr():
        text = address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
        mark = address.get_attr("IFA_PROTO") or 0
        wanted[address["index"]][2].add((text, address["prefixlen"], mark))
links = read_links().links
found = {
    link.index: (
        link.name,
        link.mac,
        {(own.address, own.prefix_length, own.protocol) for own in link.addresses},
    )
    for link in links
}
assert found == wanted, (found, wanted)
assert ("203.0.113.7", 32, 112) in set().union(*(link[2] for link in found.values()))
routes = {link.name: link.forwarding for link in links}
assert routes["end9"] and not routes["lo"], routes
"""


def test_links_are_read_as_pyroute2_reads_them(lan: Lan) -> None:
    done = lan.hosts[0].exec(sys.executable, "-c", _COMPARE)
    assert done.returncode == 0, done.stderr
