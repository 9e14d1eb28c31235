"""Goals: which rows they want, what they make of the logits, when they end."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted import N_VOCAB, ScriptedExecutor, Vocabulary

from llamacy.errors import ContextLengthError
from llamacy.generation.context import Context
from llamacy.generation.gather import gather
from llamacy.generation.goals.goal import Goal
from llamacy.generation.goals.logits import Logits
from llamacy.generation.goals.read import Read
from llamacy.generation.goals.score import Score
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker

TEXT = "a text of 23 characters"


def context(text: str = TEXT) -> Context:
    return Context(Vocabulary.ids(text), 100)


def run(goal: Goal, executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0)
    gather(worker, [Request(goal)])
    worker.close()
    assert executor.n_open == 0


def test_a_context_holds_at_most_its_size() -> None:
    with pytest.raises(ContextLengthError) as info:
        Context([1, 2, 3], 2)
    assert (info.value.n_tokens, info.value.n_ctx) == (3, 2)


def test_logits_come_in_order_and_are_those_of_the_executor() -> None:
    executor = ScriptedExecutor({TEXT[:5]: Vocabulary.ids(TEXT[5:])})
    received: list[tuple[int, NDArray[np.float32]]] = []
    run(
        Logits(context(), lambda at, rows: received.append((at, rows.copy()))), executor
    )
    assert [(at, len(rows)) for at, rows in received] == [(0, 8), (8, 8), (16, 7)]
    logits = np.concatenate([rows for _, rows in received])
    assert logits.shape == (len(TEXT), N_VOCAB)
    # from the script's prompt on it says the text, and then that it ends
    assert logits[4:].argmax(axis=1).tolist() == [*Vocabulary.ids(TEXT[5:]), 0]


def test_logits_before_the_first_wanted_token_are_not_computed() -> None:
    executor, received = ScriptedExecutor({}), list[tuple[int, int]]()

    def receive(token: int, logits: NDArray[np.float32]) -> None:
        received.append((token, len(logits)))

    run(Logits(context(), receive, first=11, end=22), executor)
    assert executor.passes == [8, 3, 8, 3]
    assert received == [(11, 8), (19, 3)]


def test_a_score_has_a_likelihood_for_each_token_but_the_first() -> None:
    executor = ScriptedExecutor({TEXT[:1]: Vocabulary.ids(TEXT[1:])})
    goal = Score(context())
    run(goal, executor)
    assert executor.passes == [8, 8, 6]  # nothing follows the last token
    assert goal.result.tokens == Vocabulary.ids(TEXT)
    first, *others = goal.result.logprobs
    assert first is None
    assert others == pytest.approx([1 - np.log(np.e + N_VOCAB - 1)] * 22)


def test_one_token_is_scored_without_a_pass() -> None:
    executor, goal = ScriptedExecutor({}), Score(context("a"))
    run(goal, executor)
    assert goal.result.logprobs == [None]
    assert executor.passes == []


def test_reading_wants_no_logits() -> None:
    executor, goal = ScriptedExecutor({}), Read(context())
    request = Request(goal)
    worker = Worker(executor, 0)
    gather(worker, [request])
    worker.close()
    assert executor.passes == [8, 8, 7]
    assert request.n_read == len(TEXT)
    assert goal.n_chosen == 0


@pytest.mark.parametrize(
    "goal", [Read(context()), Score(context()), Logits(context(), print)]
)
def test_only_a_goal_that_wants_no_logits_of_its_prompt_can_share_it(
    goal: Goal,
) -> None:
    assert goal.can_share is isinstance(goal, Read)
