"""Every kept fuzzing input, and simple damage to each, without a fuzzer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.fuzz.target import check
from tests.unit.vrrp.wire import rows

from vrrp.constants import RejectReason
from vrrp.validation import Accepted

CORPUS = sorted((Path(__file__).resolve().parent / "corpus").iterdir())
RECORDED = {
    row["name"].replace(":", "."): bytes.fromhex(row["payload_hex"])
    for row in rows("golden-packets.jsonl")
    if row["kind"] == "advert"
}
SEEDS = [path for path in CORPUS if path.name in RECORDED]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_input_breaks_no_promise(path: Path) -> None:
    check(path.read_bytes())


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name)
def test_seed_is_a_recorded_message_and_is_accepted(path: Path) -> None:
    data = path.read_bytes()
    assert data[2:] == RECORDED[path.name]
    assert isinstance(check(data), Accepted)


def test_corpus_reaches_every_reason() -> None:
    outcomes = {check(path.read_bytes()) for path in CORPUS}
    missed = set(RejectReason) - {found for found in outcomes if isinstance(found, RejectReason)}
    assert not missed
    assert len(SEEDS) >= 10


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_input_with_random_damage_breaks_no_promise(path: Path) -> None:
    noise = random.Random(path.name)
    for _ in range(200):
        data = bytearray(path.read_bytes()) or bytearray(1)
        for _ in range(noise.randint(1, 4)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        data = data[: noise.randint(0, len(data))] if noise.random() < 0.2 else data
        check(bytes(data))
