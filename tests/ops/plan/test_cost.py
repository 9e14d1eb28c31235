"""The cost of a pass, counted by hand from the shapes of a small transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from states import key_values

from llamacy.kernels.packing.matrices import packed_bytes
from llamacy.ops.plan.cost import Cost, PassCost
from llamacy.ops.plan.step import Step

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

Transformer = Callable[..., "Executors"]

# The transformer of conftest.py: 2 layers, 4 heads of 16, 2 of keys and values.
N_LAYER, N_EMBD, N_KV, N_FF, N_VOCAB = 2, 64, 32, 96, 50
SHAPES = [(N_EMBD, N_EMBD), (N_KV, N_EMBD), (N_KV, N_EMBD), (N_EMBD, N_EMBD)]
SHAPES += [(N_FF, N_EMBD), (N_FF, N_EMBD), (N_EMBD, N_FF)]


def test_bytes_of_generating(transformer: Transformer) -> None:
    for type_name in ("F32", "Q8_0"):
        plan = transformer(type_name).plan(kv_type="f16")
        layer = sum(packed_bytes(type_name, *shape) for shape in SHAPES)
        norms = 4 * N_EMBD * (2 * N_LAYER + 1)
        output = packed_bytes(type_name, N_VOCAB, N_EMBD)
        row = output // N_VOCAB
        kv = 2 * N_LAYER * N_KV * 2  # keys and values of a token
        for first in (0, 1, 100):
            want = N_LAYER * layer + norms + output + row + (first + 1) * kv
            assert plan.cost(first, 1, 1).n_bytes == want


@pytest.mark.parametrize(("kv_type", "nbytes"), [("f32", 4), ("f16", 2), ("q8_0", 1)])
def test_bytes_of_keys_and_values(
    transformer: Transformer, kv_type: str, nbytes: int
) -> None:
    plan = transformer().plan(kv_type=kv_type)
    grown = plan.cost(10, 1, 1).n_bytes - plan.cost(9, 1, 1).n_bytes
    scales = 2 * N_LAYER * 2 * 4 if kv_type == "q8_0" else 0  # float32, one a head
    assert grown == 2 * N_LAYER * N_KV * nbytes + scales


def test_operations_are_those_of_the_products(transformer: Transformer) -> None:
    plan = transformer().plan()
    products = N_LAYER * sum(n * k for n, k in SHAPES)
    for first, n_rows, n_wanted in [(0, 1, 1), (0, 7, 1), (5, 9, 0), (30, 18, 18)]:
        positions = np.arange(first, first + n_rows)
        attention = N_LAYER * 2 * N_EMBD * int((positions + 1).sum())
        want = n_rows * products + attention + n_wanted * N_VOCAB * N_EMBD
        assert plan.cost(first, n_rows, n_wanted).n_ops == 2 * want


def test_two_passes_compute_as_much_as_one_and_read_twice(
    transformer: Transformer,
) -> None:
    plan = transformer().plan()
    whole = plan.cost(0, 40, 1)
    parts = plan.cost(0, 25, 0) + plan.cost(25, 15, 1)
    assert parts.n_ops == whole.n_ops
    # all that comes before the logits, and the keys and values of 25 tokens
    row = packed_bytes("F32", N_VOCAB, N_EMBD) // N_VOCAB
    assert parts.n_bytes - whole.n_bytes == plan.cost(0, 25, 0).n_bytes - 25 * row
    assert Cost() + whole == whole


def test_a_tied_embedding_is_read_whole_as_output_alone(
    transformer: Transformer,
) -> None:
    tied = transformer("Q8_0")
    tied.tensors["out"] = tied.tensors["embd"]
    plan, apart = tied.plan(), transformer("Q8_0").plan()
    assert plan.cost(3, 5, 1) == apart.cost(3, 5, 1)
    unwanted = plan.cost(3, 5, 1).n_bytes - plan.cost(3, 5, 0).n_bytes
    # the logits take the last norm, too
    assert unwanted == packed_bytes("Q8_0", N_VOCAB, N_EMBD) + 4 * N_EMBD


@pytest.mark.parametrize("window", [1, 8, 100])
def test_a_window_is_all_that_is_read_and_computed(
    lowered: Callable[..., list[Step]], window: int
) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights)
        ops.attention(x, x, x, state=key_values(0, window), scale=1)
        ops.attention(x, x, x, state=key_values(1), scale=1)
        return x

    weights = np.zeros((N_VOCAB, N_EMBD), np.float32)
    cost, row = PassCost(lowered(forward, None, weights)), 4 * N_EMBD
    kv = 2 * N_KV * 4  # keys and values of a token, in float32
    for first, n_rows in [(0, 1), (0, 20), (5, 9), (90, 30), (300, 1)]:
        end = first + n_rows
        seen = [min(position + 1, window) for position in range(first, end)]
        least = max(0, first + 1 - window)
        read = (end - least) + end
        got = cost.of(first, n_rows, 0)
        assert got.n_bytes == n_rows * row + kv * read
        n_products = 2 * N_EMBD * (sum(seen) + sum(range(first + 1, end + 1)))
        assert got.n_ops == 2 * n_products
