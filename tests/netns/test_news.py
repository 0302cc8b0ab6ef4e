"""What the engine hears of addresses: everything but the leases that it renewed itself."""

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
from vrrp_speaker.engine.network.netlink import NewsSocket, RequestSocket
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
