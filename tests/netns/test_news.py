"""What the engine hears of links and addresses: not what it did itself, nor what pods do."""

from __future__ import annotations

import json
import sys

import pytest

from vrrp_lab.lan import Lan

pytestmark = pytest.mark.netns
# Bind and remove by one socket, bind again and renew by the other; tell what was heard each time.
_BIND_AND_RENEW = """
import json, socket
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.netlink import add_request, delete_request
from vrrp_speaker.engine.network.netlink import RequestSocket
from vrrp_speaker.engine.network.news import NewsSocket
from vrrp_speaker.links.reading import read_links

news, requests, renewals = NewsSocket(), RequestSocket(), RequestSocket()
news.pass_over_bound_by(renewals)
link = read_links().by_name("eth0", "interface")
address = VipAddress("192.0.2.50", 24)
add, delete = add_request(address, link, 5), delete_request(address, link)

def heard():
    found = []
    while (batch := news.receive()) is not None:
        found += [item.present for item in batch]
    return found

steps = [(requests, add), (renewals, add), (renewals, add), (requests, add), (renewals, delete)]
answers = []
for asked, message in steps:
    assert asked.request(message) == 0
    answers.append(heard())
print(json.dumps(answers))
"""


def test_renewed_leases_are_no_news_and_everything_else_is(lan: Lan) -> None:
    done = lan.hosts[0].exec(sys.executable, "-c", _BIND_AND_RENEW)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[True], [], [], [True], [False]]


# What the kernel keeps back of what happens on a node with pods: each step with what was heard.
_ATTEND = """
import json, socket, subprocess
from vrrp_speaker.engine.network.netlink import LinkNews
from vrrp_speaker.engine.network.news import NewsSocket
from vrrp_speaker.engine.network.news_filter import Attention

def ip(*lines):
    subprocess.run(["ip", "-batch", "-"], input="\\n".join(lines), text=True, check=True)

def heard():
    found = set()
    while (batch := news.receive()) is not None:
        for item in batch:
            if isinstance(item, LinkNews):
                found.add(item.name)
            else:
                family = socket.AF_INET if len(item.address) == 4 else socket.AF_INET6
                found.add(socket.inet_ntop(family, item.address))
    return sorted(found)

def packed(*texts):
    families = (socket.AF_INET6 if ":" in text else socket.AF_INET for text in texts)
    return frozenset(map(socket.inet_pton, families, texts))

def packed1(text):
    return next(iter(packed(text)))

news, eth0 = NewsSocket(), socket.if_nametoindex("eth0")
ours = packed("192.0.2.50", "2001:db8::50", "fe80::50")
nets = frozenset({(packed1("10.7.0.0"), 16), (packed1("2001:db8:7::"), 56)})
used = Attention(frozenset({eth0}), ours, nets)
add, up = "link add pod0 type veth peer name pod1", "link set pod0 up"
steps = {
    "a pod": (used, add, up, "link set pod1 up", "addr add fe80::7/64 dev pod0 nodad",
              "addr add 10.1.2.3/32 dev pod0", "addr add 2001:db8:9::7/128 dev pod0 nodad",
              "addr del 10.1.2.3/32 dev pod0", "link set pod0 down", "link del pod0"),
    "ours at a pod": (used, add, up, "link set pod1 up", "addr add 192.0.2.50/32 dev pod0",
                      "addr add 2001:db8::50/128 dev pod0 nodad",
                      "addr add fe80::50/64 dev pod0 nodad"),
    "another subnet": (used, "addr add 198.51.100.1/24 dev pod0",
                       "addr add 2001:db8:8::1/64 dev pod0 nodad"),
    "in a network of ours": (used, "addr add 10.7.255.1/32 dev pod0",
                             "addr add 2001:db8:7:ff::1/128 dev pod0 nodad"),
    "a link that is used": (used, "link set eth0 mtu 1400", "addr add 10.9.9.9/32 dev eth0"),
    "no pod's link": (used, "link add lan9 type bridge"),
    "any link": (Attention(frozenset({eth0}), ours, nets, all_links=True),
                 "link set pod0 mtu 1400"),
    "many of each": (Attention(frozenset(range(10**6, 10**6 + 65)),
                               frozenset(i.to_bytes(4) for i in range(301))),
                     "addr add 10.9.9.8/32 dev eth0", "link set pod0 mtu 1300"),
    "no more": (used, "link del pod0"),
}
answers = {}
for name, (attention, *lines) in steps.items():
    news.attend(attention)
    ip(*lines)
    answers[name] = heard()
print(json.dumps(answers))
"""


def test_what_pods_do_is_kept_back_by_the_kernel_and_what_matters_is_not(lan: Lan) -> None:
    done = lan.hosts[0].exec(sys.executable, "-c", _ATTEND)
    assert done.returncode == 0, done.stderr
    ours = ["192.0.2.50", "2001:db8::50", "fe80::50"]
    assert json.loads(done.stdout) == {
        "a pod": [],
        "ours at a pod": ours,
        "another subnet": ["198.51.100.1", "2001:db8:8::1"],
        "in a network of ours": ["10.7.255.1", "2001:db8:7:ff::1"],
        "a link that is used": ["10.9.9.9", "eth0"],
        "no pod's link": ["lan9"],
        "any link": ["pod0"],
        "many of each": ["10.9.9.8", "pod0"],
        "no more": [
            "10.7.255.1",
            *ours[:1],
            "198.51.100.1",
            "2001:db8:7:ff::1",
            "2001:db8:8::1",
            *ours[1:],
        ],
    }
