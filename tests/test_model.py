"""The library as a script uses it, on a real model."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.model import Model
from llamacy.ops.plan import Plan
from llamacy.session_file import Origin

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


def test_logits_are_the_golden_ones(path: Path, golden: dict[str, Any]) -> None:
    with llamacy.load(path, kv_type="f32") as model:
        logits = model.logits(golden["ids"].tolist())
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, golden["logits_F32"], atol=1e-3)


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


def test_the_context_is_never_cut_silently(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with llamacy.load(path, n_ctx=8) as model:
        out = model.generate(PROMPT, temperature=0)
        assert (len(out.tokens), out.finish_reason) == (3, "length")
        for call in (model.generate, model.stream, model.logits):
            with pytest.raises(llamacy.ContextLengthError, match="9 tokens .* of 8"):
                call([1] * 9)
        with pytest.raises(llamacy.ContextLengthError):
            model.generate(["short", "a long text that does not fit in there"])
    assert not caplog.records
    with llamacy.load(path, n_ctx=520) as model, caplog.at_level(logging.WARNING):
        assert model.generate([1] * 515, temperature=0).usage.total_tokens <= 520
    assert "520" in caplog.text
    assert "512" in caplog.text


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
        ([], "prompt: wanted at least one token, found none"),
        ([1, N_VOCAB], f"from 0 to {N_VOCAB - 1}, found {N_VOCAB}"),
        ([1, -1], "found -1"),
        ([2**70], "found 1180591620717411303424"),
        ([True], "found True"),
        ([1.0], "wanted text or token ids"),
        (5, "prompt: wanted text or token ids, found 5"),
        (None, "found None"),
        (b"text", "found b'text'"),
        (["a", 1], "wanted text or token ids, found 1"),
        (["a", []], "at least one token"),
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


def test_bad_options_are_refused(model: Model, path: Path) -> None:
    bad: dict[str, list[Any]] = {
        "n_ctx": [0, -1, 1.5, True, 2**31, "8"],
        "n_threads": [0, -2, 1.0, True, 10**6],
        "kv_type": ["f8", None, 1],
    }
    for name, values in bad.items():
        for value in values:
            with pytest.raises(llamacy.ArgumentError, match=f"^{name}: wanted"):
                llamacy.load(path, **{name: value})
    with pytest.raises(llamacy.ArgumentError, match="^source: wanted a path"):
        llamacy.load(5)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="^params: wanted"):
        model.generate(PROMPT, {"temperature": 0})  # type: ignore[call-overload]
    with pytest.raises(llamacy.ArgumentError, match="^temperature"):
        model.generate(PROMPT, temperature=-1)
    with pytest.raises(llamacy.ArgumentError, match="^text: wanted a str"):
        model.tokenize(7)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="^add_bos: wanted True or"):
        model.tokenize("a", add_bos=1)  # type: ignore[arg-type]
    with pytest.raises(llamacy.ArgumentError, match="^parse_special: wanted True or"):
        model.tokenize("a", parse_special=None)  # type: ignore[arg-type]
    for text in (None, b"a", [], [1.0]):
        with pytest.raises(llamacy.ArgumentError, match="^text: wanted"):
            model.score(text)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="temprature"):
        model.generate(PROMPT, temprature=1)  # type: ignore[call-overload]


def test_what_cannot_be_called_is_no_progress(model: Model, path: Path) -> None:
    bad: Any = 5
    match = "^progress: wanted a callable, found 5"
    with pytest.raises(llamacy.ArgumentError, match=match):
        llamacy.load(path, progress=bad)
    with pytest.raises(llamacy.ArgumentError, match=match):
        model.generate(PROMPT, progress=bad)
    with pytest.raises(llamacy.ArgumentError, match=match):
        model.astream(PROMPT, progress=bad)
    with model.session() as session:
        for call in (session.feed, session.generate, session.stream):
            with pytest.raises(llamacy.ArgumentError, match=match):
                call(PROMPT, progress=bad)
        with pytest.raises(llamacy.ArgumentError, match=match):
            asyncio.run(session.agenerate(PROMPT, progress=bad))
        assert session.tokens == []
        session.generate(PROMPT, max_tokens=1)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(llamacy.ModelFileError) as info:
        llamacy.load(tmp_path / "none.gguf")
    assert isinstance(info.value, OSError)
    assert "none.gguf" in str(info.value)
    with pytest.raises(llamacy.LlamacyError):
        llamacy.load(tmp_path)
    (tmp_path / "text.gguf").write_text("not a model")
    with pytest.raises(llamacy.FormatError, match=r"text\.gguf"):
        llamacy.load(str(tmp_path / "text.gguf"))


def test_a_closed_model_says_so(path: Path) -> None:
    model = llamacy.load(path)
    stream = model.stream(PROMPT)
    next(stream)
    model.close()
    model.close()
    assert "closed" in repr(model)
    calls: list[Any] = [
        lambda: model.generate(PROMPT),
        lambda: model.stream([1]),
        lambda: model.logits([1]),
        lambda: model.tokenize(PROMPT),
        lambda: model.detokenize([1]),
        lambda: list(stream),
        lambda: model.score(PROMPT),
        model.session,
        lambda: model.load_session("x"),
    ]
    for call in calls:
        with pytest.raises(llamacy.ClosedError):
            call()


def test_a_forgotten_model_is_gone(path: Path) -> None:
    model = llamacy.load(path)
    model.generate(PROMPT, max_tokens=2)
    watched = weakref.ref(model.executor)
    del model
    gc.collect()
    assert watched() is None


def test_an_error_does_not_keep_a_model(path: Path) -> None:
    def refuse(ids: object, logits: object) -> None:
        raise KeyError("mine")

    options: Any = {"logits_processors": refuse}
    model: Model | None = llamacy.load(path)
    assert model is not None
    executor = weakref.ref(model.executor)
    gc.collect()
    gc.disable()
    try:
        # not pytest.raises, which keeps the error and its traceback
        with contextlib.suppress(KeyError):
            model.generate([PROMPT, "The dog"], **options)
        with contextlib.suppress(KeyError):
            list(model.stream(PROMPT, **options))
        model = None
        end = time.monotonic() + 10  # the model's thread ends by itself
        while executor() is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert executor() is None
    finally:
        gc.enable()


def test_threads_share_a_model(model: Model) -> None:
    prompts = [PROMPT, "The dog", "Lily", "One day, a boy"] * 2

    def text(prompt: str) -> str:
        ids = model.tokenize(prompt)
        if len(prompt) % 2:
            return model.generate(ids, max_tokens=30, temperature=0).text
        pieces = model.stream(prompt, max_tokens=30, temperature=0)
        return "".join(piece.text for piece in pieces)

    wanted = [text(prompt) for prompt in prompts]
    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(text, prompts)) == wanted


def with_metadata(model: Model, metadata: dict[str, Any]) -> Model:
    return Model(
        model.path,
        model.config,
        model.executor,
        metadata,
        n_ctx=64,
        n_cache_pages=0,
        origin=Origin("", "f16", 32, model.executor.page_bytes),
    )


def test_a_model_without_a_vocabulary_runs_on_ids(model: Model) -> None:
    bare = with_metadata(model, {})
    ids = model.tokenize(PROMPT)
    wanted = model.generate(ids, max_tokens=9, temperature=0)
    out = bare.generate(ids, max_tokens=9, temperature=0)
    assert (out.tokens, out.text) == (wanted.tokens, "")
    assert len(list(bare.stream(ids, max_tokens=9, temperature=0))) == 9
    for call in (bare.tokenize, bare.generate):
        with pytest.raises(llamacy.FormatError, match="tokenizer"):
            call(PROMPT)


def test_a_prompt_is_not_marked_as_ended(path: Path, model: Model) -> None:
    from llamacy.formats.gguf import open_gguf

    with open_gguf(path) as file:
        metadata = {**file.metadata, "tokenizer.ggml.add_eos_token": True}
    ending = with_metadata(model, metadata)
    assert ending.tokenize(PROMPT)[-1] == ending.tokenizer.eos_id
    assert ending.generate(PROMPT, max_tokens=1).usage.prompt_tokens == 5


def test_tokens_and_text(model: Model, golden: dict[str, Any]) -> None:
    assert model.tokenize(PROMPT) == golden["prompt_ids"].tolist()
    assert model.tokenize(PROMPT, add_bos=False) == golden["prompt_ids"].tolist()[1:]
    assert model.detokenize(model.tokenize(PROMPT)) == PROMPT
    assert model.tokenize("</s>", parse_special=True, add_bos=False) == [2]
    with pytest.raises(llamacy.ArgumentError, match="ids: wanted token ids"):
        model.detokenize([N_VOCAB])


def test_loading_reports_its_progress(path: Path) -> None:
    shares: list[float] = []
    llamacy.load(path, progress=shares.append).close()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_model_describes_itself(model: Model) -> None:
    assert model.n_ctx == model.config.n_ctx_train == 512
    for word in ("stories260K", "llama", "n_layer=5", "n_ctx=512"):
        assert word in repr(model)


def test_nothing_is_printed(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with llamacy.load(path, n_ctx=1000) as model:
        model.generate([PROMPT, "x"], max_tokens=3)
    assert capfd.readouterr() == ("", "")


def test_unknown_family_is_refused_as_such(
    tmp_path: Path, write_gguf: Callable[..., Path]
) -> None:
    """Whatever keys of its own it has: none of them is looked at."""
    path = write_gguf(tmp_path / "model.gguf", {"general.architecture": "mamba"}, {})
    with pytest.raises(
        llamacy.UnsupportedError,
        match=r"general\.architecture: wanted one of .*llama.*, found mamba$",
    ):
        llamacy.load(path)


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
        with pytest.raises(llamacy.ArgumentError, match="at least one token"):
            await model.agenerate([])
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


def test_closing_ends_what_other_threads_generate(path: Path) -> None:
    model = llamacy.load(path, n_ctx=512)
    started = threading.Event()

    def run(number: int) -> type[BaseException]:
        def note(share: float) -> None:
            started.set()

        try:
            while True:
                model.generate([number + 5] * 9, max_tokens=400, progress=note)
        except llamacy.LlamacyError as error:
            return type(error)

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run, number) for number in range(4)]
        assert started.wait(10)
        model.close()
        assert {one.result() for one in runs} == {llamacy.ClosedError}
