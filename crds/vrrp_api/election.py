"""How an election is run: what VirtualIP and NodeConfig say of it in the same words."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Any

from vrrp_api.duration import format_duration
from vrrp_api.fields import Fields
from vrrp_api.former import renamed

DEFAULT_VERSION = 3
DEFAULT_INTERVAL = "200ms"
DEFAULT_DOWN_ADVERTISEMENTS = 3
MAX_EXTERNAL_PEERS = 16
TTL = 255
CHECKSUMS = ("Auto", "MessageOnly", "PseudoHeader")
REQUIRE_MAJORITY = "RequireMajority"
AUTHENTICATION_TYPES = ("HMAC", "Simple", "None")
AUTHENTICATION_MODES = ("Enforce", "Permissive", "ReceiveOnly")
ELECTION_KEY_STAGES = ("Accept", "Sign", "Require")

MIN_REFRESH_NS = 1_000_000_000
"""A round a second tells a LAN all that more of them would."""

_CENTISECOND_NS = 10_000_000
_SECOND_NS = 1_000_000_000
_KEY_REF = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Transport:
    """How advertisements travel; ``external_peers`` are routers outside the cluster."""

    multicast: bool = False
    external_peers: tuple[str, ...] = ()
    ttl_send: int = TTL
    ttl_accept_minimum: int = TTL
    checksum: str = "Auto"


@dataclass(frozen=True, slots=True)
class Preemption:
    """Whether a better node that comes back takes the addresses, and how long it waits first."""

    preempt: bool = True
    delay_ns: int = 0


@dataclass(frozen=True, slots=True)
class Announcements:
    """How often the node with the addresses tells the LAN; 0 ns of the two durations: never."""

    burst: int = 5
    repeat_after_ns: int = 5_000_000_000
    refresh_ns: int = 60_000_000_000

    def to_object(self) -> dict[str, Any]:
        """Return the API form, every default written out."""
        return {
            "burst": self.burst,
            "repeatAfter": format_duration(self.repeat_after_ns),
            "refresh": format_duration(self.refresh_ns),
        }


@dataclass(frozen=True, slots=True)
class Authentication:
    """How advertisements are signed; ``key_ref`` names a key of the speaker's key folder.

    ``election_key``: how far the election has come with a key of its own, Accept, Sign or Require;
    None: it has none. Said by a NodeConfig only.
    """

    type: str
    key_ref: str | None = None
    mode: str = "Enforce"
    election_key: str | None = None


PLAIN = Authentication("None")
DEFAULT_ANNOUNCEMENTS = Announcements()


@dataclass(frozen=True, slots=True)
class ElectionSpec:
    """The parameters of one election.

    The interval is 10 ms to 40.95 s in 10 ms steps, in version 2 whole seconds from 1 to 255.
    ``authentication`` None: not said; the operator decides.
    """

    version: int = DEFAULT_VERSION
    advertisement_interval_ns: int = 200_000_000
    down_advertisements: int = DEFAULT_DOWN_ADVERTISEMENTS
    transport: Transport = Transport()
    preemption: Preemption = Preemption()
    authentication: Authentication | None = None

    def authenticated(self, authentication: Authentication) -> ElectionSpec:
        """Return the same election with this authentication."""
        return replace(self, authentication=authentication)

    def with_own_key(self, stage: str) -> ElectionSpec:
        """Return the same election, so far with a key of its own; it must be signed with HMAC."""
        assert self.authentication is not None
        return self.authenticated(replace(self.authentication, election_key=stage))

    def to_object(self) -> dict[str, Any]:
        """Return the API form, every default written out."""
        item: dict[str, Any] = {
            "version": self.version,
            "advertisementInterval": format_duration(self.advertisement_interval_ns),
            "downAdvertisements": self.down_advertisements,
            "transport": _transport_object(self.transport),
            "preemption": {
                "mode": "Always" if self.preemption.preempt else "Never",
                "delay": format_duration(self.preemption.delay_ns),
            },
        }
        if self.authentication is not None:
            item["authentication"] = _authentication_object(self.authentication)
        return item


def may_have_own_key(election: ElectionSpec) -> bool:
    """Return whether an election, as a user asks for it, has a key of its own with a default key.

    One that names its authentication has the key it names; routers outside do not know a derived
    one, and version 2 stays as others speak it.
    """
    transport = election.transport
    return (
        election.authentication is None and election.version == 3 and not transport.external_peers
    )


def is_key_ref(text: str) -> bool:
    """Return whether a text can name a key: it must be a DNS label."""
    return _KEY_REF.fullmatch(text) is not None


def parse_election(fields: Fields, family: int, *, resolved: bool = False) -> ElectionSpec:
    """Read an election's fields from an object that holds others too.

    Args:
        fields: a VirtualIP's spec or a virtual router of a NodeConfig.
        family: 4 or 6, that of the first address: the election runs over it.
        resolved: it is a NodeConfig, which says more of authentication than users do.

    Raises:
        FieldError: the first wrong field; the rules are those of the CRD's schema.
    """
    version = fields.integer("version", 2, 3, DEFAULT_VERSION)
    if version == 2 and family == 6:
        raise fields.error("version", "must be 3 when the first address is IPv6")
    transport = _transport(fields, version, family)
    authentication = _authentication(fields, version, resolved)
    has_own_key = authentication is not None and authentication.election_key is not None
    if has_own_key and (version == 2 or transport.external_peers):
        message = "must be without electionKey in version 2 and with transport.externalPeers"
        raise fields.error("authentication", message)
    return ElectionSpec(
        version=version,
        advertisement_interval_ns=_interval(fields, version),
        down_advertisements=fields.integer(
            "downAdvertisements", 1, 100, DEFAULT_DOWN_ADVERTISEMENTS
        ),
        transport=transport,
        preemption=_preemption(fields),
        authentication=authentication,
    )


def parse_announcements(fields: Fields, *, lenient: bool = False) -> Announcements:
    """Read ``announcements`` of a VirtualIP's spec or of a virtual router of a NodeConfig.

    Args:
        fields: the object that holds them.
        lenient: it was written when a faster refresh than today's fastest one was accepted: as
            that it counts.

    Raises:
        FieldError: the first wrong field.
    """
    announcements = fields.child("announcements")
    if announcements is None:
        return DEFAULT_ANNOUNCEMENTS
    refresh_ns = announcements.duration("refresh", "0s", "1h", "60s")
    if 0 < refresh_ns < MIN_REFRESH_NS:
        if not lenient:
            raise announcements.error("refresh", "must be 0s, or a duration from 1s to 1h")
        refresh_ns = MIN_REFRESH_NS
    parsed = Announcements(
        burst=announcements.integer("burst", 1, 100, 5),
        repeat_after_ns=announcements.duration("repeatAfter", "0s", "1h", "5s"),
        refresh_ns=refresh_ns,
    )
    announcements.done()
    return parsed


def parse_split_brain_policy(fields: Fields) -> bool:
    """Return whether a node takes part only while most candidates answer."""
    policies = ("PreferAvailability", REQUIRE_MAJORITY)
    return fields.choice("splitBrainPolicy", policies, policies[0]) == REQUIRE_MAJORITY


def _interval(fields: Fields, version: int) -> int:
    key = "advertisementInterval"
    if version == 2:
        if not fields.has(key):
            message = f"must be given in version 2, as 1s (the default is {DEFAULT_INTERVAL})"
            raise fields.error(key, message)
        interval_ns = fields.duration(key, "1s", "255s", DEFAULT_INTERVAL)
        if interval_ns % _SECOND_NS:
            raise fields.error(key, "must be whole seconds in version 2")
        return interval_ns
    interval_ns = fields.duration(key, "10ms", "40.95s", DEFAULT_INTERVAL)
    if interval_ns % _CENTISECOND_NS:
        raise fields.error(key, "must be a multiple of 10ms")
    return interval_ns


def _transport(fields: Fields, version: int, family: int) -> Transport:
    transport = fields.child("transport")
    if transport is None:
        return Transport()
    multicast = transport.choice("mode", ("Unicast", "Multicast"), "Unicast") == "Multicast"
    checksum = transport.choice("checksum", CHECKSUMS, "Auto")
    if checksum != "Auto" and (version, family) != (3, 4):
        raise transport.error("checksum", "must be Auto: only version 3 over IPv4 has two forms")
    external_peers = _external_peers(transport, family)
    if external_peers and multicast:
        message = "must be absent in mode Multicast, where every router of the link takes part"
        raise transport.error("externalPeers", message)
    ttl = transport.child("ttl")
    send, accept_minimum = TTL, TTL
    if ttl is not None:
        send, accept_minimum = (ttl.integer(key, 1, TTL, TTL) for key in ("send", "acceptMinimum"))
        ttl.done()
    transport.done()
    return Transport(multicast, external_peers, send, accept_minimum, checksum)


def _external_peers(transport: Fields, family: int) -> tuple[str, ...]:
    peers: list[str] = []
    for text in transport.texts("externalPeers", 0, MAX_EXTERNAL_PEERS):
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise transport.error("externalPeers", f"{text!r} is not an IP address") from error
        if address.version != family:
            message = f"{text!r} is not of the first address's family, IPv{family}"
            raise transport.error("externalPeers", message)
        if not _is_routable(address) or "%" in text:
            raise transport.error("externalPeers", f"{text!r} is not a routable unicast address")
        if str(address) in peers:
            raise transport.error("externalPeers", f"{text!r} is listed twice")
        peers.append(str(address))
    return tuple(peers)


def _is_routable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return what the schema's ``isGlobalUnicast`` does."""
    return not (
        address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or address.is_loopback
        or str(address) == "255.255.255.255"
    )


def _preemption(fields: Fields) -> Preemption:
    preemption = fields.child("preemption")
    if preemption is None:
        return Preemption()
    preempt = preemption.choice("mode", ("Always", "Never"), "Always") == "Always"
    delay_ns = preemption.duration("delay", "0s", "1000s", "0s")
    if delay_ns and not preempt:
        raise preemption.error("delay", "must be 0s in mode Never, which never preempts")
    preemption.done()
    return Preemption(preempt, delay_ns)


def _authentication(fields: Fields, version: int, resolved: bool) -> Authentication | None:
    authentication = fields.child("authentication")
    if authentication is None:
        return None
    kind = authentication.choice("type", AUTHENTICATION_TYPES)
    named = "keyRef" if resolved else renamed(authentication, "keyName", "keyRef")
    key_ref = authentication.optional_text(named)
    mode = authentication.choice("mode", AUTHENTICATION_MODES, "Enforce")
    if kind == "Simple" and version != 2:
        raise authentication.error("type", "must be HMAC or None in version 3")
    if (key_ref is None) != (kind == "None"):
        raise authentication.error(named, "must be given for HMAC and Simple, and for no other")
    if key_ref is not None and not is_key_ref(key_ref):
        raise authentication.error(named, "must be a DNS label, as cluster")
    if kind != "HMAC" and mode != "Enforce":
        raise authentication.error("mode", "must be Enforce or absent unless type is HMAC")
    stage = None
    if resolved and authentication.has("electionKey"):
        stage = authentication.choice("electionKey", ELECTION_KEY_STAGES)
        if (kind, mode) != ("HMAC", "Enforce"):
            raise authentication.error("electionKey", "must be absent unless HMAC is enforced")
    authentication.done()
    return Authentication(kind, key_ref, mode, stage)


def _transport_object(transport: Transport) -> dict[str, Any]:
    item: dict[str, Any] = {
        "mode": "Multicast" if transport.multicast else "Unicast",
        "ttl": {"send": transport.ttl_send, "acceptMinimum": transport.ttl_accept_minimum},
        "checksum": transport.checksum,
    }
    if transport.external_peers:
        item["externalPeers"] = list(transport.external_peers)
    return item


def _authentication_object(authentication: Authentication) -> dict[str, Any]:
    item = {"type": authentication.type}
    if authentication.key_ref is not None:
        item["keyRef"] = authentication.key_ref
    if authentication.type == "HMAC":
        item["mode"] = authentication.mode
    if authentication.election_key is not None:
        item["electionKey"] = authentication.election_key
    return item
