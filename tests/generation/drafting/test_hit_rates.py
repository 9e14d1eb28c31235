"""How likely texts go on alike: as usual at first, then as they did."""

from __future__ import annotations

import pytest

from llamacy.generation.drafting.hit_rates import HitRates


@pytest.mark.parametrize("is_resumed", [False, True])
def test_chances_fall_with_each_token_and_rise_with_those_alike(
    is_resumed: bool,
) -> None:
    rates = HitRates()
    by_alike = [rates.chances(n, is_resumed, 15) for n in (1, 2, 4, 8, 20, 500)]
    for chances in by_alike:
        assert len(chances) == 15
        assert 1 > chances[0]
        assert sorted(chances, reverse=True) == chances
    first = [chances[0] for chances in by_alike]
    assert sorted(first) == first


def test_each_kind_follows_the_text_by_itself() -> None:
    rates = HitRates()
    before = rates.chances(1, False, 3)
    for _ in range(100):
        rates.note(2, False, False)
        rates.note(2, True, True)
    assert rates.chances(1, False, 3)[0] == before[0]
    assert rates.chances(2, False, 1)[0] < 0.05
    assert rates.chances(2, True, 1)[0] > 0.95
    for _ in range(32):  # soon forgotten
        rates.note(2, False, True)
    assert rates.chances(2, False, 1)[0] > 0.6


def test_a_rate_is_the_share_of_hits() -> None:
    rates = HitRates()
    for n in range(3000):
        rates.note(30, False, n % 4 > 0)
    assert rates.chances(30, False, 1)[0] == pytest.approx(0.75, abs=0.05)
