"""A convolution of each channel, over rows that go on from those that states keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.ops.plan.step import Step
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.specs import Recurrence

if TYPE_CHECKING:
    from tests.kernels.conftest import Array, Steps

OFFSET = 128  # of the layer in a text's block
LENGTHS = (5, 1, 24)  # of texts, in rows


class Convolution:
    """One layer's convolution, run by kernels on texts with states of their own."""

    def __init__(
        self,
        steps: Steps,
        n: int,
        kernel: int,
        *,
        has_bias: bool,
        n_threads: int = 1,
        form: str | None = None,
        n_after: int = 0,
    ) -> None:
        rng = np.random.default_rng(n + kernel)
        self.weight = rng.standard_normal((n, kernel), np.float32)
        self.bias = rng.standard_normal(n, np.float32) if has_bias else None
        self.steps, self.n, self.n_threads = steps, n, n_threads
        columns = {"n_columns": kernel - 1, "n_after": n_after}
        self.spec = Recurrence(0, n_channels=n, **columns)
        self.form = form

    def new_state(self) -> NDArray[np.uint8]:
        state = np.zeros(OFFSET + self.spec.text_bytes + 64, np.uint8)
        state[:OFFSET] = state[-64:] = 77  # of other layers
        return state

    def run(
        self,
        spans: list[tuple[Array, NDArray[np.uint8], NDArray[np.uint8]]],
    ) -> list[Array]:
        """The results of spans: rows, and blocks of states before and after them."""
        rows = np.concatenate([x for x, _, _ in spans])
        pad = [(0, 0), (0, -self.n % 16)]
        x = np.pad(rows, pad, constant_values=np.nan)
        y = np.full_like(x, np.nan)
        slot = StateSlot(self.spec, "f16", OFFSET)
        program = self.steps.program(self.n_threads)
        program.add(
            Step.of(
                "causal_conv",
                {"x": x, "state": slot},
                {"y": y, "state": slot},
                weight=self.weight.reshape(-1),
                bias=self.bias,
                n=self.n,
                form=self.form,
            )
        )
        lengths = [len(x) for x, _, _ in spans]
        firsts = np.cumsum([0, *lengths[:-1]])
        program.run(
            np.zeros(len(x), np.int32),
            np.zeros(len(x), np.int32),
            np.empty(0, np.int32),
            np.zeros((1, 3), np.int32),
            np.zeros(1, np.uintp),
            np.empty((0, 1), np.float32),
            self.n_threads,
            spans=np.array(
                [(first, n, 0) for first, n in zip(firsts, lengths, strict=True)],
                np.int32,
            ),
            states=np.array(
                [(before.ctypes.data, after.ctypes.data) for _, before, after in spans],
                np.uintp,
            ),
        )
        assert np.isnan(y[:, self.n :]).all(), "wrote past the end of its rows"
        return np.split(y[:, : self.n], np.cumsum(lengths)[:-1])

    def expected(self, x: Array) -> NDArray[np.float64]:
        kernel, n_after = self.weight.shape[1], self.spec.n_after
        around = [(kernel - 1 - n_after, n_after), (0, 0)]
        padded = np.pad(x.astype(np.float64), around)
        y = sum(
            self.weight[:, j].astype(np.float64) * padded[j : j + len(x)]
            for j in range(kernel)
        )
        return np.asarray(y + (0 if self.bias is None else self.bias))


def columns(conv: Convolution, state: NDArray[np.uint8]) -> Array:
    n_bytes = 4 * conv.spec.n_columns * conv.n
    assert (state[:OFFSET] == 77).all()
    assert (state[-64:] == 77).all()
    kept = state[OFFSET : OFFSET + n_bytes].view(np.float32)
    return kept.reshape(conv.spec.n_columns, conv.n)


@pytest.mark.parametrize(
    ("n", "kernel", "has_bias"),
    [(16, 3, False), (129, 4, True), (5, 2, True), (300, 7, False)],
)
def test_rows_of_several_texts(
    steps: Steps, n: int, kernel: int, has_bias: bool
) -> None:
    conv = Convolution(steps, n, kernel, has_bias=has_bias, n_threads=3)
    rng = np.random.default_rng(1)
    texts = [rng.standard_normal((length, n), np.float32) for length in LENGTHS]
    states = [conv.new_state() for _ in texts]
    whole = conv.run([(x, s, s) for x, s in zip(texts, states, strict=True)])
    for x, y, state in zip(texts, whole, states, strict=True):
        np.testing.assert_allclose(y, conv.expected(x), rtol=1e-5, atol=1e-5)
        past = np.concatenate([np.zeros((kernel - 1, n), np.float32), x])
        np.testing.assert_array_equal(columns(conv, state), past[-(kernel - 1) :])


@pytest.mark.parametrize(("n", "kernel"), [(16, 3), (150, 5), (529, 7)])
def test_rows_of_whole_texts_see_those_after_them(
    steps: Steps, n: int, kernel: int
) -> None:
    """There is 0 around each text, whatever its states hold, which stay."""
    after = kernel // 2
    conv = Convolution(steps, n, kernel, has_bias=True, n_threads=3, n_after=after)
    rng = np.random.default_rng(5)
    texts = [rng.standard_normal((length, n), np.float32) for length in (*LENGTHS, 2)]
    state = conv.new_state()
    state[OFFSET:-64] = 255
    for x, y in zip(texts, conv.run([(x, state, state) for x in texts]), strict=True):
        np.testing.assert_allclose(y, conv.expected(x), rtol=1e-5, atol=1e-5)
    assert (state[OFFSET:-64] == 255).all()


@pytest.mark.parametrize("n", [16, 300, 529])
def test_silu_of_the_results_is_that_of_a_step_of_its_own(steps: Steps, n: int) -> None:
    x = 4 * np.random.default_rng(4).standard_normal((37, n), np.float32)
    x[20] = np.inf
    plain = Convolution(steps, n, 4, has_bias=True)
    (y,) = plain.run([(x, plain.new_state(), plain.new_state())])
    program, want = steps.program(), np.zeros_like(y)
    program.add(Step("silu", {"x": y.copy()}, {"y": want}, {"n": n}))
    steps.run(program, len(y))
    both = Convolution(steps, n, 4, has_bias=True, form="silu")
    state = both.new_state()
    (got,) = both.run([(x, state, state)])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(columns(both, state), x[-3:])


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 13])
def test_neither_cuts_nor_threads_nor_other_texts_make_a_difference(
    steps: Steps, cut: int
) -> None:
    n, kernel = 150, 4
    rng = np.random.default_rng(2)
    x = rng.standard_normal((24, n), np.float32)
    alone = Convolution(steps, n, kernel, has_bias=True)
    state = alone.new_state()
    (want,) = alone.run([(x, state, state)])
    conv = Convolution(steps, n, kernel, has_bias=True, n_threads=2)
    other, mine = conv.new_state(), conv.new_state()
    got = []
    for first in range(0, len(x), cut):
        one = rng.standard_normal((2, n), np.float32)
        got += conv.run([(one, other, other), (x[first : first + cut], mine, mine)])[1:]
    np.testing.assert_array_equal(np.concatenate(got), want)
    np.testing.assert_array_equal(columns(conv, mine), columns(conv, state))


def test_states_are_left_at_each_span_and_those_before_stay(steps: Steps) -> None:
    n, kernel = 40, 5
    conv = Convolution(steps, n, kernel, has_bias=False)
    x = np.random.default_rng(3).standard_normal((12, n), np.float32)
    first, second, third, last = (conv.new_state() for _ in range(4))
    conv.run([(x[:2], first, first)])
    kept = columns(conv, first).copy()
    garbage = [second, third, last]
    for state in garbage:
        state[OFFSET:-64] = 255
    got = conv.run(
        [(x[2:3], first, second), (x[3:10], second, third), (x[10:], third, last)]
    )
    np.testing.assert_allclose(
        np.concatenate(got), conv.expected(x)[2:], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(columns(conv, first), kept)
    np.testing.assert_array_equal(columns(conv, second)[-3:], x[:3])
    np.testing.assert_array_equal(columns(conv, third), x[6:10])
    np.testing.assert_array_equal(columns(conv, last), x[8:12])
