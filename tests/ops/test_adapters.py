"""Adapters beside weights, operation by operation."""

from __future__ import annotations

import numpy as np
import pytest

from llamacy.errors import ArgumentError
from llamacy.ops.adapters import AdaptedOps, LowRank
from llamacy.ops.plan.recorder import Recorder


def low_rank(n_out: int, n_in: int) -> LowRank[object]:
    return LowRank(np.ones((3, n_in), np.float32), np.ones((n_out, 3), np.float32))


def test_what_is_recorded() -> None:
    weights = {name: np.ones((8, 8), np.float32) for name in ("a", "b")}
    recorder = Recorder()
    ops = AdaptedOps(recorder, weights, {"b": low_rank(8, 8)})
    x = ops.embedding(weights["a"])
    y = ops.linear(ops.linear(x, weights["a"]), weights["b"])
    assert [node.op for node in recorder.nodes] == [
        *("embedding", "linear"),
        *("linear", "linear", "linear", "add"),
    ]
    down, up = recorder.nodes[3:5]
    assert (down.width, up.width, y.width) == (3, 8, 8)
    assert y.inputs == (recorder.nodes[2], up)
    assert down.inputs == recorder.nodes[2].inputs
    ops.check_all_used()


def test_one_that_is_passed_over_is_named() -> None:
    weights = {name: np.ones((8, 8), np.float32) for name in ("a", "b")}
    adapters = {name: low_rank(8, 8) for name in weights}
    ops = AdaptedOps(Recorder(), weights, adapters)
    ops.linear(ops.embedding(weights["a"]), weights["a"])
    with pytest.raises(ArgumentError, match="one of b"):
        ops.check_all_used()
