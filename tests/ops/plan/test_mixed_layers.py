"""Layers that differ in heads, in dimensions and in windows, in one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ops.batch import Batch
from llamacy.ops.plan.steps import MAX_RUN
from llamacy.ops.rope import Rope
from tests.support.states import key_values

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

# Of each layer: heads of queries, heads of keys and values, their dimensions, window.
LAYERS = ((8, 2, 16, None), (2, 1, 64, 40), (24, 1, 32, None), (4, 4, 24, 5))
N_VOCAB = 50


@pytest.fixture
def executors(
    make_executors: Callable[..., Executors], model_config: ModelConfig
) -> Executors:
    n = model_config.n_embd
    shapes = {"embd": (N_VOCAB, n), "out": (N_VOCAB, n), "norm": (n,)}
    for layer, (n_head, n_head_kv, head_dim, _) in enumerate(LAYERS):
        shapes[f"q.{layer}"] = (n_head * head_dim, n)
        shapes[f"k.{layer}"] = shapes[f"v.{layer}"] = (n_head_kv * head_dim, n)
        shapes[f"o.{layer}"] = (n, n_head * head_dim)
    rng = np.random.default_rng(0)
    values = {
        name: rng.standard_normal(shape, np.float32) * np.float32(shape[-1] ** -0.5)
        for name, shape in shapes.items()
    }
    values["norm"] = np.ones(n, np.float32)
    return make_executors(forward, model_config, values)


def forward(ops: Any, config: ModelConfig, weights: Mapping[str, Any]) -> Any:
    x = ops.embedding(weights["embd"])
    for layer, (_, n_head_kv, head_dim, window) in enumerate(LAYERS):
        rope = Rope.from_config(RopeConfig(n_dims=head_dim), head_dim)
        h = ops.rms_norm(x, weights["norm"], config.norm_eps)
        q, k, v = (ops.linear(h, weights[f"{name}.{layer}"]) for name in "qkv")
        q, k = ops.rope(q, rope), ops.rope(k, rope)
        state = key_values(layer, window, n_head_kv=n_head_kv, head_dim=head_dim)
        h = ops.attention(q, k, v, state=state, scale=head_dim**-0.5)
        x = ops.add(x, ops.linear(h, weights[f"o.{layer}"]))
    return ops.linear(ops.wanted(x), weights["out"])


def logits(executor: Any, cuts: tuple[int, ...]) -> NDArray[np.float32]:
    """Logits of a text that is read in parts, and of a fork that goes another way."""
    ids = np.random.default_rng(1).integers(0, N_VOCAB, sum(cuts)).tolist()
    sequence, first, out = executor.new_sequence(), 0, []
    for n in cuts:
        out.append(executor.forward(Batch.of(ids[first : first + n], sequence, "all")))
        first += n
    fork = sequence.fork()
    fork.truncate(first - 7)
    out.append(executor.forward(Batch.of(ids[:9], fork, "all")))
    out.append(executor.forward(Batch.of(ids[:3], sequence, "all")))
    return np.concatenate(out)


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize(
    ("kv_type", "tolerance"), [("f32", 1e-4), ("f16", 5e-3), ("q8_0", 5e-2)]
)
def test_the_plan_computes_what_the_reference_does(
    executors: Executors, kv_type: str, tolerance: float
) -> None:
    cuts = (40, 1, 1, 48, 30)
    want = logits(executors.reference(), cuts)
    got = logits(executors.plan(kv_type=kv_type, n_threads=2), cuts)
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * float(want.std()))
    again = logits(executors.plan(kv_type=kv_type, n_threads=3), cuts)
    np.testing.assert_array_equal(again, got)


@pytest.mark.parametrize(("kv_type", "nbytes"), [("f32", 4), ("f16", 2)])
def test_a_page_has_room_for_all_layers(
    executors: Executors, kv_type: str, nbytes: int
) -> None:
    # rows of keys and values are whole vectors of 16 numbers
    width = sum(
        n_head_kv * -(-head_dim // 16) * 16 for _, n_head_kv, head_dim, _ in LAYERS
    )
    assert executors.plan(kv_type=kv_type).page_bytes == 2 * 32 * width * nbytes


def test_runs_are_those_of_the_layer_that_shares_most(executors: Executors) -> None:
    most_shared = max(n_head // n_head_kv for n_head, n_head_kv, _, _ in LAYERS)
    assert most_shared > MAX_RUN  # so that a row is a run
    assert executors.plan()._open_pass().longest_run == 1


def test_cost_is_that_of_each_layer(executors: Executors) -> None:
    plan, n_past = executors.plan(kv_type="f16"), 100
    n_bytes = n_ops = 0
    for n_head, n_head_kv, head_dim, window in LAYERS:
        seen = min(n_past + 1, window or n_past + 1)
        before = min(n_past, window or n_past)
        padded = -(-head_dim // 16) * 16
        n_bytes += 2 * 2 * n_head_kv * padded * (seen - before)
        n_ops += 2 * 2 * n_head * head_dim * (seen - before)
    grown = plan.cost(n_past, 1, 1), plan.cost(n_past - 1, 1, 1)
    assert grown[0].n_bytes - grown[1].n_bytes == n_bytes
    assert grown[0].n_ops - grown[1].n_ops == n_ops
