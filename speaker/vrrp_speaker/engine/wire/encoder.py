"""One Virtual Router's advertisements as bytes, ready before they are needed.

Without a signature a whole message is encoded once for each priority and destination. A signature
is new each time, because its sequence is; over IPv4 the rest of the message stays.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from vrrp.authentication import HmacKeys, Mode, SignatureClock, SimplePassword, Stage, sign
from vrrp.constants import (
    AUTH_TYPE_NONE,
    AUTH_TYPE_SIMPLE,
    NS_PER_CENTISECOND,
    VERSION_3,
    Family,
)
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    checksum_cover,
    encode_message,
    seal_message,
)
from vrrp_speaker.engine.programs.fields import ADDRESS_FAMILIES
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.wire.transport import Route

Copies = tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class _Destination:
    """One receiver, as the socket wants it and packed, and the checksum form it is sent."""

    text: str
    packed: bytes
    form: ChecksumForm


@dataclass(slots=True)
class Encoder:
    """Encodes for one program; a router whose program changes goes on with ``follow``."""

    program: RouterProgram
    route: Route = field(init=False)
    """How they leave."""
    _destinations: list[_Destination] = field(init=False)
    _listed: int = field(init=False)
    """How many of them, the first ones, the program names."""
    _messages: dict[int, bytes] = field(default_factory=dict)
    _sealed: dict[int, Copies] = field(default_factory=dict)

    def __post_init__(self) -> None:
        program = self.program
        ifindex = program.ifindex if program.multicast else 0
        self.route = Route(program.family, program.source, ifindex, program.ttl_send)
        # No peers means alone, never multicast.
        receivers = [(peer.address, peer.external) for peer in program.peers]
        if program.multicast:
            receivers = [(program.family.group, True)]
        self._destinations = [self._destination(*receiver) for receiver in receivers]
        self._listed = len(receivers)

    def _destination(self, packed: bytes, external: bool) -> _Destination:
        text = socket.inet_ntop(ADDRESS_FAMILIES[self.program.family], packed)
        return _Destination(text, packed, _first_form(self.program, external))

    def reach(self, learned: Iterable[bytes]) -> None:
        """Send to these beside the receivers that the program names; what was heard stays."""
        known = {to.packed: to for to in self._destinations[self._listed :]}
        self._destinations[self._listed :] = [
            known.get(packed) or self._destination(packed, False) for packed in learned
        ]
        self._sealed.clear()

    def follow(self, program: RouterProgram) -> Encoder:
        """Return the encoder for another program of the router; what was heard of peers stays.

        A Backup is silent: its form would not be learned again before it has taken over.
        """
        heir = Encoder(program)
        listed = {destination.packed for destination in heir._destinations}
        learned = (to.packed for to in self._destinations[self._listed :])
        heir.reach(packed for packed in learned if packed not in listed)
        if (program.checksum, program.version) == (self.program.checksum, self.program.version):
            forms = {destination.packed: destination.form for destination in self._destinations}
            for destination in heir._destinations:
                destination.form = forms.get(destination.packed, destination.form)
        return heir

    def prepare(self, *priorities: int) -> None:
        """Encode what a failover needs before it needs it, and forget other priorities."""
        self._messages.clear()
        self._sealed.clear()
        for priority in priorities:
            self._copies(priority)

    def encode(self, priority: int, clock: SignatureClock, now_ns: int, wall_ns: int) -> Copies:
        """Return one message for each destination, or two where all is signed with two keys.

        Args:
            priority: 0 releases.
            clock: gives the sequence of a signature.
            now_ns: monotonic clock.
            wall_ns: wall clock.
        """
        keys = self.program.authentication
        if not isinstance(keys, HmacKeys) or keys.mode is Mode.RECEIVE_ONLY:
            return self._copies(priority)
        message = self._message(priority)
        source = self.program.source
        trailer = sign(keys, message, source, clock.next(now_ns, wall_ns))
        signed = self._signed(priority, message, trailer)
        if keys.stage is not Stage.BOTH:
            return signed
        trailer = sign(keys, message, source, clock.next(now_ns, wall_ns), shared=True)
        return (*signed, *self._signed(priority, message, trailer))

    def _signed(self, priority: int, message: bytes, trailer: bytes) -> Copies:
        if self.program.family is Family.IPV6:
            return self._seal(message, trailer)
        return tuple((text, sealed + trailer) for text, sealed in self._copies(priority))

    def heard(self, source: bytes, form: ChecksumForm) -> None:
        """With checksum Auto, send a peer the form that it sends: it may accept no other."""
        program = self.program
        if program.checksum != "Auto" or (program.version, program.family) != (VERSION_3, 4):
            return
        wanted = form if form is ChecksumForm.MESSAGE_ONLY else ChecksumForm.PSEUDO_HEADER
        for destination in self._destinations:
            if destination.form is not wanted and (
                program.multicast or destination.packed == source
            ):
                destination.form = wanted
                self._sealed.clear()

    def _copies(self, priority: int) -> Copies:
        copies = self._sealed.get(priority)
        if copies is None:
            copies = self._sealed[priority] = self._seal(self._message(priority), b"")
        return copies

    def _seal(self, message: bytes, trailer: bytes) -> Copies:
        source = self.program.source
        return tuple(
            (
                to.text,
                seal_message(
                    message,
                    checksum_cover(to.form, source, to.packed, len(message), trailer),
                    trailer,
                ),
            )
            for to in self._destinations
        )

    def _message(self, priority: int) -> bytes:
        message = self._messages.get(priority)
        if message is None:
            message = self._messages[priority] = encode_message(
                _advertisement(self.program, priority)
            )
        return message


def _advertisement(program: RouterProgram, priority: int) -> Advertisement:
    addresses = advertised_addresses(program)
    interval_cs = program.adver_interval_ns // NS_PER_CENTISECOND
    password = program.authentication
    if isinstance(password, SimplePassword):
        auth_type, auth_data = AUTH_TYPE_SIMPLE, password.data
    else:
        auth_type, auth_data = AUTH_TYPE_NONE, bytes(8)
    return Advertisement(
        program.version, program.vrid, priority, interval_cs, addresses, auth_type, auth_data
    )


def advertised_addresses(program: RouterProgram) -> tuple[bytes, ...]:
    """Return the addresses of the election's family; the others are carried along unnamed."""
    length = program.family.address_length
    return tuple(a.address for a in program.addresses if len(a.address) == length)


def _first_form(program: RouterProgram, external: bool) -> ChecksumForm:
    """Return what to send before anything was heard.

    Auto: RFC 9568's form among ourselves; to others the pseudo-header, which keepalived and FRR
    insist on by default.
    """
    if program.version != VERSION_3:
        return ChecksumForm.MESSAGE_ONLY
    if program.checksum == "MessageOnly":
        return ChecksumForm.MESSAGE_ONLY
    if program.checksum == "PseudoHeader" or external:
        return ChecksumForm.PSEUDO_HEADER
    return ChecksumForm.MESSAGE_ONLY
