"""The forms of activations that several products read."""

from __future__ import annotations

import pytest

from llamacy.ops.plan.kernel_choice import all_digits


@pytest.mark.parametrize(
    ("read", "joined"),
    [((), 0), ((0, 1), 1), ((1, 2), 2), ((0, 4), 4), ((4, 2, 1), 6), ((1, 4), 5)],
)
def test_digits_are_those_of_all_readers(read: tuple[int, ...], joined: int) -> None:
    assert all_digits(read) == joined
