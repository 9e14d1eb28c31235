"""Texts of a model with windows in all layers: the same texts in bounded memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import llamacy
from llamacy.cli import app
from llamacy.model.model import Model
from llamacy.ops.plan.plan import Plan
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.windows import MARGIN
from tests.support import random_model
from tests.support.model_shapes import model_shapes

WINDOW = 48
N_LONG = WINDOW + MARGIN + 400
GREEDY: dict[str, Any] = {
    "temperature": 0,
    "logit_bias": {2: -100},
}  # texts without end


@pytest.fixture(scope="module")
def write_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Callable[..., Path]:
    """Write a model; keyword arguments are keys of its metadata."""

    def write(**keys: Any) -> Path:
        metadata = llama_metadata(context_length=2048, **keys)
        metadata |= random_model.vocabulary_metadata()
        folder = tmp_path_factory.mktemp("models")
        shapes = model_shapes(write_gguf, folder, metadata)
        tensors = random_tensors(shapes.items())
        return write_gguf(folder / "model.gguf", metadata, tensors, "F32")

    return write


@pytest.fixture(scope="module")
def path(write_model: Callable[..., Path]) -> Path:
    return write_model(attention__sliding_window=WINDOW)


@pytest.fixture
def model(path: Path) -> Iterator[Model]:
    with llamacy.load(path, n_threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def ids() -> list[int]:
    tokens: list[int] = np.random.default_rng(0).integers(260, 400, N_LONG).tolist()
    return tokens


def kept(model: Model) -> Model:
    """Make the model keep all pages, like a model without windows."""
    assert isinstance(model.executor, Plan)
    model.executor._pool.window = None
    return model


@pytest.fixture
def continuation(path: Path) -> Callable[[list[int], int], list[int]]:
    """Return the continuation of a prompt read at once, with all pages kept."""

    def follow(ids: list[int], n: int) -> list[int]:
        with kept(llamacy.load(path, n_threads=1, prompt_cache=0)) as model:
            out: llamacy.Completion = model.generate(ids, max_tokens=n, **GREEDY)
            return out.tokens

    return follow


def n_pages(model: Model) -> int:
    assert isinstance(model.executor, Plan)
    return model.executor.n_pages_used


def test_memory_of_a_text_stays_bounded(
    path: Path, ids: list[int], continuation: Callable[..., list[int]]
) -> None:
    with llamacy.load(path, n_threads=1, prompt_cache=0) as model:
        info, most = llamacy.inspect(path), 0
        with model.session() as session:
            session.feed(ids)
            stream = session.stream(max_tokens=600, **GREEDY)
            tokens: list[int] = []
            for piece in stream:
                tokens += piece.tokens
                most = max(most, n_pages(model))
            assert session.n_past == N_LONG + 600
        assert info.window == WINDOW
        assert -(-(WINDOW + MARGIN) // PAGE) <= most
        assert most * info.kv_page_bytes["f16"] <= info.kv_bytes(N_LONG + 600)
        assert info.kv_bytes(N_LONG + 600) == info.kv_bytes(2048)
    assert tokens == continuation(ids, 600)


def test_a_larger_batch_holds_more_pages(path: Path, ids: list[int]) -> None:
    info = llamacy.inspect(path)
    with llamacy.load(path, n_threads=1, n_batch=2048, prompt_cache=0) as model:
        with model.session() as session:
            session.feed(ids * 2)
        load = model.engine.load()
    most = (load.n_pages_used + load.n_pages_free) * info.kv_page_bytes["f16"]
    n_tokens = 2 * N_LONG
    assert info.kv_bytes(n_tokens) < most <= info.kv_bytes(n_tokens, n_batch=2048)


def test_llamacy_show_takes_the_window_into_account(path: Path) -> None:
    def show(*words: str) -> str:
        return CliRunner().invoke(app, ["show", str(path), *words]).stdout

    memory = json.loads(show("--json"))["memory"]
    assert memory["window"] == WINDOW
    assert memory["kv_bytes"]["f16"] == llamacy.inspect(path).kv_bytes(2048)
    (line,) = [one for one in show().splitlines() if one.startswith("memory:")]
    assert line.endswith(f"with a window of {WINDOW}")


def test_a_single_layer_without_a_window_keeps_all_pages(
    write_model: Callable[..., Path], ids: list[int]
) -> None:
    path = write_model(
        attention__sliding_window=WINDOW,
        attention__sliding_window_pattern=[True, False],
    )
    info = llamacy.inspect(path)
    assert info.window is None
    with llamacy.load(path, n_threads=1) as model, model.session() as session:
        session.feed(ids)
        n_bytes = n_pages(model) * info.kv_page_bytes["f16"]
    assert n_bytes == info.kv_bytes(N_LONG)


@pytest.mark.parametrize("n_back", [5, MARGIN - 5, MARGIN + WINDOW + 100])
def test_a_session_can_be_rewound_to_freed_pages(
    model: Model,
    ids: list[int],
    n_back: int,
    continuation: Callable[..., list[int]],
) -> None:
    with model.session() as session:
        session.feed(ids)
        session.rewind(n_back)
        out = session.generate([300, 301], max_tokens=20, **GREEDY)
        is_near = n_back <= MARGIN
        assert (out.usage.cached_tokens > 0) is is_near
    assert out.tokens == continuation([*ids[: N_LONG - n_back], 300, 301], 20)


def test_forks_are_independent_after_pages_were_freed(
    model: Model, ids: list[int], continuation: Callable[..., list[int]]
) -> None:
    with model.session() as session:
        session.feed(ids)
        with session.fork() as near, session.fork() as far:
            far.rewind(N_LONG - 50)
            session.feed(ids[::-1])
            for one, text in ((near, ids), (far, ids[:50]), (session, ids + ids[::-1])):
                out = one.generate([300, 301], max_tokens=10, **GREEDY)
                assert out.tokens == continuation([*text, 300, 301], 10)
    assert n_pages(model) == 0


def test_a_saved_session_continues_after_pages_were_freed(
    model: Model,
    ids: list[int],
    tmp_path: Path,
    continuation: Callable[..., list[int]],
) -> None:
    file = tmp_path / "text.session"
    with model.session() as session:
        session.feed(ids)
        session.save(file)
        assert len(zipfile.ZipFile(file).namelist()) == n_pages(model) + 2
    with model.load_session(file) as session:
        assert session.tokens == ids
        out = session.generate(max_tokens=20, **GREEDY)
        assert out.usage.cached_tokens == N_LONG - 1
        session.rewind(N_LONG - 30)
        again = session.generate(max_tokens=20, **GREEDY)
    assert out.tokens == continuation(ids, 20)
    assert again.tokens == continuation(ids[:50], 20)


@pytest.mark.parametrize("n_gone", [None, -1, True, "1", 1000, 2**70])
def test_a_session_file_that_lacks_visible_pages_is_refused(
    model: Model, ids: list[int], tmp_path: Path, n_gone: Any
) -> None:
    file, bad = tmp_path / "text.session", tmp_path / "bad.session"
    with model.session() as session:
        session.feed(ids)
        session.save(file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(bad, "w") as changed:
        for part in source.namelist():
            data = source.read(part)
            if part == "header.json":
                data = json.dumps(json.loads(data) | {"n_gone": n_gone}).encode()
            changed.writestr(part, data)
    with pytest.raises(llamacy.FormatError, match="header n_gone: wanted"):
        model.load_session(bad)
    assert n_pages(model) == 0


def test_a_common_beginning_is_reused_as_far_as_its_pages_exist(
    model: Model, ids: list[int], continuation: Callable[..., list[int]]
) -> None:
    """Pages of past texts that exist are reused, freed ones are computed again."""
    model.generate(ids, max_tokens=1)
    for n, is_held in ((N_LONG - 100, True), (100, False), (60, True), (N_LONG, True)):
        prompt = [*ids[:n], 300]
        out = model.generate(prompt, max_tokens=10, **GREEDY)
        assert (out.usage.cached_tokens > 0) is is_held, n
        assert out.tokens == continuation(prompt, 10)


def test_prompts_read_together_share_their_beginning(
    model: Model, ids: list[int], continuation: Callable[..., list[int]]
) -> None:
    prompts = [ids, [*ids[:700], 300], [*ids[:60], 301], [*ids[:60], 302]]
    outs = model.generate(prompts, max_tokens=10, **GREEDY)
    for prompt, out in zip(prompts, outs, strict=True):
        assert out.tokens == continuation(prompt, 10)
