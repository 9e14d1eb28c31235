"""Passes that follow one at once, beside the same passes one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import llamacy
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.paged_sequence import PagedSequence

PROMPTS = [1, 5, 9], list(range(1, PAGE - 5)), [7]


@pytest.fixture(scope="module")
def plan() -> Plan:
    model = llamacy.load("demo", n_threads=2)
    executor = model.executor
    assert isinstance(executor, Plan)
    return executor


@pytest.mark.parametrize("n_texts", [1, 2, 3])
def test_logits_are_those_of_passes_one_by_one(plan: Plan, n_texts: int) -> None:
    sequences = [plan.new_sequence() for _ in range(n_texts)]
    for prompt, sequence in zip(PROMPTS, sequences, strict=False):
        plan.forward(Batch.of(prompt, sequence))
    twins = [sequence.fork() for sequence in sequences]
    tokens = [*range(10, 10 + n_texts)]
    logits = np.empty((n_texts, plan.n_vocab), np.float32)
    given, found = [tokens], []

    def go_on() -> list[int]:
        found.append(logits.copy())
        given.append(logits.argmax(axis=1).tolist())
        return given[-1]

    plan.forward(joined(tokens, sequences), logits, go_on)
    found.append(logits)
    n_rooms = [PAGE - twin.n_past % PAGE for twin in twins]
    assert len(found) == min(n_rooms)  # to the end of a page
    for tokens, wanted in zip(given, found, strict=True):
        assert np.array_equal(plan.forward(joined(tokens, twins)), wanted)
    for sequence, twin in zip(sequences, twins, strict=True):
        assert sequence.n_past == twin.n_past


def test_only_single_rows_of_texts_go_on(plan: Plan) -> None:
    sequence = plan.new_sequence()

    def fail() -> list[int]:
        raise AssertionError("another pass of several rows")

    plan.forward(Batch.of([1, 2], sequence), None, fail)
    plan.forward(Batch.of([1], sequence, "none"), None, fail)
    assert sequence.n_past == 3


@pytest.mark.parametrize("token", [-1, 10**6])
def test_a_token_that_is_not_in_the_vocabulary_is_refused(
    plan: Plan, token: int
) -> None:
    sequence = plan.new_sequence()
    with pytest.raises(llamacy.ArgumentError, match=f"tokens: wanted .* {token}"):
        plan.forward(Batch.of([1], sequence), None, lambda: [token])
    assert sequence.n_past == 1


def test_a_sequence_that_was_changed_in_between_is_refused(plan: Plan) -> None:
    sequence = plan.new_sequence()
    plan.forward(Batch.of([1, 2, 3], sequence))

    def go_on() -> list[int]:
        sequence.truncate(2)
        return [4]

    with pytest.raises(llamacy.ArgumentError, match="still of 4 tokens, found 2"):
        plan.forward(Batch.of([1], sequence), None, go_on)


def joined(tokens: Sequence[int], sequences: Sequence[PagedSequence]) -> Batch:
    rows = zip(tokens, sequences, strict=True)
    return Batch.join(([token], sequence, "last") for token, sequence in rows)
