"""Families like those that write texts, whose rows see all of their text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.config import Pooling
from llamacy.errors import ArgumentError, FormatError, UnsupportedError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import TextBatch
from tests.support.embedded import embed
from tests.support.families import HEADS, LFM2
from tests.support.model_shapes import model_shapes

Array = NDArray[np.float32]
BOTH_WAYS: dict[str, Any] = {"attention__causal": False}
LENGTHS = 1, 2, 3, 100, 5, 64
N_EMBD, N_OUT = 64, 24
MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "gemma-embedding": (
        "gemma-embedding",
        {**HEADS, "block_count": 7, "attention__sliding_window": 21, "pooling_type": 1},
        (),
    ),
    "eurobert": ("eurobert", {}, ()),
    "eurobert, scores": (
        "eurobert",
        {"pooling_type": 4, "embedding__scores_rows": True},
        ("cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias"),
    ),
    "llama-embed": ("llama-embed", {"attention__head_count_kv": 1}, ()),
    "llama": ("llama", BOTH_WAYS, ()),
    "qwen3, scores": (
        "qwen3",
        {"pooling_type": 4, "classifier__output_labels": ["yes", "no"]},
        ("cls.output.weight",),
    ),
    "lfm2": ("lfm2", LFM2 | BOTH_WAYS, ()),
    "lfm2, rows": (
        "lfm2",
        LFM2 | BOTH_WAYS | {"embedding_length_out": N_OUT},
        ("dense_2.weight",),
    ),
}


@pytest.fixture(scope="session")
def make_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, Array]],
) -> Callable[..., Path]:
    def make(name: str, without: str = "", **changes: Any) -> Path:
        family, keys, extra = MODELS[name]
        folder = tmp_path_factory.mktemp(family)
        metadata = llama_metadata(family, **keys | changes)
        shapes = model_shapes(write_gguf, folder, metadata, extra)
        tensors = random_tensors(shapes.items())
        tensors.pop(without, None)
        return write_gguf(folder / "model.gguf", metadata, tensors)

    return make


@pytest.fixture(scope="session")
def wanted(make_model: Callable[..., Path]) -> Callable[[str], tuple[Path, Array]]:
    """Return a model and its rows by the reference, computed once for all levels."""

    @cache
    def of(name: str) -> tuple[Path, Array]:
        path = make_model(name)
        return path, embedded(path, "reference")

    return of


def texts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 50, n).tolist() for n in LENGTHS]


def load(path: Path) -> Any:
    with open_gguf(path) as file:
        config = read_hyperparameters(file)[1]
        return load_executor(file, config, n_threads=2)


def embedded(path: Path, kind: Any = "plan", pooling: Pooling = "none") -> Array:
    return embed(path, TextBatch.of(texts()), pooling, kind)


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("name", MODELS)
def test_plan_and_reference_agree(
    wanted: Callable[[str], tuple[Path, Array]], name: str
) -> None:
    path, rows = wanted(name)
    found = embedded(path)
    assert rows.shape == (sum(LENGTHS), N_OUT if name == "lfm2, rows" else N_EMBD)
    assert rows.std() > 0.1
    np.testing.assert_allclose(found, rows, rtol=0, atol=1e-4 * float(rows.std()))


def test_rows_of_a_model_without_pooling_are_as_wide_as_its_dense_layer(
    make_model: Callable[..., Path],
) -> None:
    with llamacy.load(make_model("lfm2, rows")) as model:
        assert model.config.embedding.pooling == "none"
        (rows,) = model.embed([[1, 2, 3]])
        assert rows.shape == (3, N_OUT)
        with pytest.raises(ArgumentError, match=f"from 1 to {N_OUT}, found"):
            model.embed([[1, 2, 3]], dimensions=N_OUT + 1)


@pytest.mark.parametrize("name", ["gemma-embedding", "llama-embed", "lfm2"])
def test_a_row_sees_those_after_it(make_model: Callable[..., Path], name: str) -> None:
    executor = load(make_model(name))
    [text] = texts()[3:4]
    other = [*text[:-1], (text[-1] + 1) % 50]
    rows, others = (
        executor.embed(TextBatch.of([each]), "none") for each in (text, other)
    )
    assert np.abs(rows[0] - others[0]).max() > 0
    assert not executor.has_logits


def test_a_classifier_may_read_each_row(make_model: Callable[..., Path]) -> None:
    """The scores of a text are the mean of those of its rows."""
    path = make_model("eurobert, scores")
    found = embedded(path, pooling="rank")
    np.testing.assert_allclose(
        found, embedded(path, "reference", "rank"), rtol=0, atol=1e-4
    )
    plain = load(make_model("eurobert, scores", embedding__scores_rows=False))
    of_rows = [plain.embed(TextBatch.of([[each]]), "rank") for each in (3, 7)]
    assert not np.allclose(found[0], of_rows[0])
    alone = load(path).embed(TextBatch.of([[3], [7]]), "rank")
    np.testing.assert_allclose(alone, np.concatenate(of_rows), rtol=1e-5)


def test_a_model_that_writes_texts_scores_their_last_rows(
    make_model: Callable[..., Path],
) -> None:
    path = make_model("qwen3, scores")
    with open_gguf(path) as file:
        weight = file.tensors["cls.output.weight"].dequantize()
    last = np.cumsum(LENGTHS) - 1
    wanted = embedded(path)[last] @ weight.T
    np.testing.assert_allclose(embedded(path, pooling="rank"), wanted, rtol=1e-4)


def test_a_text_in_pieces_of_a_batch_is_the_same(
    make_model: Callable[..., Path],
) -> None:
    """Convolutions see what is after a row in texts longer than most passes, too."""
    executor = load(make_model("lfm2", context_length=2048))
    long = np.random.default_rng(1).integers(0, 50, 1200).tolist()
    alone = executor.embed(TextBatch.of([long]), "none")
    together = executor.embed(TextBatch.of([*texts(), long]), "none")
    np.testing.assert_array_equal(together[-1200:], alone)


def test_what_encoders_cannot_have_is_refused(make_model: Callable[..., Path]) -> None:
    with pytest.raises(UnsupportedError, match=r"l_cache: wanted an odd number"):
        make_model("lfm2", shortconv__l_cache=4)
    norm = "output_norm.weight"
    with pytest.raises(FormatError, match=f"tensor {norm}"):
        load(make_model("eurobert", without=norm))
    with pytest.raises(ArgumentError, match="'rank'"):
        embedded(make_model("llama-embed"), pooling="rank")
