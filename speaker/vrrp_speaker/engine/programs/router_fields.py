"""Single fields of a router's document that take more than one look."""

from __future__ import annotations

from dataclasses import replace

from vrrp.authentication import (
    KEY_LENGTHS,
    PASSWORD_LENGTH,
    Authentication,
    HmacKeys,
    Mode,
    SimplePassword,
    Stage,
)
from vrrp.constants import (
    MAX_INTERVAL_CENTISECONDS,
    MAX_INTERVAL_SECONDS_V2,
    NS_PER_CENTISECOND,
    NS_PER_SECOND,
    VERSION_2,
    Family,
)
from vrrp_speaker.engine.programs.fields import Fields, ProgramError
from vrrp_speaker.engine.programs.program import Pace, Peer
from vrrp_speaker.shared_state.layout import MAX_PEERS

MIN_REFRESH_NS = NS_PER_SECOND


def peers_of(fields: Fields, family: Family) -> tuple[Peer, ...]:
    """Return the peers of a router."""
    peers = tuple(
        Peer(p.text("node"), p.address("address", family), p.boolean("external"))
        for p in fields.items("peers")
    )
    if len(peers) > MAX_PEERS:
        raise ProgramError(f"{fields.path}.peers: {len(peers)} (accepted: up to {MAX_PEERS})")
    return fields.share(peers)


def interval_of(fields: Fields, version: int) -> int:
    """Return the interval of a router's advertisements, in nanoseconds."""
    key = "advertisementIntervalNs"
    step_ns, most = NS_PER_CENTISECOND, MAX_INTERVAL_CENTISECONDS
    if version == VERSION_2:
        step_ns, most = NS_PER_SECOND, MAX_INTERVAL_SECONDS_V2
    interval_ns = fields.integer(key, step_ns, most * step_ns)
    if interval_ns % step_ns:
        raise fields.fail(key, f"a multiple of {step_ns}")
    return interval_ns


def authentication_of(fields: Fields) -> Authentication:
    """Return what a router signs with."""
    kind = fields.choice("type", ("None", "Simple", "HMAC"))
    if kind == "None":
        return None
    if kind == "Simple":
        password = fields.hexadecimal("password")
        if len(password) > PASSWORD_LENGTH:
            raise fields.hidden("password", f"1 to {PASSWORD_LENGTH} bytes")
        return SimplePassword(password)
    keys, active = _keys(fields, "keys"), fields.integer("active", 1, 255)
    if active not in keys:
        raise fields.fail("active", "the id of one of the keys")
    mode = Mode(fields.choice("mode", tuple(Mode)))
    if "electionKey" not in fields.raw:
        return fields.share(HmacKeys(keys, active, mode), (*keys.items(), active, mode))
    stage, derived = (
        Stage(fields.choice("electionKey", tuple(Stage))),
        _keys(fields, "electionKeys"),
    )
    if keys.keys() != derived.keys():
        raise fields.hidden("electionKeys", "one for each of the keys")
    return HmacKeys(keys, active, mode, stage=stage, election_keys=derived)


def _keys(fields: Fields, key: str) -> dict[int, bytes]:
    """Return keys by id; equal ones of several routers are the same object."""
    keys: dict[int, bytes] = {}
    for item in fields.items(key):
        secret = item.hexadecimal("secret")
        if len(secret) not in KEY_LENGTHS:
            raise item.hidden("secret", f"{KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]} bytes")
        keys[item.integer("id", 1, 255)] = fields.share(secret)
    return keys


def plan_of(fields: Fields) -> Pace:
    """Return how often a router announces."""
    hour_ns = 3600 * NS_PER_SECOND
    plan = Pace(
        burst=fields.integer("burst", 1, 100),
        repeat_after_ns=fields.integer("repeatAfterNs", 0, hour_ns),
        refresh_ns=fields.integer("refreshNs", 0, hour_ns),
    )
    if 0 < plan.refresh_ns < MIN_REFRESH_NS:  # of an agent that knew no least one
        return replace(plan, refresh_ns=MIN_REFRESH_NS)
    return plan
