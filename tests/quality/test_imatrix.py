"""Importance matrices: the sums are those of the reference's inputs, and are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.imatrix import InputSums
from llamacy.model.executors import load_executor
from llamacy.model.model import Model
from llamacy.ops.batch import Batch
from llamacy.ops.experts import Experts
from llamacy.ops.reference import executor as reference
from llamacy.ops.reference.operations import ReferenceOps
from llamacy.ops.reference.routing import route
from tests.support.model_shapes import model_shapes

TEXT = "Cosmo was not afraid of much, only of deep water and of owls. " * 30


class Observed(ReferenceOps):
    """The reference's operations, which note what matrices are multiplied with."""

    inputs: list[tuple[Any, NDArray[Any]]]

    def linear(self, x: Any, weight: Any, bias: Any = None, scale: Any = None) -> Any:
        self.inputs.append((weight, x))
        return super().linear(x, weight, bias, scale)

    def head_linear(self, x: Any, weight: Any) -> Any:
        self.inputs.append((weight, x))
        return super().head_linear(x, weight)

    def experts(self, x: Any, scores: Any, experts: Experts[Any]) -> Any:
        self.inputs.append((experts.gate, route(scores, experts)[0]))
        return super().experts(x, scores, experts)


def reference_inputs(
    path: Path, chunks: NDArray[np.int32], monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.intp]]]:
    """Return each matrix's sums of squares, and how often experts were chosen."""
    monkeypatch.setattr(reference, "ReferenceOps", Observed)
    Observed.inputs = []
    with open_gguf(path) as file:
        executor = load_executor(file, read_config(file), executor="reference")
    weights: Any = executor._weights
    names = {id(each): name for name, each in weights.items()}
    for chunk in chunks.tolist():
        executor.forward(Batch.of(chunk, executor.new_sequence(), "all"))
    sums: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for weight, x in Observed.inputs:
        name = names.get(id(weight))
        if name is None:
            continue
        if x.dtype == np.float32:
            sums[name] = sums.get(name, 0) + (x.astype(np.float64) ** 2).sum(axis=0)
        else:
            counts = np.bincount(x.reshape(-1), minlength=len(weight))
            chosen[name] = chosen.get(name, 0) + counts
    return sums, chosen


@pytest.fixture
def demo() -> Any:
    with llamacy.load("demo", n_threads=1, kv_type="f32") as model:
        yield model


def chunks_of(model: Model, n_ctx: int) -> NDArray[np.int32]:
    ids = model.tokenize(TEXT)
    chunks = np.array(ids[: len(ids) // n_ctx * n_ctx], np.int32).reshape(-1, n_ctx)
    bos_id = model.tokenizer.bos_id
    if model.tokenizer.add_bos and bos_id is not None:
        chunks[:, 0] = bos_id
    return chunks


def test_sums_are_those_of_the_references_inputs(
    stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with llamacy.load(stories, n_threads=1, kv_type="f32", n_batch=24) as model:
        chunks = chunks_of(model, 64)
        made = llamacy.imatrix(model, TEXT, n_ctx=64, process_output=True)
    sums, _ = reference_inputs(stories, chunks, monkeypatch)
    assert set(made.entries) == set(sums)
    assert {"token_embd.weight", "blk.4.ffn_down.weight"} <= set(sums)  # tied
    for name, want in sums.items():
        got = made.entries[name]
        assert got.counts.tolist() == [chunks.size]
        np.testing.assert_allclose(got.sums[0], want, rtol=2e-3, atol=1e-3)


def test_experts_have_sums_of_their_own_rows(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n, ff, n_expert = 64, 32, 4
    shapes = {
        "token_embd.weight": (50, n),
        "blk.0.attn_norm.weight": (n,),
        "blk.0.attn_q.weight": (n, n),
        "blk.0.attn_k.weight": (n // 2, n),
        "blk.0.attn_v.weight": (n // 2, n),
        "blk.0.attn_output.weight": (n, n),
        "blk.0.ffn_norm.weight": (n,),
        "blk.0.ffn_gate_inp.weight": (n_expert, n),
        "blk.0.ffn_gate_exps.weight": (n_expert, ff, n),
        "blk.0.ffn_up_exps.weight": (n_expert, ff, n),
        "blk.0.ffn_down_exps.weight": (n_expert, n, ff),
        "output_norm.weight": (n,),
        "output.weight": (50, n),
    }
    metadata = llama_metadata(
        block_count=1, embedding_length=n, feed_forward_length=ff
    ) | {"llama.expert_count": n_expert, "llama.expert_used_count": 2}
    tensors = random_tensors(shapes.items())
    path = write_gguf(tmp_path / "mixture.gguf", metadata, tensors)
    ids = np.random.default_rng(0).integers(0, 50, 40).astype(np.int32)
    with llamacy.load(path, n_threads=1, kv_type="f32") as model:
        made = llamacy.imatrix(model, ids.tolist(), n_ctx=20)
    sums, chosen = reference_inputs(path, ids.reshape(2, 20), monkeypatch)
    counts = chosen["blk.0.ffn_gate_exps.weight"]
    assert counts.sum() == 80
    for part in ("gate", "up", "down"):
        entry = made.entries[f"blk.0.ffn_{part}_exps.weight"]
        np.testing.assert_array_equal(entry.counts, counts)
        assert entry.sums.shape == (n_expert, n if part != "down" else ff)
    # the rows of all experts are those of the router, each as often as it chose
    gate = made.entries["blk.0.ffn_gate_exps.weight"].sums.sum(axis=0)
    router = made.entries["blk.0.ffn_gate_inp.weight"].sums[0]
    np.testing.assert_allclose(gate, 2 * router, rtol=1e-4)
    np.testing.assert_allclose(router, sums["blk.0.ffn_gate_inp.weight"], rtol=1e-3)


def test_matrices_of_heads_have_the_sums_of_each_side_by_side(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All heads see every row: llama.cpp, too, writes one count for all of them."""
    n_head, n_plain, n_latent = 4, 24, 32
    sizes = {
        "block_count": 1,
        "attention__head_count_kv": 1,
        "attention__kv_lora_rank": n_latent,
        "attention__key_length": n_latent + 8,
        "attention__value_length": n_latent,
        "attention__key_length_mla": n_plain + 8,
        "attention__value_length_mla": 16,
        "rope__dimension_count": 8,
    }
    metadata = llama_metadata("deepseek2", **sizes)
    tensors = random_tensors(model_shapes(write_gguf, tmp_path, metadata).items())
    path = write_gguf(tmp_path / "latent.gguf", metadata, tensors)
    ids = np.random.default_rng(0).integers(0, 50, 40).astype(np.int32)
    with llamacy.load(path, n_threads=1, kv_type="f32") as model:
        made = llamacy.imatrix(model, ids.tolist(), n_ctx=20)
    sums, _ = reference_inputs(path, ids.reshape(2, 20), monkeypatch)
    for name in ("blk.0.attn_k_b.weight", "blk.0.attn_v_b.weight"):
        got, shape = made.entries[name], tensors[name].shape
        assert got.counts.tolist() == [40]
        assert got.sums.shape == (1, n_head * shape[-1])
        np.testing.assert_allclose(got.sums[0], sums[name], rtol=2e-3, atol=1e-3)
        importance = made.importance(name, shape)
        assert importance is not None
        np.testing.assert_allclose(importance * 40, got.sums.reshape(n_head, -1), 1e-6)


def test_a_text_in_two_calls_gives_the_sums_of_one(demo: Model, tmp_path: Path) -> None:
    whole = llamacy.imatrix(demo, TEXT, n_ctx=64, n_chunks=5, dataset="cosmo.txt")
    first, rest = tmp_path / "first.gguf", tmp_path / "rest.gguf"
    llamacy.imatrix(demo, TEXT, first, n_ctx=64, n_chunks=2)
    made = llamacy.imatrix(
        demo, TEXT, rest, n_ctx=64, first_chunk=2, n_chunks=3, before=[first]
    )
    assert (made.n_chunks, whole.n_chunks) == (5, 5)
    assert whole.datasets == ("cosmo.txt",)
    read = llamacy.ImportanceMatrix.load(rest)
    for name, (sums, counts) in whole.entries.items():
        np.testing.assert_allclose(read.entries[name].sums, sums, rtol=1e-6)
        np.testing.assert_array_equal(read.entries[name].counts, counts)


def test_earlier_chunks_of_another_size_log_a_warning(
    demo: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = tmp_path / "first.gguf"
    options: dict[str, Any] = {"n_chunks": 1, "before": [first]}
    llamacy.imatrix(demo, TEXT, first, n_ctx=64, n_chunks=1)
    llamacy.imatrix(demo, TEXT, n_ctx=64, **options)
    assert not caplog.records
    llamacy.imatrix(demo, TEXT, n_ctx=32, **options)
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "first.gguf: chunks of 64 tokens are added to chunks of 32"
    )


def test_an_earlier_matrix_of_another_model_is_refused_before_the_work(
    demo: Model, tmp_path: Path
) -> None:
    sums = llamacy.imatrix(demo, TEXT, n_ctx=64, n_chunks=1).entries
    one = {name: InputSums(each[:, :-1], n) for name, (each, n) in sums.items()}
    llamacy.ImportanceMatrix(one, chunk_size=64).save(tmp_path / "other.gguf")
    shares: list[float] = []
    with pytest.raises(llamacy.FormatError, match=r"other\.gguf: sums of blk"):
        llamacy.imatrix(
            *(demo, TEXT),
            n_ctx=64,
            before=[tmp_path / "other.gguf"],
            progress=shares.append,
        )
    assert not shares


def test_sums_do_not_depend_on_threads_nor_change_the_model(demo: Model) -> None:
    before = demo.generate("Once upon", max_tokens=8, temperature=0).text
    one = llamacy.imatrix(demo, TEXT, n_ctx=64, n_chunks=2)
    with llamacy.load("demo", n_threads=2, kv_type="f32") as other:
        two = llamacy.imatrix(other, TEXT, n_ctx=64, n_chunks=2)
    for name, (sums, _) in one.entries.items():
        np.testing.assert_array_equal(two.entries[name].sums, sums)
    assert demo.generate("Once upon", max_tokens=8, temperature=0).text == before


def test_ctrl_c_keeps_the_chunks_that_were_read(demo: Model, tmp_path: Path) -> None:
    path = tmp_path / "kept.gguf"
    shares: list[float] = []

    def interrupt(share: float) -> None:
        shares.append(share)
        if len(shares) == 3:
            raise KeyboardInterrupt

    with pytest.raises(llamacy.Interrupted) as caught:
        llamacy.imatrix(
            demo, TEXT, path, n_ctx=64, n_chunks=6, save_every=2, progress=interrupt
        )
    assert caught.value.completion.n_chunks == 3
    assert llamacy.ImportanceMatrix.load(path).n_chunks == 3
    assert shares == [1 / 6, 2 / 6, 3 / 6]


def test_it_is_saved_as_it_grows(demo: Model, tmp_path: Path) -> None:
    path = tmp_path / "grows.dat"
    saved: list[int] = []

    def look(so_far: llamacy.ImportanceMatrix) -> None:
        found = llamacy.ImportanceMatrix.load(path).n_chunks if path.exists() else 0
        saved.append(so_far.n_chunks - found)

    llamacy.imatrix(demo, TEXT, path, n_ctx=64, n_chunks=5, save_every=2, on_chunk=look)
    assert saved == [1, 0, 1, 0, 1]
    assert llamacy.ImportanceMatrix.load(path).n_chunks == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_chunk": 99}, r"first_chunk: wanted 0 to \d+, found 99"),
        ({"save_every": 0}, "save_every"),
        ({"before": 3}, "before: wanted paths"),
        ({"dataset": 3}, "dataset: wanted a name"),
        ({"target": 3}, "target: wanted a path"),
        ({"process_output": 1}, "process_output"),
        ({"n_chunks": 0}, "n_chunks"),
    ],
)
def test_invalid_options_are_refused(
    demo: Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        llamacy.imatrix(demo, TEXT, n_ctx=64, **options)


def test_a_model_that_computes_nan_is_refused(
    tmp_path: Path, stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf

    path = tmp_path / "nan.gguf"
    path.write_bytes(stories.read_bytes())
    reader = gguf.GGUFReader(path, "r+")
    norm = next(each for each in reader.tensors if each.name == "blk.2.ffn_norm.weight")
    norm.data[0] = np.inf
    reader.data.flush()
    with (
        llamacy.load(path) as model,
        pytest.raises(llamacy.ModelOutputError, match=r"blk\.2\.ffn"),
    ):
        llamacy.imatrix(model, TEXT, n_ctx=64, n_chunks=1)
