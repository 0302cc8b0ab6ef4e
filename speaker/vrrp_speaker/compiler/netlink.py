"""pyroute2's home: encodes address requests without sending them."""

from __future__ import annotations

import socket

from vrrp_speaker.compiler.parts import parts_alone

with parts_alone("pyroute2"):
    from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST
    from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.links.subnet_route import host_prefix
from vrrp_speaker.links.table import ADDRESS_PROTOCOL, Link

_IFA_F_NODAD = 0x02
_IFA_F_NOPREFIXROUTE = 0x200
_IFNAMSIZ = 16
_LABEL_SUFFIX = ":vrrp"


def add_request(address: VipAddress, link: Link, lease_s: int) -> bytes:
    """Return the request that binds an address, or renews its lease.

    Preferred lifetime 0 and no prefix route: nothing on the node adopts it as its own address.
    """
    message = _address_message(RTM_NEWADDR, address, link)
    flags = _IFA_F_NOPREFIXROUTE | (_IFA_F_NODAD if address.family == 6 else 0)
    message["attrs"] += [
        ("IFA_FLAGS", flags),
        ("IFA_CACHEINFO", {"ifa_preferred": 0, "ifa_valid": lease_s, "cstamp": 0, "tstamp": 0}),
        ("IFA_PROTO", ADDRESS_PROTOCOL),
    ]
    if address.family == 4:
        message["attrs"].append(("IFA_LABEL", _label(link.name)))
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
    return _encode(message, flags)


def delete_request(address: VipAddress, link: Link) -> bytes:
    """Return the request that removes an address."""
    return _encode(_address_message(RTM_DELADDR, address, link), NLM_F_REQUEST | NLM_F_ACK)


def _address_message(kind: int, address: VipAddress, link: Link) -> ifaddrmsg:
    message = ifaddrmsg()
    message["header"]["type"] = kind
    message["family"] = socket.AF_INET6 if address.family == 6 else socket.AF_INET
    message["prefixlen"] = host_prefix(address)
    message["index"] = link.index
    message["attrs"] = [("IFA_LOCAL", address.address), ("IFA_ADDRESS", address.address)]
    return message


def _encode(message: ifaddrmsg, flags: int) -> bytes:
    message["header"]["flags"] = flags
    message["header"]["sequence_number"] = 0
    message["header"]["pid"] = 0
    message.encode()
    return bytes(message.data)


def _label(interface: str) -> str:
    """Return the label that shows in ``ip addr``; it must begin with the interface's name."""
    label = interface + _LABEL_SUFFIX
    return label if len(label) < _IFNAMSIZ else interface


def decoded_request(request: bytes) -> tuple[str, int, int | None]:
    """Return address, prefix length and valid lifetime of a request, as pyroute2 reads it.

    The lifetime is None where it has none.
    """
    message = ifaddrmsg(request)
    message.decode()
    lifetimes = message.get_attr("IFA_CACHEINFO")
    lifetime_s = lifetimes["ifa_valid"] if lifetimes else None
    return message.get_attr("IFA_LOCAL"), message["prefixlen"], lifetime_s
