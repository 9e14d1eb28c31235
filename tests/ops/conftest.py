"""Weights without a file, a small transformer for both executors, steps noted down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray
from states import key_values

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.plan import Plan, pack_weights
from llamacy.ops.plan.recorder import Recorder
from llamacy.ops.reference import ReferenceExecutor
from llamacy.ops.rope import Rope
from llamacy.ops.vocabulary import Forward

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
        fits = values.ndim > 1 and values.shape[-1] % 32 == 0  # in whole blocks
        self.type = GGMLType[type_name if fits else "F32"]
        self.shape = values.shape
        ggml_type = gguf.GGMLQuantizationType(self.type)
        packed = np.ascontiguousarray(gguf.quants.quantize(values, ggml_type))
        self.data = packed.view(np.uint8).reshape(-1)
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
        weights = pack_weights(self.tensors)
        return Plan(self.forward, self.config, weights, **(settings | options))

    def reference(self) -> ReferenceExecutor:
        """The truth."""
        weights = {name: each.dequantize() for name, each in self.tensors.items()}
        return ReferenceExecutor(self.forward, self.config, weights)


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


# A program that only takes notes.


@dataclass
class Note:
    """One step: buffers by id."""

    op: str
    reads: set[int]
    writes: set[int]
    waits: bool

    @property
    def is_of_logits(self) -> bool:
        return Notebook.LOGITS in self.writes


class Notebook:
    """Takes the steps of a Program and notes what each of them touches."""

    CACHE = -1  # stands for the pages
    LOGITS = -2

    def __init__(self, head_dim: int) -> None:
        self.head_dim = head_dim
        self.notes: list[Note] = []
        self._kept: list[Any] = []  # or ids would be used again

    def reads_prepared(self, weight: Any) -> bool:
        return str(weight.type_name) not in ("F32", "F16", "BF16")

    def prepared_bytes(self, k: int, m: int) -> int:
        return 2 * k * m

    def _note(self, op: str, reads: Any, writes: Any, waits: bool) -> None:
        self._kept.append((reads, writes))
        read, written = (
            {each if isinstance(each, int) else id(each) for each in some}
            for some in (
                [each for each in reads if each is not None],
                [each for each in writes if each is not None],
            )
        )
        self.notes.append(Note(op, read, written, waits))

    def embedding(self, weight: Any, y: Any, *, waits: bool) -> None:
        self._note("embedding", [], [y], waits)

    def rope_table(
        self, angles: Any, head_dim: int, half: int, size: float, table: Any, *,
        waits: bool,
    ) -> None:  # fmt: skip
        self._note("rope_table", [], [table], waits)

    def rms_norm(
        self, x: Any, weight: Any, eps: float, y: Any, prepared: Any = None, *,
        n_parts: int, waits: bool, of_wanted: bool,
    ) -> None:  # fmt: skip
        op = "rms_norm" if prepared is None else "rms_norm+prepare"
        self._note(op, [x], [y, prepared], waits)

    def prepare(
        self, x: Any, n: int, prepared: Any, *, waits: bool, of_wanted: bool
    ) -> None:
        self._note("prepare", [x], [prepared], waits)

    def linear(
        self, form: str, weight: Any, bias: Any, x: Any, prepared: Any, y: Any,
        weight2: Any = None, bias2: Any = None, *, waits: bool, of_wanted: bool,
    ) -> None:  # fmt: skip
        y = self.LOGITS if y is None else y
        assert y is not x, "overwrites what it reads"
        reads = [x, prepared, y] if form == "add" else [x, prepared]
        self._note(f"linear {form}", reads, [y], waits)

    def append(
        self, layer: int, q: Any, k: Any, v: Any, q_table: Any, k_table: Any, *,
        q_half: int, k_half: int, waits: bool,
    ) -> None:  # fmt: skip
        turned = [
            q if q_table is not None else None,
            k if k_table is not None else None,
        ]
        self._note("append", [k, v, q_table, k_table], [*turned, self.CACHE], waits)

    def attention(
        self, layer: int, scale: float, q: Any, y: Any, *, window: int,
        softcap: float, sinks: Any, may_round: bool, waits: bool,
    ) -> None:  # fmt: skip
        op = "attention rounded" if may_round else "attention"
        self._note(op, [q, self.CACHE], [y], waits)

    def wanted(self, x: Any, y: Any, *, waits: bool) -> None:
        assert y is not x
        self._note("wanted", [x], [y], waits)

    def copy(
        self, x: Any, n: int, y: Any, table: Any, *, half: int, waits: bool,
        of_wanted: bool,
    ) -> None:  # fmt: skip
        y = self.LOGITS if y is None else y
        assert y is not x
        op = "copy" if table is None else "copy+rotate"
        self._note(op, [x, table], [y], waits)

    def add(self, x: Any, y: Any, z: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("add", [x, y], [z], waits)

    def silu_mul(self, x: Any, y: Any, z: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("silu_mul", [x, y], [z], waits)

    def gelu_mul(self, x: Any, y: Any, z: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("gelu_mul", [x, y], [z], waits)

    def scale(
        self, x: Any, n: int, factor: float, y: Any, *, waits: bool, of_wanted: bool
    ) -> None:
        self._pointwise("scale", x, y, waits)

    def softcap(
        self, x: Any, n: int, cap: float, y: Any, *, waits: bool, of_wanted: bool
    ) -> None:
        self._pointwise("softcap", x, y, waits)

    def _pointwise(self, op: str, x: Any, y: Any, waits: bool) -> None:
        x, y = (self.LOGITS if each is None else each for each in (x, y))
        self._note(f"{op} in place" if x is y else op, [x], [y], waits)

    def sigmoid_gate(
        self, x: Any, weight: Any, y: Any, n: int, z: Any, *, waits: bool,
        of_wanted: bool,
    ) -> None:  # fmt: skip
        self._note("sigmoid_gate", [x, y], [z], waits)

    def route(self, routing: Any, scores: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("route", [scores], [routing], waits)

    def group(self, routing: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("group", [routing], [routing], waits)

    def gather(
        self, routing: Any, x: Any, n: int, y: Any, prepared: Any, is_by_row: bool, *,
        waits: bool, of_wanted: bool,
    ) -> None:  # fmt: skip
        assert y is not x
        op = "gather" if prepared is None else "gather+prepare"
        self._note(op, [routing, x], [y, prepared], waits)

    def experts(
        self, form: str, routing: Any, weight: Any, bias: Any, x: Any, prepared: Any,
        y: Any, weight2: Any = None, bias2: Any = None, *, waits: bool, of_wanted: bool,
    ) -> None:  # fmt: skip
        assert y is not x
        self._note(f"experts {form}", [routing, x, prepared], [y], waits)

    def mix(
        self, routing: Any, x: Any, n: int, y: Any, *, waits: bool, of_wanted: bool
    ) -> None:
        assert y is not x
        self._note("mix", [routing, x], [y], waits)

    def assert_ordered(self) -> None:
        """Between two steps one of which writes what the other touches, threads met."""
        since: list[Note] = []
        for number, note in enumerate(self.notes):
            since = [note] if note.waits else [*since, note]
            for other in since[:-1]:
                clash = note.writes & (other.reads | other.writes)
                clash |= other.writes & note.reads
                assert not clash, (number, other, note)


@pytest.fixture(scope="session")
def lowered() -> Callable[..., Notebook]:
    """Lower (forward, config, weights), and check that threads wait where they must."""

    def lower(
        run: Forward, config: ModelConfig, weights: Mapping[str, Any]
    ) -> Notebook:
        recorder, notebook = Recorder(), Notebook(config.head_dim)
        logits = run(recorder, config, weights)
        Lowering(recorder.nodes, logits, notebook, n_batch=4).lower()  # type: ignore[arg-type]
        notebook.assert_ordered()
        return notebook

    return lower


@dataclass
class Square:
    """What a lowering asks of a matrix."""

    type_name: str
    shape: tuple[int, int] = (32, 32)


@pytest.fixture(scope="session")
def notes_of(lowered: Callable[..., Notebook]) -> Callable[..., list[Note]]:
    """Steps of a pass over square matrices w0 .. w3 of a type, and a norm's weight."""

    def lower(run: Forward, type_name: str = "Q8_0") -> list[Note]:
        weights: dict[str, Any] = {f"w{i}": Square(type_name) for i in range(4)}
        weights["norm"] = np.ones(32, np.float32)
        return lowered(run, CONFIG, weights).notes

    return lower
