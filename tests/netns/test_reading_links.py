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
from vrrp_speaker.links.nature import Nature
from vrrp_speaker.links.reading import read_links

TENTATIVE = 0x40
def ip(*words): subprocess.run([b"ip", *(word.encode() for word in words)], check=True)
odd = [b"ip", b"link", b"add", b"name", b"od\\xffd", b"type", b"veth", b"peer", b"name", b"odd0"]
subprocess.run(odd, check=True)
ip("link", "add", "end9", "type", "veth", "peer", "name", "end8")
ip("link", "set", "end9", "up")
ip("addr", "add", "198.51.100.1", "peer", "198.51.100.9/24", "dev", "end9")
ip("addr", "add", "2001:db8:9::1/64", "dev", "end9", "nodad")
ip("addr", "add", "2001:db8:9::2/64", "dev", "end9")  # tentative, as the link has no carrier
Path("/proc/sys/net/ipv6/conf/end9/forwarding").write_text("1")
ours = add_request(VipAddress("203.0.113.7", 28), read_links().by_name("end9", ""), 60)
assert RequestSocket().request(ours) == 0

with IPRoute() as ipr:
    wanted = {}
    for link in ipr.get_links():
        name = link.get_attr("IFLA_IFNAME")
        name = name if isinstance(name, str) else name.decode(errors="backslashreplace")
        parts = (link.get_attr("IFLA_ADDRESS") or "").split(":")
        parts = parts if name != "lo" else []  # has no neighbours to tell
        mac = bytes(int(part, 16) for part in parts) if len(parts) == 6 else b""
        wanted[link["index"]] = (name, mac, set())
    for address in ipr.get_addr():
        if address.get_attr("IFA_FLAGS") & TENTATIVE:
            continue
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
own = {text for link in found.values() for text, *_ in link[2]}
assert "2001:db8:9::1" in own and "2001:db8:9::2" not in own, own
assert ("203.0.113.7", 32, 112) in set().union(*(link[2] for link in found.values()))

# What they are: kinds, ports, other names, and the settings of the kernel that matter.
settings = Path("/proc/sys/net")
(settings / "ipv4/conf/end9/arp_ignore").write_text("1")
(settings / "ipv6/conf/end8/disable_ipv6").write_text("1")
ip("link", "add", "br9", "type", "bridge")
ip("link", "set", "odd0", "master", "br9")
ip("link", "set", "end8", "arp", "off")
for other in ("uplink", "a-name-that-is-longer-than-an-interface-may-have"):
    ip("link", "property", "add", "dev", "end9", "altname", other)

def setting(path):
    return int((settings / path).read_text())

def natures():
    quiet = setting("ipv4/conf/all/arp_ignore")
    with IPRoute() as ipr:
        for link in ipr.get_links():
            name = link.get_attr("IFLA_IFNAME")
            if isinstance(name, bytes):
                continue  # no path of a setting either
            info, names = link.get_attr("IFLA_LINKINFO"), link.get_attr("IFLA_PROP_LIST")
            yield name, Nature(
                kind=info.get_attr("IFLA_INFO_KIND") if info else "",
                resolves=not link["flags"] & (0x8 | 0x10 | 0x80),
                other_names=tuple(names.get_attrs("IFLA_ALT_IFNAME")) if names else (),
                master=link.get_attr("IFLA_MASTER") or 0,
                quiet=max(quiet, setting(f"ipv4/conf/{name}/arp_ignore")) in (1, 2, 8),
                has_ipv6=not setting(f"ipv6/conf/{name}/disable_ipv6"),
            )

for quiet in "02":
    (settings / "ipv4/conf/all/arp_ignore").write_text(quiet)
    found = {link.name: link.nature for link in read_links().links}
    wanted = dict(natures())
    assert {name: found[name] for name in wanted} == wanted, (found, wanted)
assert (found["end8"].has_ipv6, found["end9"].has_ipv6) == (False, True)
assert (found["odd0"].kind, found["br9"].kind, found["lo"].kind) == ("veth", "bridge", "")
assert found["odd0"].master and not found["lo"].resolves and not found["end8"].resolves
assert "uplink" in found["end9"].other_names
assert read_links().by_name("uplink", "interface").name == "end9"
routes = {link.name: link.forwarding for link in links}
assert routes["end9"] and not routes["lo"], routes
"""


def test_links_are_read_as_pyroute2_reads_them(lan: Lan) -> None:
    done = lan.hosts[0].exec(sys.executable, "-c", _COMPARE)
    assert done.returncode == 0, done.stderr
