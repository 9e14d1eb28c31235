"""Scans of matrices: the gated delta rule, and Mamba-2's, at every level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.plan.step import Step
from llamacy.ops.reference.recurrence import (
    delta_rule_row,
    selective_scan_row,
    ssm_scan_row,
)
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.specs import Recurrence
from tests.kernels.conftest import buffer_of

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps

N_HEAD, N_SHARED = 4, 2  # heads of values; of queries and keys, or groups
N_ROWS = 21
DIMS = [(16, 16), (24, 40), (8, 128), (20, 64), (128, 7)]
Op = Literal["delta_rule", "row_decays", "ssm_scan", "selective_scan"]
OPS: tuple[Op, ...] = ("delta_rule", "row_decays", "ssm_scan", "selective_scan")
KINDS = {"row_decays": "delta_rule"}  # of steps, where they are not named as here


@dataclass
class Text:
    """Rows of one text, and its states, with a convolution's inputs before them."""

    op: Op
    dims: tuple[int, int]
    n_rows: int = N_ROWS
    seed: int = 0
    inputs: dict[str, Array] = field(init=False)
    constants: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        key_dim, value_dim = self.dims
        self.spec = Recurrence(0, 5, 3, N_HEAD, key_dim, value_dim)

        def noise(*shape: int) -> Array:
            return rng.standard_normal(shape, dtype=np.float32)

        def rows(width: int) -> Array:
            return noise(self.n_rows, width)

        self.start = noise(N_HEAD, key_dim, value_dim)
        narrow, wide = N_SHARED * key_dim, N_HEAD * value_dim
        if self.op == "ssm_scan":
            self.inputs = {"x": rows(wide), "dt": np.abs(rows(N_HEAD))}
            self.inputs |= {"b": rows(narrow), "c": rows(narrow)}
            self.constants = {"n_group": N_SHARED, "a": -np.abs(noise(N_HEAD))}
            self.constants |= {"d": noise(N_HEAD)}
            return
        if self.op == "selective_scan":
            self.inputs = {"x": rows(wide), "dt": np.abs(rows(wide))}
            self.inputs |= {"b": rows(key_dim), "c": rows(key_dim)}
            a = -np.abs(noise(wide * key_dim))
            self.constants = {"a": a, "d": noise(wide)}
            return
        n_decays = N_HEAD * (key_dim if self.op == "row_decays" else 1)
        k = rows(narrow).reshape(-1, key_dim)
        k /= np.linalg.norm(k, axis=1, keepdims=True)
        self.inputs = {"q": rows(narrow), "k": k.reshape(-1, narrow), "v": rows(wide)}
        self.inputs |= {"decay": -np.abs(rows(n_decays))}
        self.inputs |= {"beta": np.reciprocal(1 + np.exp(rows(N_HEAD)))}
        self.constants = {
            "n_key_head": N_SHARED,
            "repeats_key_heads": False,
            "decays_rows": n_decays != N_HEAD,
        }

    def reference(self) -> tuple[Array, Array]:
        """Row by row: the results, and the matrices after the last row."""
        results = []
        matrices: Any = self.start.astype(np.float64)
        if self.constants.get("repeats_key_heads"):
            shared = np.arange(N_HEAD) % N_SHARED
        else:
            shared = np.arange(N_HEAD) // (N_HEAD // N_SHARED)
        dims = dict.fromkeys(("q", "k", "b", "c"), self.dims[0])
        dims |= dict.fromkeys(("x", "v"), self.dims[1])
        if self.op == "selective_scan":
            dims["dt"], shared = self.dims[1], np.array(0)
        for row in range(self.n_rows):
            values = {
                name: x[row].reshape(-1, dims[name]) if name in dims else x[row]
                for name, x in self.inputs.items()
            }
            values |= {n: x[shared] for n, x in values.items() if n in "qkbc"}
            y, matrices = self._take(matrices, values)
            results.append(y.reshape(-1))
        return np.array(results), matrices

    def _take(self, matrices: Any, v: dict[str, Any]) -> tuple[Array, Array]:
        if self.op == "ssm_scan":
            a, d = self.constants["a"], self.constants["d"]
            return ssm_scan_row(matrices, v["x"], v["dt"], a, v["b"], v["c"], d)
        if self.op == "selective_scan":
            a = self.constants["a"].reshape(N_HEAD, -1, self.dims[0]).swapaxes(1, 2)
            d = self.constants["d"].reshape(N_HEAD, -1)
            rows = matrices, v["x"], v["dt"], a, v["b"], v["c"], d
            return selective_scan_row(*rows)
        decay = v["decay"].reshape(N_HEAD, -1)
        return delta_rule_row(matrices, v["q"], v["k"], v["v"], decay, v["beta"])


class States:
    """Memory of a text's states: a block that is read, and one that is written."""

    def __init__(self, text: Text) -> None:
        self.spec = text.spec
        self.slot = StateLayout([text.spec], "f32").slot(text.spec)
        size = self.slot.offset + text.spec.text_bytes
        self.before, self.after = (np.full(size + 64, 0xFF, np.uint8) for _ in "ba")
        self.matrices_of(self.before)[:] = text.start

    def matrices_of(self, block: NDArray[np.uint8]) -> Array:
        first = self.slot.offset + self.spec.column_bytes
        shape = self.spec.n_head, self.spec.key_dim, self.spec.value_dim
        matrices: Array = block[first : first + self.spec.matrix_bytes].view(np.float32)
        return matrices.reshape(shape)


def run(
    steps: Steps, texts: list[Text], cuts: list[int] | None = None, n_threads: int = 1
) -> list[tuple[Array, Array]]:
    """Run all rows in one pass; of one text, with states left after `cuts` rows.

    Returns
    -------
    results : list of (Array, Array)
        Of each text, as `Text.reference`.
    """
    joined = {
        name: buffer_of(np.concatenate([text.inputs[name] for text in texts]))
        for name in texts[0].inputs
    }
    states = [States(text) for text in texts]
    n_rows = sum(text.n_rows for text in texts)
    width = N_HEAD * texts[0].dims[1]
    y = buffer_of(np.zeros((n_rows, width), np.float32))
    slot, op = states[0].slot, texts[0].op
    program = steps.program(n_threads)
    program.add(
        Step.of(
            KINDS.get(op, op),
            {**joined, "state": slot},
            {"y": y, "state": slot},
            n_head=N_HEAD,
            **texts[0].constants,
        )
    )
    spans, addresses = [], []
    for row, n, before, after in _spans(texts, states, cuts or []):
        spans.append((row, n, row))
        addresses.append((before.ctypes.data, after.ctypes.data))
    rows = np.arange(n_rows, dtype=np.int32)
    program.run(
        rows,
        rows,
        rows,
        np.empty((0, 3), np.int32),
        np.empty(0, np.uintp),
        np.empty((n_rows, 1), np.float32),
        n_threads,
        spans=np.array(spans, np.int32),
        states=np.array(addresses, np.uintp),
    )
    assert np.isnan(y[:, width:]).all(), "wrote past the end of its rows"
    ends = np.cumsum([text.n_rows for text in texts])
    results = zip(np.split(y[:, :width], ends[:-1]), states, strict=True)
    return [(each, state.matrices_of(state.after).copy()) for each, state in results]


def _spans(
    texts: list[Text], states: list[States], cuts: list[int]
) -> Iterator[tuple[int, int, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield row, number of rows, block before and block after of each span."""
    row = 0
    for text, state in zip(texts, states, strict=True):
        before = state.before
        for first, end in zip([0, *cuts], [*cuts, text.n_rows], strict=True):
            yield row + first, end - first, before, state.after
            before = state.after
        row += text.n_rows


def assert_close(found: tuple[Array, Array], wanted: tuple[Array, Array]) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(b).max(), rtol=0)


def same(found: tuple[Array, Array], wanted: tuple[Array, Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dims", DIMS)
def test_it_is_the_reference(steps: Steps, op: Op, dims: tuple[int, int]) -> None:
    text = Text(op, dims)
    (found,) = run(steps, [text])
    assert_close(found, text.reference())


def test_heads_of_keys_may_be_repeated(steps: Steps) -> None:
    text = Text("delta_rule", (16, 16))
    text.constants["repeats_key_heads"] = True
    (found,) = run(steps, [text])
    assert_close(found, text.reference())


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dims", [(24, 40), (16, 128)])
def test_no_bit_depends_on_where_a_text_is_cut(
    steps: Steps, op: Op, dims: tuple[int, int]
) -> None:
    """Nor on the other texts of a pass, nor on threads."""
    text = Text(op, dims)
    (whole,) = run(steps, [text])
    for cuts in ([1], [7, 8], list(range(1, N_ROWS))):
        assert same(run(steps, [text], cuts)[0], whole), cuts
    others = [Text(op, dims, n_rows, seed) for seed, n_rows in ((1, 1), (2, 19))]
    for other in others:
        other.constants = text.constants
    for n_threads in (1, 3):
        first, second, third = run(steps, [others[0], text, others[1]], None, n_threads)
        assert same(second, whole)
        assert same(first, run(steps, [others[0]])[0])
        assert same(third, run(steps, [others[1]])[0])


@pytest.mark.parametrize("op", OPS)
def test_nan_stays_in_its_head_and_later_rows(steps: Steps, op: Op) -> None:
    text = Text(op, (16, 40))
    (clean,) = run(steps, [text])
    text.inputs["x" if "scan" in op else "v"][5, 40] = np.nan  # of head 1
    (found,) = run(steps, [text])
    is_nan = np.isnan(found[0]).reshape(N_ROWS, N_HEAD, 40)
    assert is_nan[5:, 1, 0].all()
    assert np.argwhere(is_nan).min(axis=0).tolist() == [5, 1, 0]
    assert is_nan.sum() == N_ROWS - 5
    assert np.array_equal(found[0][~np.isnan(found[0])], clean[0][~np.isnan(found[0])])
