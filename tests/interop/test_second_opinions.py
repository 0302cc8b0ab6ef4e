"""What our speaker sends is what it was told to send: as scapy and Wireshark's tshark read it.

Signed advertisements are left out: neither knows the trailer.
"""

from __future__ import annotations

import shutil
from itertools import islice

import pytest
from tests.conftest import cannot_run
from tests.interop.config import PRIORITY_RELEASE, Checksum, Mode, RouterConfig
from tests.interop.decoders import Reading, read_with_scapy, read_with_tshark
from tests.interop.duel import Pair
from tests.interop.outcomes import Outcomes
from tests.interop.speaker import Speaker
from tests.interop.variants import VARIANTS, Variant

_OURS = Pair(Speaker, Speaker)
pytestmark = [
    pytest.mark.interop,
    pytest.mark.parametrize("pair", [_OURS], ids=["kube-vrrp"]),
    pytest.mark.parametrize(
        "variant",
        [
            pytest.param(variant, id=variant.slug)
            for variant in VARIANTS
            if variant.left.key is None and variant.lacking(Speaker, Speaker) is None
        ],
    ),
]
_NODE_1 = {4: "192.0.2.11", 6: "2001:db8:0:1::11"}
_NODE_2 = {4: "192.0.2.12", 6: "2001:db8:0:1::12"}
_GROUP = {4: "224.0.0.18", 6: "ff02::12"}
_LINK_LOCAL = "fe80::5eff:fe00:530b"
"""node-1's, made from its hardware address."""
_BOTH = frozenset({Checksum.MESSAGE_ONLY, Checksum.PSEUDO_HEADER})


@pytest.fixture(scope="module")
def tshark(
    outcomes: Outcomes, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Reading]]:
    """What tshark reads, by the variants' names; started once, for it takes its time."""
    if shutil.which("tshark") is None:
        cannot_run("this machine lacks: tshark")
    sent = outcomes.of(_OURS).sent
    frames = [frame for frames in sent.values() for frame in frames]
    readings = iter(read_with_tshark(frames, tmp_path_factory.mktemp("tshark")))
    return {name: list(islice(readings, len(frames))) for name, frames in sent.items()}


def test_scapy_reads_what_was_configured(pair: Pair, variant: Variant, outcomes: Outcomes) -> None:
    readings = [read_with_scapy(frame) for frame in outcomes.of(pair).sent[variant.name]]
    check(readings, variant.left)


def test_tshark_reads_what_was_configured(
    pair: Pair, variant: Variant, tshark: dict[str, list[Reading]]
) -> None:
    check(tshark[variant.name], variant.left)


def check(readings: list[Reading], config: RouterConfig) -> None:
    """Assert that readings are advertisements of this configuration, or its release."""
    family, multicast = config.family, config.mode is Mode.MULTICAST
    assert readings
    for reading in readings:
        assert reading.checksums & possible_checksums(config)
        assert reading.priority in (config.priority, PRIORITY_RELEASE)
        assert reading == Reading(
            source=_LINK_LOCAL if multicast and family == 6 else _NODE_1[family],
            destination=(_GROUP if multicast else _NODE_2)[family],
            ttl=config.ttl or 255,
            version=config.version,
            type=1,
            vrid=config.vrid,
            priority=reading.priority,
            count=len(config.addresses),
            interval_cs=config.interval_cs,
            addresses=config.addresses,
            password=config.password,
            checksums=reading.checksums,
        )


def possible_checksums(config: RouterConfig) -> frozenset[Checksum]:
    """Return the forms of which one must fit."""
    if config.version == 2:
        return frozenset({Checksum.MESSAGE_ONLY})
    if config.family == 6:
        return frozenset({Checksum.PSEUDO_HEADER})
    return _BOTH if config.checksum is Checksum.AUTO else frozenset({config.checksum})
