"""Drafts change the number of passes and nothing else, whatever is drafted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import ArgumentError, OutOfMemoryError
from llamacy.generation.completions import completion
from llamacy.generation.drafting.drafter import Drafter, MakeDrafter, TextDrafter
from llamacy.generation.gather import gather
from llamacy.generation.worker import Worker
from llamacy.kernels.levels import Level
from llamacy.model.model import Model
from tests.support.drafted import (
    Foretold,
    drafting,
    foretelling,
    rows_cost_nothing,
    wrong_at_random,
)
from tests.support.scripted import ScriptedExecutor, Vocabulary, request

PROMPT = "Once upon a time"
N_TOKENS = 60
ANSWERS: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 0, "logprobs": 3},
    {"temperature": 1.5, "top_k": 0, "top_p": 1, "min_p": 0},
    {"temperature": 0.9, "top_p": 0.8, "min_p": 0.02, "typical_p": 0.9},
    {"temperature": 1, "xtc_probability": 0.5, "dynatemp_range": 0.5},
    {"temperature": 1, "repeat_penalty": 1.3, "penalty_last_n": 8},
    {"temperature": 0, "dry_multiplier": 0.8, "dry_allowed_length": 1},
    {"temperature": 1, "mirostat": 1},
    {"temperature": 1, "mirostat": 2},
    {"temperature": 1, "stop": ["e", "the"], "include_stop": True},
    {"temperature": 1, "prompt_logprobs": 1, "max_tokens": 7},
    {"temperature": 1, "max_tokens": 1},
]


@pytest.fixture(scope="module")
def model(shared: Path) -> Iterator[Model]:
    file = shared / "models/stories260K-F32.gguf"
    with llamacy.load(file, kv_type="f32", n_ctx=200) as model:
        yield model


def plain(model: Model, prompt: str | list[int], **options: Any) -> llamacy.Completion:
    options = {"seed": 7, "max_tokens": N_TOKENS, **options}
    out: llamacy.Completion = model.generate(prompt, drafting=False, **options)
    return out


def checked(
    model: Model, make: MakeDrafter, wanted: llamacy.Completion, **options: Any
) -> llamacy.Completion:
    """Generate a text with drafts, and check that it is the one wanted."""
    options = {"seed": 7, "max_tokens": N_TOKENS, **options}
    with drafting(model, make):
        found: llamacy.Completion = model.generate(PROMPT, **options)
    usage = replace(
        found.usage,
        drafted_tokens=0,
        accepted_tokens=0,
        cached_tokens=wanted.usage.cached_tokens,
    )
    assert replace(found, timings=wanted.timings, usage=usage) == wanted
    assert found.timings.n_generated == wanted.timings.n_generated
    return found


@pytest.mark.parametrize("every", [1, 2, 3, 7, 1000])
def test_as_many_passes_are_saved_as_drafted_tokens_are_right(
    model: Model, every: int
) -> None:
    """Whether the draft is wrong at each token, at some, or nowhere."""
    wanted = plain(model, PROMPT, temperature=0)
    n_prompt = wanted.usage.prompt_tokens
    text = model.tokenize(PROMPT) + wanted.tokens
    found = checked(
        model,
        foretelling(
            text, lambda n, t: t if (n - n_prompt + 1) % every else (t + 1) % 512
        ),
        wanted,
        temperature=0,
    )
    usage, n_passes = found.usage, found.timings.n_generation_passes
    assert usage.accepted_tokens + n_passes == N_TOKENS - 1
    if every == 1:
        assert (usage.accepted_tokens, n_passes) == (0, N_TOKENS - 1)
        assert usage.drafted_tokens > 8 * N_TOKENS
    elif every > N_TOKENS:
        assert n_passes == -(-(N_TOKENS - 1) // 16)
        assert usage.drafted_tokens == usage.accepted_tokens
    else:
        assert usage.accepted_tokens >= (N_TOKENS - N_TOKENS // every) / 2


@pytest.mark.parametrize("options", ANSWERS, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_text_and_likelihoods_are_those_without_drafts(
    model: Model, options: dict[str, Any], seed: int
) -> None:
    wanted = plain(model, PROMPT, **options)
    text = [*model.tokenize(PROMPT), *wanted.tokens, *[5] * 20]
    change = wrong_at_random(seed, model.config.n_vocab)
    found = checked(model, foretelling(text, change), wanted, **options)
    assert bool(found.usage.accepted_tokens) == (len(wanted.tokens) > 2)
    checked(model, TextDrafter, wanted, **options)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_greedy_text_is_the_same_at_every_level(
    selected_level: Level, base_model: Path, n_threads: int
) -> None:
    with llamacy.load(base_model, n_threads=n_threads) as model:
        wanted = plain(model, PROMPT, temperature=0, logprobs=0)
        text = model.tokenize(PROMPT) + wanted.tokens
        make = foretelling(text, wrong_at_random(3, model.config.n_vocab))
        checked(model, make, wanted, temperature=0, logprobs=0)


def test_pieces_of_a_stream_are_those_without_drafts(model: Model) -> None:
    options: dict[str, Any] = {"temperature": 0, "max_tokens": N_TOKENS, "logprobs": 0}
    options["stop"] = "zzz"
    wanted = list(model.stream(PROMPT, drafting=False, **options))
    text = [*model.tokenize(PROMPT), *(t for piece in wanted for t in piece.tokens)]
    with drafting(model, foretelling(text)):
        assert list(model.stream(PROMPT, **options)) == wanted


def test_samples_and_lists_are_those_without_drafts(model: Model) -> None:
    """Rows are shared by texts that are drafted well, badly, and not at all."""
    prompts = [f"{PROMPT} there was {name}" for name in ("a", "an", "no", "Tim", "Sue")]
    options: dict[str, Any] = {"max_tokens": 40, "seed": 3, "n": 2}
    wanted = model.generate(prompts, drafting=False, **options)
    texts = [
        model.tokenize(prompt) + sample.tokens
        for prompt, samples in zip(prompts, wanted, strict=True)
        for sample in samples
    ]

    def make(ids: Iterable[int]) -> Drafter:
        ids = list(ids)
        text = next(text for text in texts if text[: len(ids)] == ids)
        return Foretold(ids, text, wrong_at_random(len(ids), model.config.n_vocab))

    with drafting(model, make):
        found = model.generate(prompts, **options)
    for samples, others in zip(found, wanted, strict=True):
        assert [one.tokens for one in samples] == [one.tokens for one in others]
        assert any(one.usage.accepted_tokens for one in samples)


def test_sampled_tokens_have_the_distribution_of_the_model(model: Model) -> None:
    """Drafts that agree with likely tokens only do not make these more likely."""
    weights = np.array([8, 5, 3, 2, 1, 1])

    def independent(_: Any, logits: NDArray[np.float32]) -> None:
        logits[:] = -np.inf
        logits[10:16] = np.log(weights)

    class Likely(Foretold):
        def propose(self, n: int) -> list[int]:
            return [10, 11, 10, 10][:n]

    options: dict[str, Any] = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}
    options |= {"logits_processors": independent, "max_tokens": 180, "n": 8}
    with drafting(model, lambda ids: Likely(ids, ())):
        calls = [model.generate(PROMPT, **options, seed=seed) for seed in range(3)]
    outs = [out for samples in calls for out in samples]
    texts = [[token - 10 for token in out.tokens] for out in outs]
    assert sum(out.usage.accepted_tokens for out in outs) > 180
    share = weights / weights.sum()
    tokens = Counter(token for text in texts for token in text)
    assert chi_square(tokens, share) < 20.5  # 5 degrees of freedom: p > 0.001
    pairs = Counter(
        6 * a + b for text in texts for a, b in zip(text[::2], text[1::2], strict=True)
    )
    assert chi_square(pairs, np.outer(share, share).ravel()) < 66.6  # 35 of them


def chi_square(seen: Counter[int], share: NDArray[np.float64]) -> float:
    expected = share * seen.total()
    found = np.array([seen[n] for n in range(len(share))])
    return float(((found - expected) ** 2 / expected).sum())


def test_a_draft_ends_where_the_context_ends(model: Model) -> None:
    wanted = plain(model, PROMPT, temperature=0, max_tokens=None)
    text = model.tokenize(PROMPT) + wanted.tokens + [1] * 20
    found = checked(model, foretelling(text), wanted, temperature=0, max_tokens=None)
    assert found.finish_reason == "length"
    assert found.usage.drafted_tokens == found.usage.accepted_tokens


def test_a_draft_ends_before_the_last_token_wanted(model: Model) -> None:
    wanted = plain(model, PROMPT, temperature=0)
    text = model.tokenize(PROMPT) + wanted.tokens
    for n in range(1, 20):
        with drafting(model, foretelling(text)):
            found = model.generate(PROMPT, max_tokens=n, temperature=0)
        assert found.tokens == wanted.tokens[:n]
        assert found.usage.drafted_tokens == max(0, n - 1 - found.timings.n_passes + 1)


def test_a_prompt_like_a_drafted_text_is_cached(model: Model) -> None:
    wanted = plain(model, PROMPT, temperature=0)
    ids = model.tokenize(PROMPT)
    text = [*ids, *wanted.tokens[:40], *[9] * 20]
    with drafting(model, foretelling(text)):
        model.generate(PROMPT, max_tokens=44, temperature=0)
    after = model.generate(ids + wanted.tokens[:44], max_tokens=16, temperature=0)
    assert after.usage.cached_tokens >= 40
    assert after.tokens == wanted.tokens[44:]


def test_drafting_can_be_turned_off(model: Model, shared: Path) -> None:
    text = model.tokenize(PROMPT) + plain(model, PROMPT, temperature=0).tokens
    with drafting(model, foretelling(text)):
        off = model.generate(PROMPT, max_tokens=9, temperature=0, drafting=False)
        on = model.generate(PROMPT, max_tokens=9, temperature=0)
    assert (off.usage.drafted_tokens, on.usage.drafted_tokens) == (0, 7)
    with llamacy.load(shared / "models/stories260K-F32.gguf", drafting=False) as quiet:
        for given, n_drafted in ((None, 0), (True, 7)):
            with drafting(quiet, foretelling(text)):
                out = quiet.generate(
                    PROMPT, max_tokens=9, temperature=0, drafting=given
                )
            assert out.usage.drafted_tokens == n_drafted
    with pytest.raises(ArgumentError, match="drafting: wanted True or False, found 1"):
        model.generate(PROMPT, drafting=1)  # type: ignore[call-overload]
    with pytest.raises(ArgumentError, match="drafting: wanted True or False, found"):
        llamacy.load("demo", drafting="yes")  # type: ignore[arg-type]


def scripted(
    executor: ScriptedExecutor, prompt: str, make: MakeDrafter, **options: Any
) -> llamacy.Completion:
    worker = Worker(executor, 0)
    rows_cost_nothing(worker)
    one = request(prompt, make_drafter=make, **options)
    gather(worker, [one])
    worker.close()
    assert executor.n_open == 0
    return completion(one)


def test_a_text_may_end_within_a_draft() -> None:
    executor = ScriptedExecutor(
        {"say": Vocabulary.ids("a story that ends")}, n_batch=64
    )
    text = Vocabulary.ids("saya story that ends and goes on")
    found = scripted(executor, "say", foretelling(text))
    assert found.text == "a story that ends"
    assert found.finish_reason == "stop"
    assert executor.passes == [3, 16, 1 + len(" and goes on")]


def test_nothing_is_drafted_after_the_end_of_a_text() -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("a story")}, n_batch=64)
    text = [*Vocabulary.ids("saya story"), 0, *Vocabulary.ids("and another")]
    assert scripted(executor, "say", foretelling(text)).text == "a story"
    assert executor.passes == [3, len("a story")]


def test_a_stop_string_may_end_within_a_draft() -> None:
    executor = ScriptedExecutor({"say": Vocabulary.ids("one two three")}, n_batch=64)
    text = Vocabulary.ids("sayone two three")
    found = scripted(executor, "say", foretelling(text), stop=["wo t"])
    assert (found.text, found.finish_reason) == ("one t", "stop")
    assert found.tokens == Vocabulary.ids("one two t")
    assert executor.passes == [3, len("one two three")]


def test_a_text_that_fills_the_context_goes_on_with_drafts() -> None:
    """The first tokens go; the draft is of what comes next all the same."""
    answer = "abcdefghijklmnopqrstuvwxyz"
    script = {"say": Vocabulary.ids(answer[:7]), "cut": Vocabulary.ids(answer[7:])}
    executor = ScriptedExecutor(script, n_batch=64)

    def make_room(generated: list[int]) -> list[int] | None:
        return Vocabulary.ids("cut") if len(generated) == 7 else None

    found = scripted(
        executor,
        "say",
        foretelling(Vocabulary.ids("say" + answer)),
        n_ctx=10,
        make_room=make_room,
    )
    assert found.text == answer[:14]
    assert found.finish_reason == "length"
    assert executor.passes == [3, 6, 3, 6]


def test_a_pass_without_memory_for_a_draft_is_run_without_it() -> None:
    class Small(ScriptedExecutor):
        def forward(self, batch: Any, logits: Any = None, go_on: Any = None) -> Any:
            if len(batch.tokens) > 3:
                raise OutOfMemoryError("no memory for rows", 1, 0)
            return super().forward(batch, logits, go_on)

    executor = Small({"say": Vocabulary.ids("abcdef")}, n_batch=64)
    found = scripted(executor, "say", foretelling(Vocabulary.ids("sayabcdef")))
    assert found.text == "abcdef"
    assert (found.usage.drafted_tokens, found.usage.accepted_tokens) == (2, 2)
    assert executor.passes == [3, 1, 1, 1, 3]


def test_an_error_in_the_middle_of_a_draft_ends_the_text(model: Model) -> None:
    wanted = plain(model, PROMPT, temperature=0)
    text = model.tokenize(PROMPT) + wanted.tokens
    n_used = model.engine.load().n_pages_used

    def fail(ids: Any, _: Any) -> None:
        if len(ids) == len(text) - 30:
            raise ZeroDivisionError("at this row")

    with drafting(model, foretelling(text)):
        with pytest.raises(ZeroDivisionError, match="at this row"):
            model.generate(
                PROMPT, max_tokens=N_TOKENS, temperature=0, logits_processors=fail
            )
        assert model.engine.load().n_pages_used == n_used
        with model.session() as session:
            session.feed(PROMPT)
            with pytest.raises(ZeroDivisionError, match="at this row"):
                session.generate(
                    max_tokens=N_TOKENS, temperature=0, logits_processors=fail
                )
            assert session.tokens == model.tokenize(PROMPT)
            found = session.generate(max_tokens=N_TOKENS, temperature=0)
            assert found.tokens == wanted.tokens


def test_a_text_cancelled_by_a_processor_in_a_draft_keeps_what_was_chosen(
    model: Model,
) -> None:
    wanted = plain(model, PROMPT, temperature=0)
    n_prompt = wanted.usage.prompt_tokens
    cancel = threading.Event()

    def cancels(ids: Any, _: Any) -> None:
        if len(ids) == n_prompt + 5:
            cancel.set()

    with drafting(model, foretelling(model.tokenize(PROMPT) + wanted.tokens)):
        found = model.generate(
            PROMPT,
            max_tokens=N_TOKENS,
            temperature=0,
            logits_processors=cancels,
            cancel=cancel,
        )
    assert found.finish_reason == "cancelled"
    assert found.tokens == wanted.tokens[: len(found.tokens)]
    assert len(found.tokens) == 17  # of the prompt's pass, and of one with a draft


def test_an_interrupted_call_has_the_text_so_far(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = plain(model, PROMPT, temperature=0)
    begun = threading.Event()

    def begin(_: Any, __: Any) -> None:
        begun.set()

    def interrupt(self: Any) -> None:
        begun.wait(10)
        raise KeyboardInterrupt

    with drafting(model, foretelling(model.tokenize(PROMPT) + wanted.tokens)):
        with monkeypatch.context() as patched:
            patched.setattr("llamacy.generation.mailbox.ThreadMailbox.take", interrupt)
            with pytest.raises(llamacy.Interrupted) as caught:
                model.generate(
                    PROMPT,
                    max_tokens=N_TOKENS,
                    temperature=0,
                    logits_processors=begin,
                )
    so_far = caught.value.completion
    assert so_far.tokens == wanted.tokens[: len(so_far.tokens)]
    assert plain(model, PROMPT, temperature=0).tokens == wanted.tokens
