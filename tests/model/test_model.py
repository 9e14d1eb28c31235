"""A model as a script uses it: loaded, asked, closed, garbage-collected."""

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
from llamacy.model.model import Model
from llamacy.sessions.file import Origin

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


def test_logits_are_those_of_llama_cpp(path: Path, golden: dict[str, Any]) -> None:
    with llamacy.load(path, kv_type="f32") as model:
        logits = model.logits(golden["ids"].tolist())
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, golden["logits_F32"], atol=1e-3)


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("n_ctx", value) for value in (0, -1, 1.5, True, 2**31, "8")),
        *(("n_threads", value) for value in (0, -2, 1.0, True, 10**6)),
        *(("kv_type", value) for value in ("f8", None, 1)),
    ],
)
def test_invalid_options_of_load_are_refused_by_name(
    path: Path, name: str, value: Any
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=f"^{name}: wanted"):
        llamacy.load(path, **{name: value})


def test_invalid_arguments_are_refused_by_name(model: Model) -> None:
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
    with pytest.raises(llamacy.UnknownOptionError, match="mean temperature"):
        model.generate(PROMPT, temprature=1)  # type: ignore[call-overload]


@pytest.mark.parametrize("text", [None, b"a", {1: 2}, [1.0], ["a", []]])
def test_score_refuses_values_that_are_not_texts_or_ids(
    model: Model, text: Any
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=r"^text(s\[[01]\])?: wanted"):
        model.score(text)


def test_progress_must_be_callable(model: Model, path: Path) -> None:
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


def test_files_that_are_not_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(llamacy.ModelFileError) as info:
        llamacy.load(tmp_path / "none.gguf")
    assert isinstance(info.value, OSError)
    assert "none.gguf" in str(info.value)
    with pytest.raises(llamacy.LlamacyError):
        llamacy.load(tmp_path)
    (tmp_path / "text.gguf").write_text("not a model")
    with pytest.raises(llamacy.FormatError, match=r"text\.gguf"):
        llamacy.load(str(tmp_path / "text.gguf"))


def test_a_closed_model_raises_closed_error(path: Path) -> None:
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


def test_a_garbage_collected_model_ends_its_thread(path: Path) -> None:
    model = llamacy.load(path)
    model.generate(PROMPT, max_tokens=2)
    watched = weakref.ref(model.executor)
    del model
    gc.collect()
    assert watched() is None


def test_an_error_does_not_keep_a_model_alive(path: Path) -> None:
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
        cache_bytes=0,
        max_active=1,
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


def test_no_end_of_text_token_is_added_to_a_prompt(path: Path, model: Model) -> None:
    from llamacy.formats.gguf.file import open_gguf

    with open_gguf(path) as file:
        metadata = {**file.metadata, "tokenizer.ggml.add_eos_token": True}
    ending = with_metadata(model, metadata)
    assert ending.tokenize(PROMPT)[-1] == ending.tokenizer.eos_id
    assert ending.generate(PROMPT, max_tokens=1).usage.prompt_tokens == 5


def test_tokenize_and_detokenize_are_inverse(
    model: Model, golden: dict[str, Any]
) -> None:
    assert model.tokenize(PROMPT) == golden["prompt_ids"].tolist()
    assert model.tokenize(PROMPT, add_bos=False) == golden["prompt_ids"].tolist()[1:]
    assert model.detokenize(model.tokenize(PROMPT)) == PROMPT
    assert model.tokenize("</s>", parse_special=True, add_bos=False) == [2]
    with pytest.raises(llamacy.ArgumentError, match="ids: wanted token ids"):
        model.detokenize([N_VOCAB])


def test_loading_reports_progress_up_to_1(path: Path) -> None:
    shares: list[float] = []
    llamacy.load(path, progress=shares.append).close()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_model_describes_itself(model: Model) -> None:
    assert model.n_ctx == model.config.n_ctx_train == 512
    for word in ("stories260K", "llama", "n_layer=5", "n_ctx=512"):
        assert word in repr(model)


def test_loading_and_generating_print_nothing(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with llamacy.load(path, n_ctx=1000) as model:
        model.generate([PROMPT, "x"], max_tokens=3)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_family_is_refused_by_its_name(
    tmp_path: Path, write_gguf: Callable[..., Path]
) -> None:
    """None of its own keys is read."""
    path = write_gguf(tmp_path / "model.gguf", {"general.architecture": "plamo2"}, {})
    with pytest.raises(
        llamacy.UnsupportedError,
        match=r"general\.architecture: wanted one .*near it olmo2, found plamo2$",
    ):
        llamacy.load(path)


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


def test_a_pass_beyond_the_context_cannot_be_explained() -> None:
    with llamacy.load("demo", n_ctx=64, n_batch=128, n_threads=1) as model:
        with pytest.raises(llamacy.ArgumentError, match=r"^n_rows: .* to 64, found 65"):
            model.explain(65)
        with pytest.raises(llamacy.ArgumentError, match=r"^n_past: .* to 62, found 63"):
            model.explain(2, n_past=63)
        with pytest.raises(llamacy.ArgumentError, match=r"^n_rows: .*, found '1'"):
            model.explain("1")  # type: ignore[arg-type]
    with pytest.raises(llamacy.ClosedError):
        model.explain()
