"""An election's own key that an earlier version takes away goes in steps that all can hear."""

from __future__ import annotations

from dataclasses import replace

from vrrp.authentication import HmacKeys, Mode, Stage, sign, verify
from vrrp.packet import Advertisement, encode_message
from vrrp_api.election import Authentication, ElectionSpec, Transport
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_operator.membership.manner import compatible, manner_of
from vrrp_speaker.agent.config.key_withdrawal import SIGNS_ON_S, KeyWithdrawal

ADVERTISEMENT = Advertisement(3, 51, 200, 20, (bytes((192, 0, 2, 50)),))


def keys(stage: Stage | None) -> HmacKeys:
    shared, own = {1: bytes(32)}, {1: bytes(range(32))}
    if stage is None:
        return HmacKeys(shared, 1, Mode.ENFORCE)
    return HmacKeys(shared, 1, Mode.ENFORCE, stage=stage, election_keys=own)


def router(stage: str | None, name: str = "a", key_ref: str = "cluster") -> VirtualRouterConfig:
    election = ElectionSpec(authentication=Authentication("HMAC", key_ref, election_key=stage))
    addresses = (VipAddress("192.0.2.50", 32),)
    return VirtualRouterConfig(name, 1, 51, None, addresses, 200, election, (), ())


def config(generation: int, *routers: VirtualRouterConfig) -> NodeConfig:
    return NodeConfig("node-1", generation, ("192.0.2.11",), routers, ())


def stages(found: NodeConfig) -> list[str | None]:
    said = [router.election.authentication for router in found.virtual_routers]
    return [a.election_key if a is not None else None for a in said]


def test_key_signs_on_for_a_while_and_is_accepted_for_ever() -> None:
    withdrawal = KeyWithdrawal()
    before, after = config(7, router("Require")), config(8, router(None))
    withdrawal.note(before, after, 100.0)
    signs = withdrawal.softened(after, 100.0)
    assert stages(signs) == [Stage.BOTH]
    assert signs.generation == 8  # who joins may know the plain key only: it is heard, and hears
    assert not withdrawal.take(100.0 + SIGNS_ON_S - 0.1)
    assert withdrawal.take(100.0 + SIGNS_ON_S)
    accepts = withdrawal.softened(after, 100.0 + SIGNS_ON_S)
    assert (stages(accepts), accepts.generation) == (["Accept"], 8)
    assert not withdrawal.take(1000.0)
    newer = config(9, router(None))
    withdrawal.note(after, newer, 200.0)
    assert stages(withdrawal.softened(newer, 200.0)) == ["Accept"]


def test_nodes_that_are_told_at_different_moments_hear_each_other() -> None:
    """Whichever of them is how far, except for the first and the last of the way."""
    way = [manner_of(router(stage)) for stage in ("Require", "Accept", None)]
    assert not compatible(way[0], way[1])
    assert compatible(way[1], way[2])
    # So there is one between that both hear, and that hears both.
    message, source = encode_message(ADVERTISEMENT), bytes((192, 0, 2, 11))
    twice, others = keys(Stage.BOTH), [keys(stage) for stage in (None, *Stage)]
    for other in others:
        copies = (sign(twice, message, source, 1), sign(twice, message, source, 2, shared=True))
        assert any(verify(other, message, source, said)[1] is None for said in copies)
        assert verify(twice, message, source, sign(other, message, source, 3))[1] is None


def test_configuration_of_which_nothing_was_taken_away_is_as_it_is() -> None:
    outside = replace(
        router(None),
        election=replace(
            router(None).election, transport=Transport(external_peers=("192.0.2.99",))
        ),
    )
    for before, after in (
        (None, router(None)),
        (router(None), router(None)),
        (router("Accept"), router(None)),  # an operator that knows it comes this way
        (router("Require"), router("Sign")),
        (router("Require"), router(None, key_ref="other")),
        (router("Require"), outside),
    ):
        withdrawal = KeyWithdrawal()
        old = config(7, before) if before is not None else None
        withdrawal.note(old, config(8, after), 0.0)
        assert withdrawal.softened(config(8, after), 0.0) == config(8, after)
        assert not withdrawal.take(100.0)


def test_key_that_comes_back_is_used_and_others_are_not_concerned() -> None:
    withdrawal = KeyWithdrawal()
    both = config(7, router("Require"), router(None, "b"))
    plain = config(8, router(None), router(None, "b"))
    withdrawal.note(both, plain, 0.0)
    assert stages(withdrawal.softened(plain, 0.0)) == [Stage.BOTH, None]
    again = config(9, router("Accept"), router(None, "b"))
    withdrawal.note(plain, again, 1.0)
    assert withdrawal.softened(again, 1.0) == again
