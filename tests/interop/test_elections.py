"""Who is Active when two implementations share a LAN, whatever is done to them.

What is done is ``variants.Step``, what must follow is ``variants.Kind``, and what the two are told
is ``variants.VARIANTS``. All steps of all variants of a pair are played at once, see ``duel``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.interop.duel import PAIRS, Pair
from tests.interop.loss import IN_LOSS, too_long_together
from tests.interop.outcomes import Outcomes
from tests.interop.variants import VARIANTS, Variant

pytestmark = pytest.mark.interop


def played(variants: Sequence[Variant]) -> pytest.MarkDecorator:
    """Parametrize with every pair and those of the variants that it can play."""
    return pytest.mark.parametrize(
        ("pair", "variant"),
        [
            pytest.param(pair, variant, id=f"{pair.slug}-{variant.slug}")
            for pair in PAIRS
            for variant in variants
            if variant.lacking(pair.left, pair.right) is None
        ],
    )


@played(VARIANTS)
def test_the_right_one_is_active_after_every_step(
    pair: Pair, variant: Variant, outcomes: Outcomes
) -> None:
    failure = outcomes.of(pair).failures.get(variant.name)
    if failure is not None:
        pytest.fail(f"{pair.name}, {variant.name}: {failure}", pytrace=False)


@played(IN_LOSS)
def test_two_are_not_active_for_long_where_a_tenth_of_all_packets_is_lost(
    pair: Pair, variant: Variant, outcomes: Outcomes
) -> None:
    outcome = outcomes.of(pair)
    assert variant.name not in outcome.failures
    assert too_long_together(variant, outcome.lossy[variant.name]) is None
