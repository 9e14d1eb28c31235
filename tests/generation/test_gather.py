"""Waiting for whole results: progress, errors, interrupts."""

from __future__ import annotations

import pytest
from scripted import (
    ScriptedExecutor,
    Vocabulary,
    request,
)

from llamacy.generation.gather import gather
from llamacy.generation.worker import Worker


def test_progress_is_told_and_may_end_it() -> None:
    prompt = "p" * 40
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok")}, n_batch=8)
    worker, shares = Worker(executor, 0), list[float]()
    gather(worker, [request(prompt)], shares.append)
    assert shares == sorted(set(shares))
    assert set(shares) <= {0.2, 0.4, 0.6, 0.8, 1.0}
    assert shares[-1] == 1.0

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    one = request(prompt, max_tokens=900)
    with pytest.raises(KeyboardInterrupt):
        gather(worker, [one], interrupt)
    assert one.is_settled
    assert executor.n_open == 0
