"""How an election is described: defaults, every field, and the way through a NodeConfig."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vrrp_api.election import (
    PLAIN,
    Announcements,
    Authentication,
    ElectionSpec,
    Preemption,
    Transport,
    is_key_ref,
    may_have_own_key,
)
from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, Peer, VirtualRouterConfig, parse_node_config
from vrrp_api.virtual_ip import VipAddress, parse_virtual_ip

SECOND = 1_000_000_000
FOUR, SIX = "192.0.2.10/24", "2001:db8::10/64"


def election(*addresses: str, **spec: Any) -> ElectionSpec:
    """Return the election of a VirtualIP with these fields."""
    return parse_virtual_ip(
        {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": "ingress"},
            "spec": {"addresses": [{"address": a} for a in addresses or (FOUR,)], **spec},
        }
    ).election


def test_defaults_are_the_documented_ones() -> None:
    assert election() == ElectionSpec(
        version=3,
        advertisement_interval_ns=SECOND // 5,
        down_advertisements=3,
        transport=Transport(
            multicast=False,
            external_peers=(),
            ttl_send=255,
            ttl_accept_minimum=255,
            checksum="Auto",
        ),
        preemption=Preemption(preempt=True, delay_ns=0),
        authentication=None,
    )


def test_every_field_is_read() -> None:
    read = election(
        version=2,
        advertisementInterval="3s",
        downAdvertisements=7,
        transport={
            "externalPeers": ["192.0.2.3", "192.0.2.2"],
            "ttl": {"send": 64, "acceptMinimum": 254},
        },
        preemption={"delay": "2m"},
        authentication={"type": "Simple", "keyName": "old"},
    )
    assert read == ElectionSpec(
        version=2,
        advertisement_interval_ns=3 * SECOND,
        down_advertisements=7,
        transport=Transport(False, ("192.0.2.3", "192.0.2.2"), 64, 254),
        preemption=Preemption(True, 120 * SECOND),
        authentication=Authentication("Simple", "old"),
    )
    assert election(transport={"mode": "Multicast"}).transport.multicast
    assert election(transport={"checksum": "PseudoHeader"}).transport.checksum == "PseudoHeader"
    assert not election(preemption={"mode": "Never"}).preemption.preempt
    signed = election(authentication={"type": "HMAC", "keyName": "k", "mode": "ReceiveOnly"})
    assert signed.authentication == Authentication("HMAC", "k", "ReceiveOnly")
    assert election(authentication={"type": "None"}).authentication == PLAIN


@pytest.mark.parametrize(
    ("addresses", "family"),
    [((FOUR,), 4), ((SIX,), 6), ((FOUR, SIX), 4), ((SIX, FOUR), 6)],
)
def test_first_address_decides_the_family(addresses: tuple[str, ...], family: int) -> None:
    peer = {4: "192.0.2.2", 6: "2001:db8::2"}
    spec = {"externalPeers": [peer[family]]}
    assert election(*addresses, transport=spec).transport.external_peers == (peer[family],)
    with pytest.raises(FieldError, match=f"is not of the first address's family, IPv{family}"):
        election(*addresses, transport={"externalPeers": [peer[10 - family]]})


def test_external_peers_are_kept_in_canonical_form() -> None:
    read = election(SIX, transport={"externalPeers": ["2001:DB8:0::2"]})
    assert read.transport.external_peers == ("2001:db8::2",)


ELECTIONS = [
    ElectionSpec(),
    ElectionSpec(authentication=PLAIN),
    ElectionSpec(authentication=Authentication("HMAC", "cluster", "Permissive")),
    ElectionSpec(
        version=2,
        advertisement_interval_ns=2 * SECOND,
        down_advertisements=100,
        authentication=Authentication("Simple", "old"),
    ),
    ElectionSpec(transport=Transport(multicast=True, ttl_send=1, ttl_accept_minimum=2)),
    ElectionSpec(transport=Transport(external_peers=("192.0.2.2",), checksum="MessageOnly")),
    ElectionSpec(preemption=Preemption(True, 1500_000_000)),
    ElectionSpec(preemption=Preemption(False)),
]


def router(spec: ElectionSpec, *peers: Peer, address: str = "192.0.2.10") -> NodeConfig:
    """Return the configuration of a node that takes part in one election."""
    taking_part = VirtualRouterConfig(
        "ingress", 1, 7, None, (VipAddress(address, 32),), 200, spec, peers, ()
    )
    return NodeConfig("node-1", 0, ("192.0.2.11", "2001:db8::11"), (taking_part,), ())


def through_node_config(spec: ElectionSpec) -> ElectionSpec:
    """Return what is read of an election after it was written into a NodeConfig."""
    (read,) = parse_node_config(router(spec).to_object()).virtual_routers
    return read.election


@pytest.mark.parametrize("spec", ELECTIONS)
def test_election_survives_the_way_through_a_node_config(spec: ElectionSpec) -> None:
    sent = router(spec, Peer("node-2", "192.0.2.12", 180))
    assert parse_node_config(sent.to_object()) == sent


@pytest.mark.parametrize("stage", ["Accept", "Sign", "Require"])
def test_key_of_an_election_survives_the_way_through_a_node_config(stage: str) -> None:
    signed = ElectionSpec(authentication=Authentication("HMAC", "cluster"))
    spec = signed.with_own_key(stage)
    assert through_node_config(spec) == spec != signed
    assert through_node_config(signed) == signed


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (ElectionSpec(authentication=Authentication("None", election_key="Sign")), "electionKey"),
        (
            ElectionSpec(authentication=Authentication("HMAC", "c", "Permissive", "Sign")),
            "electionKey",
        ),
        (
            ElectionSpec(authentication=Authentication("HMAC", "c", "Enforce", "sign")),
            "electionKey",
        ),
        (
            ElectionSpec(
                version=2,
                advertisement_interval_ns=SECOND,
                authentication=Authentication("HMAC", "c", "Enforce", "Sign"),
            ),
            "authentication",
        ),
        (
            ElectionSpec(
                transport=Transport(external_peers=("192.0.2.2",)),
                authentication=Authentication("HMAC", "c", "Enforce", "Sign"),
            ),
            "authentication",
        ),
    ],
)
def test_key_of_an_election_is_refused_where_others_could_not_follow(
    spec: ElectionSpec, path: str
) -> None:
    with pytest.raises(FieldError) as refused:
        through_node_config(spec)
    assert refused.value.path.endswith(path)


def test_users_do_not_say_how_far_an_election_has_come() -> None:
    said = {"type": "HMAC", "keyName": "cluster", "electionKey": "Sign"}
    with pytest.raises(FieldError, match="electionKey"):
        election(authentication=said)


@pytest.mark.parametrize(
    ("spec", "may"),
    [
        ({}, True),
        ({"transport": {"mode": "Multicast"}}, True),
        ({"transport": {"externalPeers": ["192.0.2.2"]}}, False),
        ({"version": 2, "advertisementInterval": "1s"}, False),
        ({"authentication": {"type": "HMAC", "keyName": "own"}}, False),
        ({"authentication": {"type": "None"}}, False),
    ],
)
def test_election_that_leaves_its_authentication_open_may_have_a_key_of_its_own(
    spec: dict[str, Any], may: bool
) -> None:
    assert may_have_own_key(election(**spec)) is may


def test_node_config_writes_every_default_out() -> None:
    sent = router(ElectionSpec(authentication=PLAIN)).to_object()["spec"]["virtualRouters"][0]
    assert sent["version"] == 3
    assert (sent["advertisementInterval"], sent["downAdvertisements"]) == ("200ms", 3)
    assert sent["transport"] == {
        "mode": "Unicast",
        "ttl": {"send": 255, "acceptMinimum": 255},
        "checksum": "Auto",
    }
    assert sent["preemption"] == {"mode": "Always", "delay": "0s"}
    assert sent["authentication"] == {"type": "None"}


def test_node_config_of_an_older_operator_has_the_defaults() -> None:
    sent = router(ElectionSpec()).to_object()
    older = sent["spec"]["virtualRouters"][0]
    for key in ("version", "downAdvertisements", "transport"):
        del older[key]
    del older["preemption"]["delay"]
    assert parse_node_config(sent).virtual_routers[0].election == ElectionSpec()


@pytest.mark.parametrize(("told", "taken_ns"), [("0s", 0), ("1ns", SECOND), ("1s", SECOND)])
def test_refresh_that_an_older_operator_wrote_costs_a_node_nothing(
    told: str, taken_ns: int
) -> None:
    sent = router(ElectionSpec()).to_object()
    sent["spec"]["virtualRouters"][0]["announcements"]["refresh"] = told
    (read,) = parse_node_config(sent).virtual_routers
    assert read.announcements.refresh_ns == taken_ns


@pytest.mark.parametrize(
    ("address", "peer", "family"),
    [("192.0.2.10", "2001:db8::12", 4), ("2001:db8::10", "192.0.2.12", 6)],
)
def test_peer_of_another_family_is_named(address: str, peer: str, family: int) -> None:
    sent = router(ElectionSpec(), Peer("node-2", peer, 180), address=address)
    with pytest.raises(FieldError, match=f"peers: .* must all be IPv{family} .*; node-2 is not"):
        parse_node_config(sent.to_object())


@pytest.mark.parametrize("text", ["a", "cluster", "key-2", "0", "k" * 63])
def test_dns_label_may_name_a_key(text: str) -> None:
    assert is_key_ref(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a.b", "a/b", "..", "k" * 64, "a\n"])
def test_nothing_else_names_a_key(text: str) -> None:
    assert not is_key_ref(text)


# Announcements ------------------------------------------------------------------------


def virtual_ip(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": "ingress"},
        "spec": {"addresses": [{"address": FOUR}], **spec},
    }


def announcements(**spec: Any) -> Announcements:
    return parse_virtual_ip(virtual_ip(**spec)).announcements


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Announcements(5, 5 * SECOND, 60 * SECOND)),
        ({"announcements": {}}, Announcements(5, 5 * SECOND, 60 * SECOND)),
        (
            {"announcements": {"burst": 1, "repeatAfter": "0s", "refresh": "1h"}},
            Announcements(1, 0, 3600 * SECOND),
        ),
        ({"announcements": {"burst": 100}}, Announcements(100, 5 * SECOND, 60 * SECOND)),
    ],
)
def test_announcements_have_the_documented_defaults(
    spec: dict[str, Any], expected: Announcements
) -> None:
    assert announcements(**spec) == expected


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"burst": 0}, "spec.announcements.burst"),
        ({"burst": 101}, "spec.announcements.burst"),
        ({"repeatAfter": "3601s"}, "spec.announcements.repeatAfter"),
        ({"refresh": "-1s"}, "spec.announcements.refresh"),
        ({"refresh": 60}, "spec.announcements.refresh"),
        ({"refresh": "1ns"}, "spec.announcements.refresh"),
        ({"refresh": "999ms"}, "spec.announcements.refresh"),
        ({"every": "1s"}, "spec.announcements.every"),
    ],
)
def test_wrong_announcements_are_named(said: dict[str, Any], path: str) -> None:
    with pytest.raises(FieldError) as refused:
        announcements(announcements=said)
    assert refused.value.path == path


@pytest.mark.parametrize("take_over", [None, "node-1"])
def test_announcements_and_take_over_survive_the_way_through_a_node_config(
    take_over: str | None,
) -> None:
    sent = router(ElectionSpec())
    (plain,) = sent.virtual_routers
    asked = replace(plain, announcements=Announcements(7, 1_500_000_000, 0), take_over=take_over)
    sent = replace(sent, virtual_routers=(asked,))
    assert parse_node_config(sent.to_object()) == sent
    assert ("takeOver" in sent.to_object()["spec"]["virtualRouters"][0]) is (take_over is not None)


@pytest.mark.parametrize("said", [None, True, False])
def test_conflict_detection_is_on_unless_it_is_said(said: bool | None) -> None:
    spec = {} if said is None else {"conflictDetection": said}
    assert parse_virtual_ip(virtual_ip(**spec)).detect_conflicts is (said is not False)
    sent = router(ElectionSpec())
    asked = replace(sent.virtual_routers[0], detect_conflicts=said is not False)
    sent = replace(sent, virtual_routers=(asked,))
    assert parse_node_config(sent.to_object()) == sent
