"""Passes that embed texts, and leave nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import ModelConfig, Pooling
from llamacy.errors import ArgumentError, ClosedError, OutOfMemoryError
from llamacy.ops.batch import Batch, TextBatch
from llamacy.ops.plan.embedding import layout_of_pass
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.plan import Plan
from llamacy.ops.plan.recorder import Recorder
from llamacy.ops.state import pages
from tests.support.states import key_values

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

Array = NDArray[np.float32]
LENGTHS = (3, 40, 1, 17, 33)


def embed(
    ops: Any, config: ModelConfig, weights: Mapping[str, Any], pooling: Pooling
) -> Any:
    """Two layers of attention in both directions."""
    x = ops.embedding(weights["embd"])
    for layer in range(config.n_layer):
        h = ops.rms_norm(x, weights[f"norm.{layer}"], config.norm_eps)
        q, k, v = (ops.linear(h, weights[f"{name}.{layer}"]) for name in "qkv")
        state = key_values(layer, is_causal=False)
        h = ops.attention(q, k, v, state=state, scale=0.25)
        x = ops.add(x, ops.linear(h, weights[f"o.{layer}"]))
    if pooling == "rank":
        raise ArgumentError("pooling: wanted another")
    return ops.mean(x) if pooling == "mean" else ops.wanted(x)


@pytest.fixture
def load(transformer: Callable[..., Executors]) -> Callable[..., Plan]:
    """Make a plan of the encoder: (n_threads, type of the matrices)."""

    def make(n_threads: int = 1, type_name: str = "F32") -> Plan:
        both = transformer(type_name)
        config = replace(both.config, is_causal=False)
        return Plan(
            *(both.forward, config, pack_weights(both.tensors)),
            n_threads=n_threads, n_batch=48, embed=embed,
        )  # fmt: skip

    return make


@pytest.fixture
def plan(load: Callable[..., Plan]) -> Plan:
    return load()


def texts(lengths: tuple[int, ...] = LENGTHS) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(50, size=n).tolist() for n in lengths]


@pytest.mark.usefixtures("selected_level")
def test_threads_and_other_texts_make_no_difference(load: Callable[..., Plan]) -> None:
    rows = texts()
    alone = np.concatenate([load().embed(TextBatch.of([t]), "mean") for t in rows])
    for n_threads in (1, 3):
        together = load(n_threads).embed(TextBatch.of(rows), "mean")
        np.testing.assert_array_equal(together, alone)
        others = load(n_threads).embed(TextBatch.of(rows[::-1]), "mean")
        np.testing.assert_array_equal(others[::-1], alone)


def test_rows_are_pooled_as_they_are_asked_for(plan: Plan) -> None:
    batch = TextBatch.of(texts())
    rows = np.split(plan.embed(batch, "none"), np.cumsum(LENGTHS)[:-1])
    for pooling, wanted in (
        ("cls", [each[0] for each in rows]),
        ("last", [each[-1] for each in rows]),
        ("mean", [each.mean(axis=0, dtype=np.float64) for each in rows]),
    ):
        found = plan.embed(batch, pooling)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, np.array(wanted), rtol=2e-7, atol=0)


def test_a_text_may_be_longer_than_a_batch_of_others(plan: Plan) -> None:
    long = texts((1000,))
    found = plan.embed(TextBatch.of([*texts(), *long]), "mean")
    np.testing.assert_array_equal(found[:-1], plan.embed(TextBatch.of(texts()), "mean"))
    np.testing.assert_array_equal(found[-1:], plan.embed(TextBatch.of(long), "mean"))


def test_nothing_is_left_of_texts(plan: Plan) -> None:
    plan.embed(TextBatch.of(texts()), "mean")
    assert (plan.n_pages_used, plan.n_pages_free, plan.kv_bytes_used) == (0, 0, 0)


def test_layers_share_a_place_unless_others_read_theirs() -> None:
    def record(*, is_read_later: bool) -> tuple[int, list[int]]:
        ops: Any = Recorder()
        x = ops.embedding(np.ones((5, 32), np.float32))
        states = [key_values(layer) for layer in range(3)]
        for state in states:
            x = ops.attention(x, x, x, state=state, scale=1)
        if is_read_later:
            ops.shared_attention(x, state=states[1], scale=1)
        layout = layout_of_pass(ops.nodes)
        return layout.page_bytes, [layout.slot(each).offset for each in states]

    of_layer = key_values(0).page_bytes("f32")
    assert record(is_read_later=False) == (of_layer, [0, 0, 0])
    assert record(is_read_later=True) == (2 * of_layer, [0, of_layer, 0])


def test_threads_of_callers_take_turns(plan: Plan) -> None:
    batches = [TextBatch.of(texts((n, 5))) for n in range(1, 9)]
    wanted = [plan.embed(batch, "mean") for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: plan.embed(batch, "mean"), batches))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (TextBatch.of([]), "lengths: wanted 1 or more each, found no text"),
        (TextBatch.of([[1], []]), "lengths: wanted 1 or more each, found 0"),
        (TextBatch.of([[1, 50]]), "tokens: wanted 0 to 49, found 50"),
        (TextBatch.of([[1, -1]]), "tokens: wanted 0 to 49, found -1"),
        (TextBatch.of([[1]], [[1]]), "types: wanted 0 to 0, found 1"),
        (TextBatch.of([[1, 2]], [[0]]), "types: wanted 2, one for each token, found 1"),
        (
            replace(TextBatch.of([[1, 2]]), lengths=np.array([3], np.int32)),
            "lengths: wanted 2 together, found 3",
        ),
    ],
)
def test_texts_that_cannot_be_run_are_refused(
    plan: Plan, batch: TextBatch, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        plan.embed(batch, "mean")


def test_an_encoder_has_no_logits(plan: Plan) -> None:
    batch = Batch.of([1, 2], plan.new_sequence())
    for call in (lambda: plan.forward(batch), lambda: plan.cost(0, 1, 1)):
        with pytest.raises(
            ArgumentError, match="test: an encoder, which has no logits"
        ):
            call()
    assert not plan.has_logits


def test_a_pass_that_fails_leaves_nothing(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArgumentError, match="pooling"):
        plan.embed(TextBatch.of(texts()), "rank")

    def no_memory(_: int) -> None:
        raise MemoryError

    wanted = plan.embed(TextBatch.of([[1, 2]]), "mean")
    with monkeypatch.context() as patched:
        patched.setattr(pages, "large_pages", no_memory)
        patched.setattr(pages, "SLAB_BYTES", 1)
        with pytest.raises(OutOfMemoryError):
            plan.embed(TextBatch.of(texts((1,) * 4000)), "mean")
    np.testing.assert_array_equal(plan.embed(TextBatch.of([[1, 2]]), "mean"), wanted)


def test_a_closed_plan_embeds_nothing(plan: Plan) -> None:
    plan.close()
    with pytest.raises(ClosedError):
        plan.embed(TextBatch.of(texts()), "mean")
