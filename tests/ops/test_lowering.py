"""From graph to steps: what is fused, which buffers are used again, where it waits.

Graphs of any shape are lowered twice: into a record of what each step reads and
writes, where every pair of steps that depend on each other must have a barrier
between them; and into a program, whose results must be the reference's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ops.batch import Batch
from llamacy.ops.lowering import Lowering
from llamacy.ops.recorder import Recorder
from llamacy.ops.rope import Rope
from llamacy.ops.weights import pack_weights

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

CONFIG = ModelConfig(
    architecture="test",
    name="",
    n_layer=1,
    n_embd=32,
    n_head=2,
    n_head_kv=1,
    head_dim=16,
    n_ff=64,
    n_vocab=24,
    n_ctx_train=256,
    norm_eps=1e-5,
    rope=RopeConfig(n_dims=16),
)


# A program that only takes notes.


@dataclass
class Note:
    """One step: buffers by id."""

    op: str
    reads: set[int]
    writes: set[int]
    waits: bool


class Notebook:
    """Takes the steps of a Program and notes what each of them touches."""

    CACHE = -1  # stands for the pages
    LOGITS = -2

    def __init__(self) -> None:
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
        self, angles: Any, head_dim: int, size: float, table: Any, *, waits: bool
    ) -> None:
        self._note("rope_table", [], [table], waits)

    def rms_norm(
        self, x: Any, weight: Any, eps: float, y: Any, prepared: Any = None, *,
        waits: bool, of_wanted: bool,
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
        waits: bool,
    ) -> None:  # fmt: skip
        turned = [
            q if q_table is not None else None,
            k if k_table is not None else None,
        ]
        self._note("append", [k, v, q_table, k_table], [*turned, self.CACHE], waits)

    def attention(
        self, layer: int, scale: float, q: Any, y: Any, *, waits: bool
    ) -> None:
        self._note("attention", [q, self.CACHE], [y], waits)

    def wanted(self, x: Any, y: Any, *, waits: bool) -> None:
        assert y is not x
        self._note("wanted", [x], [y], waits)

    def add(self, x: Any, y: Any, z: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("add", [x, y], [z], waits)

    def silu_mul(self, x: Any, y: Any, z: Any, *, waits: bool, of_wanted: bool) -> None:
        self._note("silu_mul", [x, y], [z], waits)

    def assert_ordered(self) -> None:
        """Between two steps one of which writes what the other touches, threads met."""
        since: list[Note] = []
        for number, note in enumerate(self.notes):
            since = [note] if note.waits else [*since, note]
            for other in since[:-1]:
                clash = note.writes & (other.reads | other.writes)
                clash |= other.writes & note.reads
                assert not clash, (number, other, note)


def lowered(
    forward: Any, config: ModelConfig, weights: Any, n_batch: int = 4
) -> Notebook:
    recorder, notebook = Recorder(), Notebook()
    forward(recorder, config, weights)
    Lowering(recorder.nodes, notebook, n_batch).lower()  # type: ignore[arg-type]
    return notebook


# Fusions that apply, and where they must not.


def ops_of(forward: Any, type_name: str = "Q8_0") -> list[str]:
    """Steps that a forward pass over square matrices w0 .. w3 comes to."""
    return [note.op for note in notes_of(forward, type_name)]


def notes_of(forward: Any, type_name: str = "Q8_0") -> list[Note]:
    class Weight:
        shape = (32, 32)

        def __init__(self) -> None:
            self.type_name = type_name

    weights = {f"w{i}": Weight() for i in range(4)} | {"norm": np.ones(32, np.float32)}
    notebook = lowered(forward, CONFIG, weights)
    notebook.assert_ordered()
    return notebook.notes


def test_a_transformer(transformer: Callable[..., Executors]) -> None:
    """Each layer is 12 steps; threads meet before 10 of them."""
    both = transformer("Q8_0")
    notebook = lowered(both.forward, both.config, pack_weights(both.tensors))
    notebook.assert_ordered()
    store, fused = "linear store", "rms_norm+prepare"
    block = [
        *(fused, store, store, store, "append", "attention", "prepare", "linear add"),
        *(fused, "linear swiglu", "prepare", "linear add"),
    ]
    ops = [note.op for note in notebook.notes]
    assert [op for op in ops if op != "rope_table"] == [
        "embedding", *block, *block, "wanted", fused, store,
    ]  # fmt: skip
    assert ops.count("rope_table") == 1
    waits = [note.waits for note in notebook.notes if note.op == store]
    assert waits == [True, False, False] * 2 + [True]
    assert sum(note.waits for note in notebook.notes) == 2 * 10 + 3
    # buffers are few: most of them are used again in the second layer
    assert len({one for note in notebook.notes for one in note.writes}) < 20


def test_a_norm_prepares_only_for_quantised_matrices() -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        h = ops.rms_norm(ops.embedding(weights["w0"]), weights["norm"], 1e-5)
        return ops.linear(h, weights["w1"])

    assert ops_of(forward) == ["embedding", "rms_norm+prepare", "linear store"]
    assert ops_of(forward, "F32") == ["embedding", "rms_norm", "linear store"]


def test_one_preparation_serves_all() -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        a, b = ops.linear(x, weights["w1"]), ops.linear(x, weights["w2"])
        return ops.linear(
            ops.add(a, ops.rms_norm(b, weights["norm"], 1)), weights["w3"]
        )

    assert ops_of(forward).count("prepare") == 2  # of x, and of the sum


def test_gate_and_up_of_one_input_run_side_by_side() -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        h = ops.silu_mul(ops.linear(x, weights["w1"]), ops.linear(x, weights["w2"]))
        return ops.linear(h, weights["w3"])

    assert ops_of(forward, "F32") == ["embedding", "linear swiglu", "linear store"]


def test_gate_and_up_of_two_inputs_do_not() -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        y = ops.rms_norm(x, weights["norm"], 1)
        h = ops.silu_mul(ops.linear(x, weights["w1"]), ops.linear(y, weights["w2"]))
        return ops.linear(h, weights["w3"])

    assert "silu_mul" in ops_of(forward)


def test_a_gate_that_is_read_again_is_kept() -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        gate = ops.linear(x, weights["w1"])
        h = ops.silu_mul(gate, ops.linear(x, weights["w2"]))
        return ops.linear(ops.add(h, gate), weights["w3"])

    assert "silu_mul" in ops_of(forward)
    assert "linear swiglu" not in ops_of(forward)


def test_a_residual_that_is_read_again_is_not_added_into() -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        h = ops.rms_norm(x, weights["norm"], 1)
        y = ops.add(x, ops.linear(h, weights["w1"]))
        return ops.linear(ops.add(x, ops.linear(y, weights["w2"])), weights["w3"])

    forms = [op for op in ops_of(forward) if op.startswith("linear") or op == "add"]
    assert forms == ["linear store", "add", "linear add", "linear store"]


@pytest.mark.parametrize("type_name", ["F32", "Q8_0"])
def test_a_residual_is_not_added_into_while_it_is_read(type_name: str) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        return ops.linear(ops.add(x, ops.linear(x, weights["w1"])), weights["w2"])

    notes_of(forward, type_name)  # asserts that no product overwrites its factor


# Graphs of any shape.

Step = tuple[Any, ...]


@strategies.composite
def graphs(draw: Any) -> list[Step]:
    """Operations on values by number; value 0 is the embedding, all are 32 wide.

    The last operation's value leads to the logits, with all that nobody has read.
    """
    steps: list[Step] = []
    for count in range(1, draw(strategies.integers(1, 12)) + 1):
        # mostly the latest values, as models read them
        values = strategies.integers(max(0, count - 4), count - 1)
        op = draw(
            strategies.sampled_from(
                ["norm", "linear", "biased", "add", "residual", "gated", "swiglu"]
                + ["attention", "turned"]
            )
        )
        steps.append((op, draw(values), draw(values)))
    return steps


class Interpreter:
    """A forward pass that follows a drawn graph."""

    def __init__(self, steps: list[Step], after: list[Step]) -> None:
        self.steps, self.after = steps, after

    @property
    def config(self) -> ModelConfig:
        layers = sum(op in ("attention", "turned") for op, _, _ in self.steps)
        return replace(CONFIG, n_layer=max(1, layers))

    def __call__(self, ops: Any, config: ModelConfig, weights: Any) -> Any:
        rope = Rope.from_config(config.rope, config.head_dim)
        x = self.follow(ops, weights, ops.embedding(weights["embd"]), self.steps, rope)
        x = self.follow(ops, weights, ops.wanted(x), self.after, rope)
        return ops.linear(ops.rms_norm(x, weights["norm"], 1e-5), weights["out"])

    def follow(
        self, ops: Any, weights: Any, x: Any, steps: list[Step], rope: Rope
    ) -> Any:
        values, unread, layer = [x], {0}, 0
        for number, (op, a, b) in enumerate(steps):
            p, q = values[a], values[b]
            unread -= {a, b}
            w = [weights[f"w{(3 * number + i) % 8}"] for i in range(3)]
            if op == "norm":
                value = ops.add(ops.rms_norm(p, weights["norm"], 1e-5), q)
            elif op == "linear":
                value = ops.add(ops.linear(p, w[0]), ops.linear(q, w[1]))
            elif op == "biased":
                value = ops.add(q, ops.linear(p, w[0], weights["norm"]))
            elif op == "add":
                value = ops.add(p, q)
            elif op == "residual":
                value = ops.add(
                    p, ops.linear(ops.rms_norm(q, weights["norm"], 1), w[0])
                )
            elif op == "gated":
                value = ops.silu_mul(p, q)
            elif op == "swiglu":
                h = ops.silu_mul(ops.linear(p, w[0]), ops.linear(p, w[1]))
                value = ops.add(q, ops.linear(h, w[2]))
            else:
                h = ops.rms_norm(p, weights["norm"], 1e-5)
                heads = [ops.linear(h, weights[f"kv{layer % 2}"]) for _ in range(2)]
                query = ops.linear(q, w[0])
                if op == "turned":
                    query, heads[0] = (ops.rope(t, rope) for t in (query, heads[0]))
                value = ops.attention(query, *heads, layer=layer, scale=0.25)
                layer += 1
            # products of products would leave float32's range
            values.append(ops.rms_norm(value, weights["norm"], 1e-5))
            unread.add(number + 1)
        total = values[-1]
        for number in sorted(unread - {len(values) - 1}):
            total = ops.add(total, values[number])
        return total


def float_weights() -> dict[str, Any]:
    rng = np.random.default_rng(1)

    def noise(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(6)

    weights = {f"w{i}": noise(32, 32) for i in range(8)}
    weights |= {f"kv{i}": noise(16, 32) for i in range(2)}
    return weights | {
        **{"embd": noise(24, 32), "out": noise(24, 32)},
        "norm": 1 + noise(32),
    }


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=graphs(), after=graphs(), type_name=strategies.sampled_from(["F32", "Q8_0"])
)
def test_any_graph(
    make_executors: Callable[..., Executors],
    steps: list[Step],
    after: list[Step],
    type_name: str,
) -> None:
    after = [step for step in after if step[0] not in ("attention", "turned")][:3]
    after = [
        (op, min(a, number), min(b, number)) for number, (op, a, b) in enumerate(after)
    ]
    forward = Interpreter(steps, after)
    both = make_executors(forward, forward.config, float_weights(), type_name)
    lowered(forward, forward.config, pack_weights(both.tensors)).assert_ordered()
    tokens = np.random.default_rng(2).integers(0, 24, 40).tolist()
    want = _run(both.reference(), tokens)
    alone = _run(both.plan(n_threads=1, n_batch=40), tokens)
    # what rounds activations may go far astray in single values, through norms of
    # what is nearly nothing
    deviation = np.median(np.abs(alone - want)) / np.abs(want).mean()
    assert deviation <= (1e-4 if type_name == "F32" else 0.05)
    for n_threads in (2, 3):
        got = _run(both.plan(n_threads=n_threads, n_batch=40), tokens)
        np.testing.assert_array_equal(got, alone)


def _run(executor: Any, tokens: list[int]) -> Any:
    sequence = executor.new_sequence()
    out = [
        executor.forward(Batch.of(part, sequence, "all"))
        for part in (tokens[:1], tokens[1:36], tokens[36:])
    ]
    return np.concatenate(out)
