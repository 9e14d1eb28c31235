"""Models whose layers differ: from arrays in a GGUF file, and from a family's rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.architectures import ARCHITECTURES
from llamacy.architectures.architecture import Architecture
from llamacy.architectures.parts import Parts
from llamacy.config import ModelConfig
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.types import GGMLType
from llamacy.model.executors import LoadedExecutor, load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import Batch
from tests.support import mixed_family
from tests.support.model_shapes import model_shapes

Array = NDArray[np.float32]
Tensors = dict[str, Array]
MakeFile = Callable[..., Path]

each_executor = pytest.mark.parametrize("kind", ["reference", "plan"])

N_LAYER, WINDOW = 4, 20
KEYS: dict[str, Any] = {
    "block_count": N_LAYER,
    "attention__head_count": [4, 8, 2, 6],
    "attention__head_count_kv": [2, 1, 2, 3],
    "attention__key_length": [16, 24, 48, 16],
    "attention__value_length": [16, 8, 32, 16],
    "attention__sliding_window": WINDOW,
    "attention__sliding_window_pattern": [True, False, False, True],
    "feed_forward_length": [96, 32, 160, 64],
}


@pytest.fixture
def ids() -> list[int]:
    tokens: list[int] = np.random.default_rng(1).integers(0, 50, 64).tolist()
    return tokens


@pytest.fixture
def make_file(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> MakeFile:
    """Write a LLaMA whose keys are arrays, with its tensors; `changed` after those."""

    def make(type_name: str = "F32", **changed: Any) -> Path:
        keys = dict(KEYS)
        metadata = llama_metadata(**keys)
        shapes = model_shapes(write_gguf, tmp_path, metadata, ("output.weight",))
        metadata = llama_metadata(**keys | changed)
        tensors = random_tensors(shapes.items())
        return write_gguf(tmp_path / "model.gguf", metadata, tensors, type_name)

    return make


def load(path: Path, kind: Any) -> tuple[LoadedExecutor, ModelConfig, dict[str, Any]]:
    """Load a file; return the executor, the configuration and the weights too."""
    with open_gguf(path) as file:
        _, config = read_hyperparameters(file)
        weights = {name: each.dequantize() for name, each in file.tensors.items()}
        options: dict[str, Any] = {"n_threads": 2, "kv_type": "f32"}
        executor = load_executor(file, config, executor=kind, **options)
    return executor, config, weights


def forward(executor: LoadedExecutor, ids: list[int]) -> Array:
    """Logits of a prompt of all but five of the tokens, and of these one by one."""
    sequence, n_prompt = executor.new_sequence(), len(ids) - 5
    parts = [executor.forward(Batch.of(ids[:n_prompt], sequence, "all"))]
    for token in ids[n_prompt:]:
        parts.append(executor.forward(Batch.of([token], sequence)))
    return np.concatenate(parts)


def assert_close(got: Array, want: NDArray[Any]) -> None:
    assert want.std() > 0.1
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


def test_arrays_of_a_file_are_the_layers(make_file: MakeFile) -> None:
    with open_gguf(make_file()) as file:
        _, config = read_hyperparameters(file)
    mixers = [layer.attention for layer in config.layers]
    assert [mixer.n_head for mixer in mixers] == [4, 8, 2, 6]
    assert [mixer.n_head_kv for mixer in mixers] == [2, 1, 2, 3]
    assert [mixer.head_dim for mixer in mixers] == [16, 24, 48, 16]
    assert [mixer.value_dim for mixer in mixers] == [16, 8, 32, 16]
    assert [mixer.window for mixer in mixers] == [WINDOW, None, None, WINDOW]
    ropes = [mixer.rope for mixer in mixers]
    assert [rope and rope.n_dims for rope in ropes] == [16, 24, 48, 16]
    widths = [layer.feed_forward.n_ff for layer in config.layers]
    assert widths == [96, 32, 160, 64]


@pytest.mark.usefixtures("selected_level")
@each_executor
def test_a_file_of_arrays_computes_the_formulas(
    make_file: MakeFile, ids: list[int], kind: str
) -> None:
    executor, config, weights = load(make_file(), kind)
    assert_close(forward(executor, ids), mixed_family.logits(config, weights, ids))


@pytest.mark.usefixtures("selected_level")
@each_executor
def test_quantised_weights(make_file: MakeFile, ids: list[int], kind: str) -> None:
    executor, config, weights = load(make_file("Q8_0"), kind)
    want = mixed_family.logits(config, weights, ids)
    got = forward(executor, ids)
    assert np.sqrt(np.mean((got - want) ** 2)) <= 0.05 * want.std()


@pytest.mark.parametrize(
    "changed",
    [
        {"attention__sliding_window": 7},
        {"attention__sliding_window_pattern": [False, True, False, True]},
        {"attention__sliding_window_pattern": 2},
        {"rope__dimension_count": 8},
        {"rope__dimension_count_swa": 6},
    ],
    ids=lambda changed: ", ".join(f"{key}={value}" for key, value in changed.items()),
)
def test_what_tells_layers_apart_makes_a_difference(
    make_file: MakeFile, ids: list[int], changed: dict[str, Any]
) -> None:
    plain, _, _ = load(make_file(), "reference")
    other, config, weights = load(make_file(**changed), "reference")
    got = forward(other, ids)
    assert np.abs(got - forward(plain, ids)).max() > 1e-3
    assert_close(got, mixed_family.logits(config, weights, ids))


@pytest.mark.parametrize(
    ("key", "tensor"),
    [
        ("attention__head_count", "blk.0.attn_q.weight"),
        ("attention__head_count_kv", "blk.0.attn_k.weight"),
        ("attention__key_length", "blk.1.attn_q.weight"),
        ("attention__value_length", "blk.1.attn_v.weight"),
        ("feed_forward_length", "blk.0.ffn_gate.weight"),
    ],
)
def test_sizes_are_those_of_the_layer_and_no_other(
    make_file: MakeFile, key: str, tensor: str
) -> None:
    reversed_key = {key: KEYS[key][::-1]}
    if key == "attention__head_count_kv":  # divisors of the heads of their layers
        reversed_key[key] = [4, 1, 2, 3]
    elif key == "attention__head_count":
        reversed_key[key] = [6, 8, 2, 6]
    with pytest.raises(FormatError) as caught:
        load(make_file(**reversed_key), "reference")
    assert caught.value.field == f"tensor {tensor}: shape"


class Floats:
    """A tensor of a file that is not there, in float32."""

    type = GGMLType.F32

    def __init__(self, name: str, values: Array) -> None:
        self.name, self.values, self.shape = name, values, values.shape
        self.n_bytes = values.nbytes

    @property
    def data(self) -> NDArray[np.uint8]:
        return self.values.reshape(-1).view(np.uint8)

    def dequantize(self) -> Array:
        return self.values

    def release(self) -> None:
        pass


class Mixed:
    """A random model of the family of mixed layers, and its executor."""

    def __init__(
        self, config: ModelConfig, seed: int, kind: Any, fill: Callable[..., Tensors]
    ) -> None:
        self.config = config
        specs = ARCHITECTURES["mixed"].tensors(self.config)
        shapes = {name: spec.shape for name, spec in specs.items() if spec.is_required}
        self.weights: Mapping[str, Array] = fill(shapes.items(), seed)
        tensors = {name: Floats(name, each) for name, each in self.weights.items()}
        file = SimpleNamespace(path=Path("mixed"), tensors=tensors)
        options: dict[str, Any] = {"n_threads": 2, "kv_type": "f32"}
        self.executor = load_executor(
            cast(ModelFile, file), self.config, executor=kind, **options
        )

    def logits(self, ids: list[int]) -> NDArray[np.float64]:
        return mixed_family.logits(self.config, self.weights, ids)


@pytest.fixture
def make_mixed(
    monkeypatch: pytest.MonkeyPatch, random_tensors: Callable[..., Tensors]
) -> Callable[..., Mixed]:
    """Make a model of the random family: (seed, executor)."""
    monkeypatch.setitem(ARCHITECTURES, "mixed", Architecture(mixed_family))

    def make(seed: int, kind: str) -> Mixed:
        config = mixed_family.random_config(seed)
        return Mixed(config, seed, kind, random_tensors)

    return make


@pytest.mark.usefixtures("selected_level")
@each_executor
@pytest.mark.parametrize("seed", range(5))
def test_a_random_family_computes_the_formulas(
    make_mixed: Callable[..., Mixed],
    ids: list[int],
    seed: int,
    kind: str,
) -> None:
    mixed = make_mixed(seed, kind)
    assert_close(forward(mixed.executor, ids), mixed.logits(ids))


@pytest.mark.usefixtures("selected_level")
@each_executor
def test_texts_fork_and_go_back_in_all_layers(
    make_mixed: Callable[..., Mixed], ids: list[int], kind: str
) -> None:
    mixed = make_mixed(0, kind)
    executor, sequence = mixed.executor, mixed.executor.new_sequence()
    executor.forward(Batch.of(ids[:50], sequence, "none"))
    fork = sequence.fork()
    batch = Batch.join([(ids[50:], sequence, "all"), ([7, 8, 9], fork, "all")])
    both = executor.forward(batch)
    assert_close(both[:14], mixed.logits(ids)[50:])
    assert_close(both[14:], mixed.logits([*ids[:50], 7, 8, 9])[50:])
    assert sequence.can_go_back(30)
    sequence.truncate(30)
    again = executor.forward(Batch.of([3, 4], sequence, "all"))
    assert_close(again, mixed.logits([*ids[:30], 3, 4])[30:])


def test_layers_that_rotate_alike_share_their_angles(
    make_mixed: Callable[..., Mixed], ids: list[int]
) -> None:
    """The plan has one table of angles for each object."""
    config = mixed_family.random_config(0)
    model = Parts(cast(Any, None), config, {})
    ropes = [
        model.rope(layer.attention.rope, layer.attention.head_dim)
        for layer in (*config.layers, *config.layers)
        if layer.attention.rope is not None
    ]
    half = len(ropes) // 2
    assert all(a is b for a, b in zip(ropes[:half], ropes[half:], strict=True))
    assert len(set(map(id, ropes))) == half
