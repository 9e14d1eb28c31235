"""Texts as a script asks a real model for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.model.model import Model
from llamacy.ops.plan.plan import Plan

PROMPT = "Once upon a time"
N_VOCAB = 512


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    return dict(np.load(shared / "golden/stories260K.npz"))


@pytest.fixture(scope="module")
def path(shared: Path) -> Path:
    return shared / "models/stories260K-F32.gguf"


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[Model]:
    with llamacy.load(path) as model:
        yield model


@pytest.mark.parametrize("weights", ["F32", "Q8_0"])
def test_greedy_text_is_the_golden_one(
    shared: Path, golden: dict[str, Any], weights: str
) -> None:
    wanted = golden[f"greedy_{weights}"].tolist()
    file = shared / f"models/stories260K-{weights}.gguf"
    with llamacy.load(file, kv_type="f32") as model:
        out = model.generate(PROMPT, max_tokens=len(wanted), temperature=0)
        text = model.detokenize([*golden["prompt_ids"].tolist(), *wanted])
    if weights == "F32":
        assert out.tokens == wanted
        assert PROMPT + out.text == text
    else:  # quantised activations may settle a near tie the other way
        assert out.tokens[:20] == wanted[:20]
    assert out.finish_reason == "length"
    assert out.usage.prompt_tokens == 5
    assert out.timings.n_generated == len(wanted) - 1
    assert out.timings.generation_tokens_per_second > 0
    assert 0 < out.timings.time_to_first_token


def test_text_ids_and_arrays_are_the_same_prompt(model: Model) -> None:
    options: Any = {"max_tokens": 12, "temperature": 0}
    ids = model.tokenize(PROMPT)
    text = model.generate(PROMPT, **options).text
    array: Any = np.array(ids)
    for prompt in (ids, tuple(ids), array, list(array)):
        assert model.generate(prompt, **options).text == text
    params = llamacy.SamplingParams(max_tokens=12)
    assert model.generate(PROMPT, params, temperature=0).text == text


def test_a_stream_gives_the_text_in_pieces(model: Model) -> None:
    whole = model.generate(PROMPT, max_tokens=60, temperature=0)
    stream = model.stream(PROMPT, max_tokens=60, temperature=0)
    pieces = list(stream)
    assert len(pieces) > 30
    assert "".join(piece.text for piece in pieces) == whole.text
    assert [one for piece in pieces for one in piece.tokens] == whole.tokens
    assert stream.completion.finish_reason == "length"


def test_several_prompts_give_the_texts_of_each_alone(model: Model) -> None:
    prompts = ["Once upon a time", "The dog", "", "Lily and Tom went to the"] * 5
    alone = [model.generate(one, max_tokens=20, temperature=0) for one in prompts[:4]]
    together = model.generate(prompts, max_tokens=20, temperature=0)
    assert [one.text for one in together] == [one.text for one in alone] * 5
    assert model.generate([model.tokenize("The dog")], max_tokens=20, temperature=0)[
        0
    ].text.startswith(alone[1].text)


def test_the_same_seed_gives_the_same_text(model: Model) -> None:
    def texts(seed: int) -> list[str]:
        outs = model.generate([PROMPT] * 2, max_tokens=30, temperature=1.5, seed=seed)
        return [out.text for out in outs]

    assert texts(1) == texts(1)
    assert texts(1)[0] == texts(1)[1]
    assert texts(1) != texts(2)


def test_a_stop_string_ends_the_text(model: Model) -> None:
    free = model.generate(PROMPT, max_tokens=60, temperature=0)
    stop = free.text[30:37]
    out = model.generate(PROMPT, max_tokens=60, temperature=0, stop=stop)
    assert out.text == free.text[: free.text.find(stop)]
    assert out.finish_reason == "stop"


def test_a_prompt_longer_than_a_batch(model: Model, path: Path) -> None:
    ids = np.random.default_rng(0).integers(3, N_VOCAB, 600).tolist()
    with llamacy.load(path, n_ctx=700, kv_type="f32") as long:
        assert len(ids) > long.executor.n_batch
        logits = long.logits(ids)
        assert logits.shape == (600, N_VOCAB)
        out = long.generate(ids, max_tokens=1, temperature=0)
        assert out.tokens == [int(logits[-1].argmax())]
        np.testing.assert_allclose(logits[:40], long.logits(ids[:40]), atol=1e-3)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([1, N_VOCAB], f"from 0 to {N_VOCAB - 1}, found {N_VOCAB}"),
        ([1, -1], "found -1"),
        ([2**70], "found 1180591620717411303424"),
        ([True], "found True"),
        ([1.0], "wanted text or token ids"),
        (5, "prompt: wanted text or token ids, found 5"),
        (None, "found None"),
        (b"text", "found b'text'"),
        (bytearray(b"text"), "wanted text or token ids"),
        ({"a": 1}, "prompt: wanted text or token ids, or a list of several, found a"),
        ({"a"}, "found a set"),
        (["a", 1], r"^prompts\[1\]: wanted text or token ids, found 1"),
        (["a", []], r"^prompts\[1\]: wanted at least one token"),
        (["a", "\ud800"], r"^prompts\[1\]: .*surrogate"),
        ("half a pair: \ud800", "surrogate"),
    ],
)
def test_bad_prompts_are_refused(model: Model, prompt: Any, message: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        model.generate(prompt)
    if not isinstance(prompt, list) or "a" not in prompt:
        with pytest.raises(llamacy.ArgumentError):
            model.stream(prompt)
        with pytest.raises(llamacy.ArgumentError):
            model.logits(prompt)


def test_samples_of_a_prompt_differ_and_share_it(model: Model) -> None:
    outs = model.generate(PROMPT, n=6, max_tokens=20, temperature=2.0, seed=1)
    assert len({out.text for out in outs}) == 6
    again = model.generate([PROMPT, "The"], n=6, max_tokens=20, temperature=2.0, seed=1)
    assert [[out.text for out in group] for group in again][0] == [o.text for o in outs]
    assert [len(group) for group in again] == [6, 6]
    for n in (0, -1, 1.5, True):
        with pytest.raises(llamacy.ArgumentError, match="^n: wanted"):
            model.generate(PROMPT, n=n)  # type: ignore[arg-type]


@pytest.mark.parametrize("kv_type", ["f16", "f32", "q8_0"])
def test_a_prompt_read_before_is_not_read_again(path: Path, kv_type: str) -> None:
    options: Any = {"max_tokens": 40, "temperature": 0}
    with llamacy.load(path, kv_type=kv_type, prompt_cache=0) as without:
        story = without.generate(PROMPT, max_tokens=100, temperature=0).text
        prompts = [PROMPT + story, PROMPT + story + " Then", PROMPT + story[:150]]
        wanted = [without.generate(prompt, **options) for prompt in prompts]
        assert {out.usage.cached_tokens for out in wanted} == {0}
        assert isinstance(without.executor, Plan)
        assert without.executor.n_pages_used == 0
    with llamacy.load(path, kv_type=kv_type) as model:
        model.generate(PROMPT, max_tokens=100, temperature=0)
        for prompt, want in zip(prompts, wanted, strict=True):
            for _ in range(2):
                out = model.generate(prompt, **options)
                assert out.tokens == want.tokens
                assert out.usage.prompt_tokens == want.usage.prompt_tokens
                assert out.usage.cached_tokens > 32
                assert out.timings.n_prompt < want.timings.n_prompt - 32


def test_the_prompt_cache_is_bounded(path: Path) -> None:
    with llamacy.load(path, n_ctx=64) as model:
        assert isinstance(model.executor, Plan)
        for first in range(3, 40):
            model.generate([first] * 40, max_tokens=8)
            assert model.executor.n_pages_used <= 2
    with pytest.raises(llamacy.ArgumentError, match="^prompt_cache: wanted"):
        llamacy.load(path, prompt_cache=-1)


def test_scores_are_those_of_the_logits(model: Model) -> None:
    text = "Once upon a time there was a little dog."
    score = model.score(text)
    ids = model.tokenize(text)
    logits = model.logits(ids).astype(np.float64)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = [logits[i, token] for i, token in enumerate(ids[1:])]
    assert score.tokens == ids
    assert score.logprobs[0] is None
    np.testing.assert_allclose(np.array(score.logprobs[1:], float), wanted, atol=1e-4)
    assert score.total == pytest.approx(sum(wanted), abs=1e-3)
    assert score.perplexity == pytest.approx(np.exp(-np.mean(wanted)), rel=1e-4)
    assert "perplexity" in repr(score)
    both = model.score([text, "7 green ideas sleep"])
    assert both[0] == score
    assert both[1].perplexity > 5 * score.perplexity
    assert np.isnan(model.score([1]).perplexity)


def test_likelihoods_of_generated_tokens(model: Model) -> None:
    out = model.generate(PROMPT, max_tokens=10, seed=1, logprobs=3, prompt_logprobs=0)
    assert out.logprobs is not None
    assert out.prompt_logprobs is not None
    wanted = model.score([*model.tokenize(PROMPT), *out.tokens]).logprobs
    found = [*out.prompt_logprobs, *out.logprobs]
    values = [None if one is None else one.logprob for one in found]
    np.testing.assert_allclose(
        np.array(values[1:], float), np.array(wanted[1:], float), atol=1e-4
    )
    for one in out.logprobs:
        assert len(one.top) == 3
        assert one.top[0][1] >= one.logprob - 1e-6
    stream = model.stream(PROMPT, max_tokens=10, seed=1, logprobs=3)
    pieces = list(stream)
    assert [one for piece in pieces for one in piece.logprobs or ()] == out.logprobs
    assert stream.completion.logprobs == out.logprobs


def test_coroutines(model: Model) -> None:
    options: Any = {"max_tokens": 20, "temperature": 0}
    wanted = [model.generate(prompt, **options).text for prompt in (PROMPT, "The dog")]

    async def run() -> None:
        outs = await model.agenerate([PROMPT, "The dog"], **options)
        assert [out.text for out in outs] == wanted
        two = await asyncio.gather(
            model.agenerate(PROMPT, **options), model.agenerate("The dog", **options)
        )
        assert [out.text for out in two] == wanted
        async with model.astream(PROMPT, **options) as stream:
            assert "".join([piece.text async for piece in stream]) == wanted[0]
        assert await model.agenerate([]) == []
        with pytest.raises(llamacy.ArgumentError, match="at least one token"):
            await anext(model.astream([]))

    asyncio.run(run())


def test_ids_that_are_no_tokens_cannot_be_biased(model: Model) -> None:
    banned = model.generate(PROMPT, max_tokens=1, temperature=0).tokens[0]
    out = model.generate(
        PROMPT, max_tokens=20, temperature=0, logit_bias={banned: -np.inf}
    )
    assert banned not in out.tokens
    for token in (N_VOCAB, -1):
        with pytest.raises(llamacy.ArgumentError, match="^logit_bias: wanted"):
            model.generate(PROMPT, logit_bias={token: 1.0})
    with pytest.raises(llamacy.ArgumentError, match=r"^cancel: .*is_set"):
        model.generate(PROMPT, cancel=5)  # type: ignore[call-overload]
