"""A goal may put several rows a pass, and give some back: what drafting needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import llamacy
from llamacy.generation.completions import completion
from llamacy.generation.context import Context
from llamacy.generation.gather import gather
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker
from llamacy.model.model import Model
from llamacy.sampling import SamplingParams
from tests.support.drafted import Drafted
from tests.support.scripted import ScriptedExecutor, Vocabulary

PROMPT = "Once upon a time"
N_TOKENS = 60


@pytest.fixture(scope="module")
def model(shared: Path) -> Iterator[Model]:
    file = shared / "models/stories260K-F32.gguf"
    with llamacy.load(file, kv_type="f32", n_ctx=200) as model:
        yield model


def drafted(model: Model, text: list[int], n: int = N_TOKENS) -> Request[Drafted]:
    params = SamplingParams(temperature=0, max_tokens=n)
    context = Context(model.tokenize(PROMPT), model.n_ctx)
    goal = Drafted(context, params, model.tokenizer)
    goal.text = text
    return Request(goal)


@pytest.mark.parametrize("every", [1, 2, 3, 7, 1000])
def test_drafting_gives_the_text_of_a_token_a_pass(model: Model, every: int) -> None:
    """Whether the guess is wrong at each token, at some, or nowhere."""
    wanted = model.generate(PROMPT, max_tokens=N_TOKENS, temperature=0)
    ids = model.tokenize(PROMPT)
    guess = [
        token if (at + 1) % every else (token + 1) % 512
        for at, token in enumerate(wanted.tokens)
    ]
    one = drafted(model, ids + guess)
    gather(model.engine.worker, [one])
    found = completion(one)
    assert (found.tokens, found.text) == (wanted.tokens, wanted.text)
    assert found.finish_reason == "length"
    assert found.timings.n_generated == N_TOKENS - 1
    if every == 1:
        assert one.goal.n_agreed == 0
        assert found.timings.n_generation_passes == N_TOKENS - 1
    else:
        assert found.timings.n_generation_passes < N_TOKENS - 1
        assert one.goal.n_agreed >= (N_TOKENS - N_TOKENS // every) / 2
    if every > N_TOKENS:
        assert found.timings.n_generation_passes == -(-(N_TOKENS - 1) // 16)


def test_a_draft_ends_where_the_context_ends(model: Model) -> None:
    wanted = model.generate(PROMPT, temperature=0)
    one = drafted(model, model.tokenize(PROMPT) + wanted.tokens + [1] * 20, n=1000)
    gather(model.engine.worker, [one])
    assert completion(one).tokens == wanted.tokens
    assert completion(one).finish_reason == wanted.finish_reason


def test_texts_that_grow_beside_a_drafted_one_are_those_of_each_alone(
    model: Model,
) -> None:
    wanted = model.generate(PROMPT, max_tokens=N_TOKENS, temperature=0)
    ids = model.tokenize(PROMPT)
    plain = [
        model.engine.request(ids, SamplingParams(temperature=0, max_tokens=N_TOKENS))
        for _ in range(4)
    ]
    drafts = [drafted(model, ids + wanted.tokens) for _ in range(2)]
    gather(model.engine.worker, [*plain, *drafts])
    for one in (*plain, *drafts):
        assert completion(one).tokens == wanted.tokens


def test_what_a_drafted_text_leaves_can_be_gone_on_from(model: Model) -> None:
    wanted = model.generate(PROMPT, max_tokens=N_TOKENS, temperature=0)
    ids = model.tokenize(PROMPT)
    one = drafted(model, [*ids, *wanted.tokens[:40], *[9] * 20], n=44)
    gather(model.engine.worker, [one])
    after = model.generate(ids + wanted.tokens[:44], max_tokens=16, temperature=0)
    assert after.usage.cached_tokens >= 40
    assert after.tokens == wanted.tokens[44:]


def test_a_text_may_end_within_a_draft() -> None:
    executor = ScriptedExecutor(
        {"say": Vocabulary.ids("a story that ends")}, n_batch=64
    )
    params = SamplingParams(temperature=0)
    context = Context(Vocabulary.ids("say"), 100)
    goal = Drafted(context, params, Vocabulary())  # type: ignore[arg-type]
    goal.text = Vocabulary.ids("saya story that ends and goes on")
    worker = Worker(executor, 0)
    one = Request(goal)
    gather(worker, [one])
    assert completion(one).text == "a story that ends"
    assert completion(one).finish_reason == "stop"
    assert executor.passes == [3, 16, 1 + len(" and goes on")]
    worker.close()
    assert executor.n_open == 0
