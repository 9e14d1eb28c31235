"""Any graph of the vocabulary's operations must be on the plan what it is to NumPy.

Graphs are drawn operation by operation, whether a model would have them or not: a
value is read once, often or never, rotated before or after others read it, layers keep
heads of different numbers and sizes, and the logits come from any operation. The steps
of each lowering are checked too, since threads that do not wait for each other compute
the right thing most of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from llamacy.ops.batch import Batch, TextBatch
from llamacy.ops.plan.packed_weights import pack_weights
from llamacy.ops.plan.step import Step
from tests.support.graph_draft import graphs
from tests.support.random_graphs import CONFIG, N_TYPES, N_VOCAB, Graph, weights

if TYPE_CHECKING:
    from tests.ops.conftest import Executors

Array = NDArray[np.float32]


def logits_of(executor: Any) -> Array:
    """Return the logits of a prompt, of single rows after it, and of two sequences."""
    tokens = np.random.default_rng(2).integers(0, N_VOCAB, 64).tolist()
    a, b = executor.new_sequence(), executor.new_sequence()
    out = [
        executor.forward(Batch.of(tokens[:35], a, "all")),
        executor.forward(Batch.of(tokens[35:36], a)),
        executor.forward(Batch.of(tokens[36:37], a, "none")),
        executor.forward(Batch.of(tokens[37:38], a)),
    ]
    both = [(tokens[38:40], a, "last"), (tokens[40:43], b, "all")]
    out.append(executor.forward(Batch.join(both)))  # type: ignore[arg-type]
    return np.concatenate(out)


# single precision; and what rounding activations may come to, at the worst level
LARGEST_DEVIATION = {"F32": 2e-5, "Q8_0": 0.1}


@pytest.mark.parametrize("type_name", LARGEST_DEVIATION)
@settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(graph=graphs())
def test_the_plan_computes_what_the_reference_does(
    make_executors: Callable[..., Executors], graph: Graph, type_name: str
) -> None:
    both = make_executors(graph, CONFIG, weights(), type_name)
    want = logits_of(both.reference())
    alone = logits_of(both.plan(n_threads=1))
    deviation = np.abs(alone - want).max() / np.abs(want).max()
    assert deviation <= LARGEST_DEVIATION[type_name]
    np.testing.assert_array_equal(logits_of(both.plan(n_threads=3)), alone)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs())
def test_threads_wait_for_what_they_read(
    make_executors: Callable[..., Executors],
    lowered: Callable[..., list[Step]],
    graph: Graph,
) -> None:
    both = make_executors(graph, CONFIG, weights(), "Q8_0")
    lowered(graph, CONFIG, pack_weights(both.tensors))


def embeddings_of(executor: Any, lengths: tuple[int, ...]) -> Array:
    """Return the embeddings of texts that are a pass together."""
    rng = np.random.default_rng(3)
    texts = [rng.integers(0, N_VOCAB, n).tolist() for n in lengths]
    types = [rng.integers(0, N_TYPES, n).tolist() for n in lengths]
    found: Array = executor.embed(TextBatch.of(texts, types), "mean")
    return found


@pytest.mark.parametrize("type_name", LARGEST_DEVIATION)
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(graph=graphs(embeds=True))
def test_texts_are_embedded_as_the_reference_does(
    make_executors: Callable[..., Executors], graph: Graph, type_name: str
) -> None:
    both = make_executors(graph, CONFIG, weights(), type_name)
    lengths = 2, 45, 1, 33, 4  # more rows than buffers are made for at first
    want = embeddings_of(both.reference(), lengths)
    plan = both.plan(n_threads=3)
    embeddings_of(plan, lengths[:1])
    found = embeddings_of(plan, lengths)
    assert (
        np.abs(found - want).max() / np.abs(want).max()
        <= (LARGEST_DEVIATION[type_name])
    )
    np.testing.assert_array_equal(embeddings_of(both.plan(), lengths), found)
