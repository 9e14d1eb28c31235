"""Gemma 4: layers that read the keys of others, and a table that stays in its file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.config import ModelConfig, RopeConfig
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.ggml.tensor import MappedRows, MappedTensor
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.model.executors import LoadedExecutor, load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.adapters import LowRank
from llamacy.ops.batch import Batch
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.plan import Plan
from llamacy.ops.state.layout import StateLayout
from tests.support.model_shapes import model_shapes
from tests.support.random_blocks import FACTORS, random_blocks

Array = NDArray[np.float32]
Make = Callable[..., Path]

N_LAYER, N_SHARED, N_EMBD_PER_LAYER, N_VOCAB = 6, 3, 32, 50
TABLE = "per_layer_token_embd.weight"
KEYS: dict[str, Any] = {
    "block_count": N_LAYER,
    "attention__key_length": 32,
    "attention__value_length": 32,
    "attention__key_length_swa": 16,
    "attention__value_length_swa": 16,
    "rope__dimension_count": 32,
    "rope__dimension_count_swa": 16,
    "attention__sliding_window": 20,
    "attention__sliding_window_pattern": [True, True, False, True, True, False],
    "attention__shared_kv_layers": N_SHARED,
    "embedding_length_per_layer_input": N_EMBD_PER_LAYER,
}

each_executor = pytest.mark.parametrize("kind", ["reference", "plan"])


@pytest.fixture
def make_file(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, Array]],
) -> Make:
    """Write a small model; keys may be others than `KEYS`, and tensors be added."""

    def make(
        type_name: str = "F32", added: dict[str, Array] | None = None, **changed: Any
    ) -> Path:
        metadata = llama_metadata("gemma4", **KEYS | changed)
        shapes = model_shapes(write_gguf, tmp_path, metadata)
        tensors = random_tensors(shapes.items())
        for name in tensors:  # scores are not scaled: the training makes them small
            tensors[name] *= 0.2 if name.endswith("attn_q_norm.weight") else 1
        tensors |= added or {}
        return write_gguf(tmp_path / "model.gguf", metadata, tensors, type_name)

    return make


def load(path: Path, kind: Any = "plan", **options: Any) -> LoadedExecutor:
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        executor: LoadedExecutor = load_executor(file, config, executor=kind, **options)
        return executor


def read(path: Path) -> ModelConfig:
    with open_gguf(path) as file:
        return read_hyperparameters(file)[1]


def whole(executor: LoadedExecutor, ids: list[int]) -> Array:
    return executor.forward(Batch.of(ids, executor.new_sequence(), "all"))


def random_ids(n: int) -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, N_VOCAB, n).tolist()
    return ids


def test_the_last_layers_read_the_last_of_their_kind(make_file: Make) -> None:
    mixers = [layer.attention for layer in read(make_file()).layers]
    sources = [getattr(mixer, "source", None) for mixer in mixers]
    assert sources == [None, None, None, 1, 1, 2]
    assert [mixer.window for mixer in mixers] == [20, 20, None, 20, 20, None]
    assert [mixer.head_dim for mixer in mixers] == [16, 16, 32, 16, 16, 32]
    assert {mixer.scale for mixer in mixers} == {1.0}


def test_only_layers_with_keys_of_their_own_keep_any(make_file: Make) -> None:
    path = make_file()
    one_head = 2 * (16 + 16 + 32)  # keys and values of three layers
    info = llamacy.inspect(path)
    n_head_kv = read(path).n_head_kv
    assert info.kv_page_bytes["f16"] == 2 * one_head * n_head_kv * info.page_tokens
    executor = load(path)
    assert isinstance(executor, Plan)
    assert executor.page_bytes == info.kv_page_bytes["f16"]
    layout: StateLayout = executor._layout
    assert [spec.layer for spec in layout.specs] == [0, 1, 2]


@pytest.mark.parametrize(
    ("n_shared", "found"),
    [(4, "4"), (6, "6")],  # no layer without a window is left; none at all is
)
def test_layers_must_find_one_to_share_with(
    make_file: Make, n_shared: int, found: str
) -> None:
    with pytest.raises(FormatError) as caught:
        make_file(attention__shared_kv_layers=n_shared)
    assert caught.value.field == "gemma4.attention.shared_kv_layers"
    assert caught.value.found == found


def test_shared_keys_must_be_of_one_size(make_file: Make) -> None:
    with pytest.raises(FormatError, match=r"keys as large as those of layer 1"):
        make_file(attention__head_count_kv=[2, 2, 2, 1, 2, 2])


def test_matrices_that_nothing_reads_are_passed_over(make_file: Make) -> None:
    ids = random_ids(30)
    want = whole(load(make_file(), "reference"), ids)
    unread = {
        "blk.4.attn_k.weight": np.ones((32, 64), np.float32),
        "blk.4.attn_v.weight": np.ones((32, 64), np.float32),
        "blk.4.attn_k_norm.weight": np.ones(16, np.float32),
    }
    executor = load(make_file(added=unread), "reference")
    assert not unread.keys() & executor.shapes.keys()
    np.testing.assert_array_equal(whole(executor, ids), want)


@pytest.mark.usefixtures("selected_level")
@each_executor
def test_texts_fork_and_go_back(make_file: Make, kind: str) -> None:
    """Layers without keys follow those that have some, whatever becomes of the text."""
    executor, ids = load(make_file(), kind), random_ids(60)
    sequence = executor.new_sequence()
    executor.forward(Batch.of(ids[:40], sequence, "none"))
    fork = sequence.fork()
    batch = Batch.join([(ids[40:], sequence, "all"), ([7, 8, 9], fork, "all")])
    both = executor.forward(batch)
    options: dict[str, Any] = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(both[:20], whole(executor, ids)[40:], **options)
    want = whole(executor, [*ids[:40], 7, 8, 9])[40:]
    np.testing.assert_allclose(both[20:], want, **options)
    sequence.truncate(50)
    again = executor.forward(Batch.of([3, 4], sequence, "all"))
    want = whole(executor, [*ids[:50], 3, 4])[50:]
    np.testing.assert_allclose(again, want, **options)


class Blocks:
    """A matrix of one type's blocks."""

    def __init__(self, type_name: str, n: int, k: int) -> None:
        rng = np.random.default_rng(0)
        self.type, self.shape = GGMLType[type_name], (n, k)
        n_blocks = n * k // self.type.block_size
        if type_name in FACTORS:
            self.data = random_blocks(type_name, n_blocks, rng).reshape(-1)
        else:
            values = rng.standard_normal((n, k), np.float32)
            kind = gguf.GGMLQuantizationType(self.type)
            packed = gguf.quants.quantize(values, kind)
            self.data = np.ascontiguousarray(packed).view(np.uint8).reshape(-1)

    def dequantize(self) -> Array:
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        pass


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("type_name", [each.name for each in GGMLType])
def test_rows_of_a_mapped_matrix_are_those_of_a_packed_one(type_name: str) -> None:
    """Of every type; each row is packed as it is read."""
    n, k = 37, 512
    blocks = Blocks(type_name, n, k)
    config = ModelConfig("test", "", 1, 64, 4, 2, 16, 96, k, 64, 1e-5, RopeConfig(16))

    def look_up(ops: Any, config: ModelConfig, weights: Any) -> Any:
        return ops.wanted(ops.embedding(weights["table"]))

    ids = np.random.default_rng(1).integers(0, n, 50).tolist()
    found = []
    for tensor in (MappedTensor(blocks), blocks):
        weights = pack_weights({"table": tensor})
        plan = Plan(look_up, config, weights, n_threads=2)
        assert (plan.mapped_bytes > 0) == isinstance(tensor, MappedTensor)
        found.append(plan.forward(Batch.of(ids, plan.new_sequence(), "all")))
    np.testing.assert_array_equal(found[0], found[1])
    rows = MappedRows(MappedTensor(blocks))[np.array(ids)]
    np.testing.assert_array_equal(rows, blocks.dequantize()[ids])
    np.testing.assert_allclose(found[0], rows, rtol=1e-5, atol=1e-6)


def test_the_table_is_never_dequantised_as_a_whole(
    make_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ids = make_file("Q8_0"), random_ids(40)

    def refuse(self: MappedTensor) -> Array:
        raise AssertionError("the table was dequantised as a whole")

    monkeypatch.setattr(MappedTensor, "dequantize", refuse)
    want = whole(load(path, "reference"), ids)
    got = whole(load(path, n_threads=2), ids)
    assert np.sqrt(np.mean((got - want) ** 2)) <= 0.1 * want.std()


def test_the_table_is_counted_apart_from_memory(make_file: Make) -> None:
    path = make_file()
    n_bytes = 4 * N_VOCAB * N_LAYER * N_EMBD_PER_LAYER
    executor, info = load(path), llamacy.inspect(path)
    assert isinstance(executor, Plan)
    assert info.mapped_bytes == executor.mapped_bytes == n_bytes
    assert info.weights_bytes == executor.weight_bytes
    # it stays as it is when the weights are quantised on the way in
    assert llamacy.inspect(path, quantize="Q4_0").mapped_bytes == n_bytes


def test_layers_without_keys_compute_the_wanted_rows_alone(make_file: Make) -> None:
    executor, ids = load(make_file(), kv_type="f32", n_threads=2), random_ids(40)
    assert isinstance(executor, Plan)
    n_ops = [executor.cost(0, 40, n).n_ops for n in (0, 1, 40)]
    assert n_ops[0] < n_ops[1] < 0.8 * n_ops[2]
    want = whole(executor, ids)
    sequence = executor.new_sequence()
    executor.forward(Batch.of(ids[:9], sequence, "none"))
    batch = Batch.of(ids[9:], sequence, "all")
    rows = np.array([30, 2, 3, 4, 2], np.int32)  # also out of order, and twice
    got = executor.forward(replace(batch, wanted=rows))
    np.testing.assert_array_equal(got, want[9 + rows])


@pytest.mark.skipif(os.name == "nt", reason="a mapped file cannot be deleted")
def test_a_model_outlives_the_name_of_its_file(make_file: Make) -> None:
    path, ids = make_file(), random_ids(30)
    executor = load(path)
    before = whole(executor, ids)
    path.unlink()
    np.testing.assert_array_equal(whole(executor, ids), before)


@each_executor
def test_adapters_beside_all_matrices(make_file: Make, kind: str) -> None:
    """They give the logits of a model into which they are merged."""
    rng, added = np.random.default_rng(2), {}
    plain = load(make_file(), "reference")
    adapters: dict[str, Any] = {}
    for name, shape in plain.shapes.items():
        if len(shape) == 2 and not name.endswith("token_embd.weight"):
            low = [0.1 * rng.standard_normal((n, 2), np.float32) for n in shape]
            adapters[name] = LowRank(low[1].T.copy(), low[0])
    with open_gguf(make_file()) as file:
        for name, low in adapters.items():
            added[name] = file.tensors[name].dequantize() + low.up @ low.down
    assert "blk.4.inp_gate.weight" in adapters
    ids = random_ids(40)
    want = whole(load(make_file(added=added), "reference"), ids)
    executor = load(make_file(), kind, kv_type="f32")
    executor.set_adapters(adapters)
    got = whole(executor, ids)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-3 * float(want.std()))
