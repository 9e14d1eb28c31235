"""Weights without a file, a small transformer for both executors, lists of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.ops.plan.barriers import find_barriers
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.plan import Plan
from llamacy.ops.plan.recorder import Recorder
from llamacy.ops.plan.step import Operand, Step, memory_of
from llamacy.ops.reference import ReferenceExecutor
from llamacy.ops.rope import Rope
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.vocabulary import Forward
from tests.support.states import key_values

Array = NDArray[np.float32]

CONFIG = ModelConfig(
    architecture="test",
    name="",
    n_layer=2,
    n_embd=64,
    n_head=4,
    n_head_kv=2,
    head_dim=16,
    n_ff=96,
    n_vocab=50,
    n_ctx_train=256,
    norm_eps=1e-5,
    rope=RopeConfig(n_dims=16),
)


class Tensor:
    """A tensor as a file would hold it."""

    def __init__(self, values: Array, type_name: str) -> None:
        size = max(32, GGMLType[type_name].block_size)
        fits = values.ndim > 1 and values.shape[-1] % size == 0  # in whole blocks
        self.type = GGMLType[type_name if fits else "F32"]
        self.shape = values.shape
        self.data = _blocks(values, self.type)
        self.is_released = False

    def dequantize(self) -> Array:
        return dequantize(self.data, self.type, self.shape)

    def release(self) -> None:
        self.is_released = True


def forward(ops: Any, config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    """Attention and SwiGLU, as LLaMA has them."""
    rope = Rope.from_config(config.rope, config.head_dim)
    x = ops.embedding(weights["embd"])
    for layer in range(config.n_layer):
        w = {name: weights[f"{name}.{layer}"] for name in ("q", "k", "v", "o", "norm")}
        h = ops.rms_norm(x, w["norm"], config.norm_eps)
        q, k = (ops.rope(ops.linear(h, w[name]), rope) for name in "qk")
        v = ops.linear(h, w["v"])
        h = ops.attention(q, k, v, state=key_values(layer), scale=0.25)
        x = ops.add(x, ops.linear(h, w["o"]))
        h = ops.rms_norm(x, w["norm"], config.norm_eps)
        gate, up = (
            ops.linear(h, weights[f"{name}.{layer}"]) for name in ("gate", "up")
        )
        x = ops.add(x, ops.linear(ops.silu_mul(gate, up), weights[f"down.{layer}"]))
    return ops.linear(
        ops.rms_norm(ops.wanted(x), weights["norm.0"], 1e-5), weights["out"]
    )


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Of the weights that `forward` reads."""
    n, n_ff = config.n_embd, config.n_ff
    n_q, n_kv = config.n_head * config.head_dim, config.n_head_kv * config.head_dim
    block = {
        **{"q": (n_q, n), "k": (n_kv, n), "v": (n_kv, n), "o": (n, n_q), "norm": (n,)},
        **{"gate": (n_ff, n), "up": (n_ff, n), "down": (n, n_ff)},
    }
    layers = range(config.n_layer)
    return {"embd": (config.n_vocab, n), "out": (config.n_vocab, n)} | {
        f"{name}.{layer}": shape for layer in layers for name, shape in block.items()
    }


class Executors:
    """The same model as a plan and as the reference."""

    def __init__(
        self,
        run: Forward,
        config: ModelConfig,
        values: Mapping[str, Array],
        type_name: str = "F32",
    ) -> None:
        self.forward, self.config = run, config
        self.tensors = {name: Tensor(x, type_name) for name, x in values.items()}

    def plan(self, **options: Any) -> Plan:
        """A plan over them; float32 KV cache unless told otherwise."""
        settings: dict[str, Any] = {"n_threads": 1, "kv_type": "f32", "n_batch": 48}
        weights, settings = pack_weights(self.tensors), settings | options
        return Plan(self.forward, self.config, weights, embed=self._embed, **settings)

    def reference(self) -> ReferenceExecutor:
        """The truth."""
        weights = {name: each.dequantize() for name, each in self.tensors.items()}
        return ReferenceExecutor(self.forward, self.config, weights, embed=self._embed)

    def _embed(self, ops: Any, config: ModelConfig, weights: Any, pooling: str) -> Any:
        return self.forward(ops, config, weights)


def _blocks(values: Array, kind: GGMLType) -> NDArray[np.uint8]:
    if kind.block_size in (64, 128):  # which gguf does not write
        return quantize(values, kind)
    raw = gguf.quants.quantize(values, gguf.GGMLQuantizationType(kind))
    return np.ascontiguousarray(raw).view(np.uint8).reshape(-1)


@pytest.fixture(scope="session")
def model_config() -> ModelConfig:
    """Sizes of the small transformer."""
    return CONFIG


@pytest.fixture(scope="session")
def make_executors() -> Callable[..., Executors]:
    """Make both executors of (forward, config, float weights, type of the matrices)."""
    return Executors


@pytest.fixture(scope="session")
def transformer() -> Callable[..., Executors]:
    """A small transformer of weights of the type given."""

    def make(type_name: str = "F32") -> Executors:
        rng = np.random.default_rng(0)
        values = {
            name: rng.standard_normal(shape, dtype=np.float32)
            * np.float32(1 if len(shape) == 1 else shape[1] ** -0.5)
            for name, shape in shapes(CONFIG).items()
        }
        return Executors(forward, CONFIG, values, type_name)

    return make


# Lists of steps.


class PlainKernels:
    """Kernels that read prepared activations with quantised weights; none runs."""

    n_threads = 2
    has_bf16 = False

    def reads_prepared(self, weight: Any) -> bool:
        return str(weight.type_name) not in ("F32", "F16", "BF16")

    def digits_read(self, weight: Any) -> int:
        if not self.reads_prepared(weight):
            return 0
        return 2 if weight.type_name == "Q8_0" else 1

    def rounds(self, weight: Any) -> bool:
        return self.reads_prepared(weight)

    def prepared_bytes(self, k: int, m: int) -> int:
        return 2 * k * m


def assert_sound(steps: list[Step]) -> None:
    """Of two steps between barriers none writes an operand of the other.

    And no step overwrites rows that other rows of it are computed from.
    """
    since: list[Step] = []
    for number, (step, waits) in enumerate(
        zip(steps, find_barriers(steps), strict=True)
    ):
        since = [step] if waits else [*since, step]
        for other in since[:-1]:
            reads, writes = memory(step.reads), memory(step.writes)
            clash = writes & (memory(other.reads) | memory(other.writes))
            clash |= reads & memory(other.writes)
            assert not clash, (number, other, step)
        if step.op in ("linear", "experts", "copy", "wanted", "gather", "mix"):
            clash = memory(step.reads) & memory(step.writes)
            assert step.constants.get("form") == "add" or not clash, step


def memory(operands: Mapping[str, Operand]) -> set[Operand]:
    """Operands that a step uses; of columns, the buffer that they are of."""
    return set(map(memory_of, operands.values()))


@pytest.fixture(scope="session")
def lowered() -> Callable[..., list[Step]]:
    """Lower (forward, config, weights), and check that threads wait where they must."""

    def lower(
        run: Forward, config: ModelConfig, weights: Mapping[str, Any]
    ) -> list[Step]:
        recorder: Any = Recorder()
        logits = run(recorder, config, weights)
        layout = StateLayout(recorder.states, "f32")
        lowering = Lowering(recorder.nodes, logits, PlainKernels(), layout, n_batch=4)
        steps = lowering.lower()
        assert_sound(steps)
        return steps

    return lower


@dataclass
class Square:
    """A matrix, as far as a lowering asks for it."""

    type_name: str
    shape: tuple[int, int] = (32, 32)


@pytest.fixture(scope="session")
def steps_of(lowered: Callable[..., list[Step]]) -> Callable[..., list[Step]]:
    """Steps of a pass over square matrices w0 .. w3 of a type, and a norm's weight."""

    def lower(run: Forward, type_name: str = "Q8_0") -> list[Step]:
        weights: dict[str, Any] = {f"w{i}": Square(type_name) for i in range(4)}
        weights["norm"] = np.ones(32, np.float32)
        return lowered(run, CONFIG, weights)

    return lower
