"""Goals: which rows they want, what they make of the logits, when they end."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import ContextLengthError, ModelOutputError
from llamacy.generation.context import Context
from llamacy.generation.gather import gather
from llamacy.generation.goals.continuations import Continuations
from llamacy.generation.goals.goal import Goal
from llamacy.generation.goals.logits import Logits
from llamacy.generation.goals.read import Read
from llamacy.generation.goals.score import Score
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker
from tests.support.scripted import N_VOCAB, ScriptedExecutor, Vocabulary

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
    ("goal", "n_shareable"),
    [
        (Read(context()), 23),
        (Score(context()), 0),
        (Logits(context(), print), 0),
        (Continuations([1, 2, 3], [4, 5], [6], 100), 2),
    ],
)
def test_tokens_whose_logits_a_goal_wants_are_not_shared(
    goal: Goal, n_shareable: int
) -> None:
    assert goal.n_shareable == n_shareable


def continuations(common: str, last: str, prompt: str = TEXT) -> Continuations:
    ids = Vocabulary.ids(prompt)
    return Continuations(ids, Vocabulary.ids(common), Vocabulary.ids(last), 100)


LIKELY, UNLIKELY = (one - np.log(np.e + N_VOCAB - 1) for one in (1, 0))


def test_continuations_of_one_token_need_no_row_beside_the_prompt() -> None:
    executor = ScriptedExecutor({TEXT: Vocabulary.ids("!")})
    goal = continuations("", "?!.")
    run(goal, executor)
    assert executor.passes == [8, 8, 7]
    assert goal.logprobs == pytest.approx([UNLIKELY, LIKELY, UNLIKELY])


def test_continuations_add_up_the_likelihoods_of_their_tokens() -> None:
    executor = ScriptedExecutor({TEXT: Vocabulary.ids("yes")})
    goal = continuations("ye", "st")
    run(goal, executor)
    assert executor.passes == [8, 8, 6, 3]  # rows that are wanted go apart
    assert goal.logprobs == pytest.approx([3 * LIKELY, 2 * LIKELY + UNLIKELY])


def test_siblings_read_the_prompt_once_however_many_and_however_short() -> None:
    executor = ScriptedExecutor({TEXT: Vocabulary.ids("y")}, n_batch=64)
    goals = [continuations("", "y")]
    goals += [continuations(chr(ord("a") + i) * 2, "s") for i in range(24)]
    worker = Worker(executor, 0)
    gather(worker, [Request(goal) for goal in goals])
    worker.close()
    assert executor.n_open == 0
    # all of the prompt, then its last token and two more of each sibling
    assert sum(executor.passes) == len(TEXT) + 24 * 3
    assert [round(goal.logprobs[0], 3) for goal in goals if goal.logprobs] == [
        round(float(one), 3) for one in (LIKELY, *[3 * UNLIKELY] * 24)
    ]


def test_continuations_share_the_prompt_with_the_cache() -> None:
    text = "a text of more than 32 characters, which is worth caching"
    executor = ScriptedExecutor({}, n_batch=64)
    worker = Worker(executor, cache_bytes=10)
    gather(worker, [Request(continuations("", "y", text))])
    again = Request(continuations("", "y", text))
    gather(worker, [again])
    worker.close()
    assert executor.passes == [len(text), 1]
    assert again.context.n_cached == len(text) - 1


def test_logits_that_are_not_finite_end_continuations_with_an_error() -> None:
    goal = continuations("", "y")
    with pytest.raises(ModelOutputError, match="not finite"):
        goal.take(np.full((1, N_VOCAB), np.nan, np.float32))
