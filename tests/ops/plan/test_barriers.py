"""Which buffers are written in place or used again, and where threads meet.

The fixtures check for every graph that two steps one of which writes what the other
touches have a barrier between them, and that no product overwrites its factor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from llamacy.config import RopeConfig
from llamacy.ops.plan.barriers import find_barriers
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.step import Step
from llamacy.ops.rope import Rope

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

StepsOf = Callable[..., list[Step]]


def test_a_transformer(transformer: Callable[..., Executors], lowered: StepsOf) -> None:
    """Threads meet before 10 of a layer's 12 steps."""
    both = transformer("Q8_0")
    steps = lowered(both.forward, both.config, pack_weights(both.tensors))
    waits = find_barriers(steps)
    of_products = [
        must_wait
        for step, must_wait in zip(steps, waits, strict=True)
        if step.kind == "linear store"
    ]
    assert of_products == [True, False, False] * 2 + [True]
    assert sum(waits) == 2 * 10 + 3
    # buffers are few: most of them are used again in the second layer
    assert len({one for step in steps for one in step.writes.values()}) < 20


def test_a_residual_that_is_read_again_is_not_added_into(steps_of: StepsOf) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        h = ops.rms_norm(x, weights["norm"], 1)
        y = ops.add(x, ops.linear(h, weights["w1"]))
        return ops.linear(ops.add(x, ops.linear(y, weights["w2"])), weights["w3"])

    ops = [step.kind for step in steps_of(forward)]
    assert [op for op in ops if op.startswith(("linear", "add"))] == [
        *("linear store", "add+prepare", "linear add", "linear store")
    ]


@pytest.mark.parametrize("type_name", ["F32", "Q8_0"])
def test_a_residual_is_not_added_into_while_it_is_read(
    steps_of: StepsOf, type_name: str
) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        return ops.linear(ops.add(x, ops.linear(x, weights["w1"])), weights["w2"])

    steps_of(forward, type_name)


def test_layers_without_attention_take_turns_with_two_buffers(
    steps_of: StepsOf,
) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        for _ in range(5):
            x = ops.linear(x, weights["w1"])
        return x

    steps = steps_of(forward, "F32")
    assert all(find_barriers(steps)[1:])
    assert len({one for step in steps[:-1] for one in step.writes.values()}) == 2


def test_layers_of_one_input_do_not_wait_for_each_other(steps_of: StepsOf) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        a, b = (ops.linear(x, weights[name]) for name in ("w1", "w2"))
        return ops.add(a, ops.rms_norm(b, weights["norm"], 1))

    waits = find_barriers(steps_of(forward, "F32"))
    assert waits == [False, True, False, True, True, True]  # a and b: one barrier


def test_a_rotation_waits_for_its_table(steps_of: StepsOf) -> None:
    def forward(ops: Any, config: Any, weights: Any) -> Any:
        x = ops.embedding(weights["w0"])
        h = ops.rms_norm(x, weights["norm"], 1)
        return ops.add(h, ops.rope(x, Rope.from_config(RopeConfig(n_dims=16), 16)))

    steps = steps_of(forward, "F32")
    kinds = [step.kind for step in steps]
    waits = dict(zip(kinds, find_barriers(steps), strict=True))
    assert not waits["rope_table"] and waits["copy+rotate"]
