"""pyroute2's home: reads the links of this namespace, encodes address requests without sending."""

from __future__ import annotations

import socket
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.links import ADDRESS_PROTOCOL, Link, LinkAddress, LinkTable

_IFA_F_NODAD = 0x02
_IFA_F_NOPREFIXROUTE = 0x200
_IFNAMSIZ = 16
_LABEL_SUFFIX = ":vrrp"


def read_links() -> LinkTable:
    """Return the links and addresses of the current network namespace."""
    with IPRoute() as ipr:
        addresses: dict[int, list[LinkAddress]] = {}
        for message in ipr.get_addr():
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            protocol = message.get_attr("IFA_PROTO") or 0
            found = LinkAddress(text, message["prefixlen"], protocol)
            addresses.setdefault(message["index"], []).append(found)
        return LinkTable(
            tuple(
                Link(
                    index=message["index"],
                    name=_name(message.get_attr("IFLA_IFNAME")),
                    mac=_mac(message.get_attr("IFLA_ADDRESS")),
                    addresses=tuple(addresses.get(message["index"], ())),
                    forwarding=_forwards(_name(message.get_attr("IFLA_IFNAME"))),
                )
                for message in ipr.get_links()
            )
        )


def _name(found: str | bytes) -> str:
    """Return a link's name as text; pyroute2 has bytes where it is no UTF-8."""
    return found if isinstance(found, str) else found.decode(errors="backslashreplace")


def _forwards(name: str) -> bool:
    """Return whether the kernel routes IPv6 on this link (ip-sysctl, conf/*/forwarding)."""
    try:
        return Path(f"/proc/sys/net/ipv6/conf/{name}/forwarding").read_text().strip() != "0"
    except OSError:
        return False  # no IPv6 here, or the link went just now


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
    message["prefixlen"] = address.prefix_length
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


def _mac(text: str | None) -> bytes:
    parts = (text or "").split(":")
    return bytes(int(part, 16) for part in parts) if len(parts) == 6 else b""
