"""Graphs of any shape are lowered twice, to be noted down and to be run.

In the record of what each step reads and writes, every pair of steps that depend on
each other must have a barrier between them; results must be the reference's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ops.batch import Batch
from llamacy.ops.rope import Rope
from llamacy.ops.weights import pack_weights

if TYPE_CHECKING:
    from tests.ops.conftest import Executors, Notebook

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
    lowered: Callable[..., Notebook],
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
    lowered(forward, forward.config, pack_weights(both.tensors))
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
