"""Whether a result is still wanted."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llamacy.errors import ArgumentError
from llamacy.generation.cancelling import Interest


def test_a_result_is_wanted_until_the_token_is_set() -> None:
    token = threading.Event()
    interest = Interest(token)
    assert not interest.is_lost
    token.set()
    assert interest.is_lost
    assert not interest.is_withdrawn


@pytest.mark.parametrize(
    ("n_delivered", "left_nothing"), [(None, True), (0, False), (3, False)]
)
def test_a_withdrawn_result_may_leave_what_was_delivered(
    n_delivered: int | None, left_nothing: bool
) -> None:
    interest = Interest(None)
    interest.withdraw(n_delivered)
    assert interest.is_withdrawn
    assert interest.is_lost
    assert interest.left_nothing is left_nothing


@pytest.mark.parametrize("token", [5, "event", threading.Event])
def test_a_token_must_have_is_set(token: Any) -> None:
    if token is threading.Event:
        assert Interest(token()).is_lost is False
    else:
        with pytest.raises(ArgumentError, match=rf"^cancel: .*is_set.*{token}"):
            Interest(token)
