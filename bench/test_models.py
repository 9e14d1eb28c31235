"""Whole models: prefill, decode, and decoding several sequences in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import llamacy
from llamacy.cli.bench import generate, read_prompt
from llamacy.ops.batch import Batch


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Iterator[llamacy.Model]:
    n_threads = request.config.getoption("threads")
    with llamacy.load(request.param, n_threads=n_threads) as loaded:
        yield loaded


def random_tokens(model: llamacy.Model, n: int) -> list[int]:
    rng = np.random.default_rng(0)
    tokens: list[int] = rng.integers(model.config.n_vocab, size=n).tolist()
    return tokens


def test_prompt(
    model: llamacy.Model, request: pytest.FixtureRequest, measure: Callable[..., None]
) -> None:
    tokens = random_tokens(model, request.config.getoption("n_prompt"))
    measure(lambda: read_prompt(model.executor, tokens), tokens=len(tokens))


def test_generation(
    model: llamacy.Model, request: pytest.FixtureRequest, measure: Callable[..., None]
) -> None:
    tokens = random_tokens(model, request.config.getoption("n_gen"))
    measure(lambda: generate(model.executor, tokens), tokens=len(tokens))


@pytest.mark.parametrize("n_sequences", [1, 4, 8, 16])
def test_sequences_together(
    model: llamacy.Model, n_sequences: int, measure: Callable[..., None]
) -> None:
    """Each pass decodes one token of each sequence, after 32 tokens of context."""
    first = model.executor.new_sequence()
    model.executor.forward(Batch.of(random_tokens(model, 32), first))
    sequences = [first, *(first.fork() for _ in range(n_sequences - 1))]

    def one_token_each() -> None:
        batch = Batch.join([([1], sequence, "last") for sequence in sequences])
        model.executor.forward(batch)
        for sequence in sequences:
            sequence.truncate(32)

    measure(one_token_each, tokens=n_sequences)
    for sequence in sequences:
        sequence.close()
