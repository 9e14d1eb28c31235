"""Pages that no window reaches: given back, and missed by nothing that is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from llamacy.ops.rope import Rope
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.windows import MARGIN, most_pages
from tests.support.states import key_values

SIZE, N_BATCH = 8, 200  # tokens of a page, and of a pass
N_LAYER, N_VOCAB, WINDOW = 2, 50, 40
N_FAR = MARGIN + 300  # a text's tokens, some of whose pages are gone by then


def write(sequence: PagedSequence, tokens: list[int]) -> None:
    """Write tokens into the pages, one byte each."""
    first = sequence.n_past
    sequence.reserve(len(tokens))
    for position, token in enumerate(tokens, first):
        page = sequence.pages[position // SIZE - sequence.n_gone]
        page.data[position % SIZE] = token
    sequence.advance(len(tokens))


def check(sequence: PagedSequence, text: list[int], window: int | None) -> None:
    """Compare what the next token sees, and what is held, with what has to be."""
    n = sequence.n_past
    assert n == len(text)
    first_seen = 0 if window is None else max(0, n + 1 - window)
    first_held = SIZE * sequence.n_gone
    assert first_held <= first_seen
    held = b"".join(bytes(page.data[:SIZE]) for page in sequence.pages)
    assert list(held[first_seen - first_held : n - first_held]) == text[first_seen:]
    assert sequence.n_gone + sequence.n_pages == -(-n // SIZE)
    assert sequence.n_pages <= most_pages(n, SIZE, window, 0)
    listed = [0] * sequence.n_gone + [page.address for page in sequence.pages]
    assert sequence._pages.addresses[: len(listed)].tolist() == listed


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([None, 1, 7, 8, 9, 100]),
    st.lists(
        st.tuples(
            st.sampled_from(["fork", "write", "write", "write", "truncate", "close"]),
            st.integers(0, N_BATCH),
        ),
        max_size=40,
    ),
)
def test_what_is_seen_is_there(
    window: int | None, actions: list[tuple[str, int]]
) -> None:
    pool = PagePool(SIZE, SIZE, window)
    texts: dict[PagedSequence, list[int]] = {PagedSequence(pool): []}
    longest: dict[PagedSequence, int] = dict.fromkeys(texts, 0)  # that it has been
    for token, (action, n) in enumerate(actions):
        sequence = list(texts)[n % len(texts)]
        text = texts[sequence]
        if action == "fork":
            twin = sequence.fork()
            texts[twin], longest[twin] = list(text), longest[sequence]
        elif action == "write":
            write(sequence, [token] * 4 * n)
            text += [token] * 4 * n
            longest[sequence] = max(longest[sequence], len(text))
        elif action == "truncate":
            n_kept = max(0, len(text) - 5 * n)
            can = sequence.can_go_back(n_kept)
            n_back = longest[sequence] - n_kept
            assert can or (window is not None and n_back > MARGIN)
            sequence.truncate(n_kept)
            del text[n_kept if can else 0 :]
            longest[sequence] *= can
        elif len(texts) > 1:
            del texts[sequence]
            sequence.close()
        for each, its in texts.items():
            check(each, its, window)
        held = [page for each in texts for page in each.pages]
        assert all(page.n_holders == held.count(page) for page in held)
        assert pool.n_used == len(set(map(id, held)))


@pytest.mark.parametrize("window", [1, 8, 100])
def test_pages_are_no_more_than_is_said(window: int) -> None:
    rng = np.random.default_rng(0)
    sequence, most = PagedSequence(PagePool(SIZE, SIZE, window)), 0
    while sequence.n_past < 5000:
        n = int(rng.integers(1, N_BATCH + 1))
        sequence.reserve(n)
        limit = most_pages(sequence.n_past + n, SIZE, window, N_BATCH)
        assert sequence.n_pages <= limit
        most = max(most, sequence.n_pages)
        sequence.advance(n)
    assert most == pytest.approx(limit, abs=3)


def test_going_back_to_what_is_gone_forgets_everything() -> None:
    pool = PagePool(SIZE, SIZE, 20)
    sequence = PagedSequence(pool)
    write(sequence, [1] * 1000)
    sequence.truncate(1000 - MARGIN)
    assert sequence.n_past == 1000 - MARGIN
    n_gone = sequence.n_gone
    sequence.truncate(SIZE * n_gone + 19)  # whose next token sees all that is left
    assert (sequence.n_past, sequence.n_gone) == (SIZE * n_gone + 19, n_gone)
    sequence.truncate(SIZE * n_gone + 18)
    assert (sequence.n_past, sequence.n_gone, pool.n_used) == (0, 0, 0)
    write(sequence, [2] * 30)
    check(sequence, [2] * 30, 20)


def test_a_restored_sequence_goes_on() -> None:
    pool = PagePool(SIZE, SIZE, 20)
    old, new = PagedSequence(pool), PagedSequence(pool)
    text = list(np.random.default_rng(0).integers(0, 256, 1000))
    write(old, text[:900])
    parts = dict(old.parts())
    new.restore(900, old.n_gone, lambda name, _: parts.pop(name))
    assert not parts
    assert new.n_gone > 0
    write(new, text[900:])
    check(new, text, 20)


def forward(ops: Any, config: Any, weights: Mapping[str, Any]) -> Any:
    """Two layers of attention, the second with a narrower window."""
    rope = Rope.from_config(config.rope, config.head_dim)
    x = ops.embedding(weights["embd"])
    for layer, window in enumerate((WINDOW, WINDOW // 2)):
        q, k, v = (ops.linear(x, weights[f"{name}.{layer}"]) for name in "qkv")
        q, k = ops.rope(q, rope), ops.rope(k, rope)
        h = ops.attention(q, k, v, state=key_values(layer, window), scale=0.25)
        x = ops.add(x, ops.linear(h, weights[f"o.{layer}"]))
    return ops.linear(ops.wanted(x), weights["out"])


@pytest.fixture
def executors(make_executors: Callable[..., Any], model_config: Any) -> Any:
    rng = np.random.default_rng(0)
    n, n_kv = model_config.n_embd, model_config.n_head_kv * model_config.head_dim
    shapes = {"embd": (N_VOCAB, n), "out": (N_VOCAB, n)} | {
        f"{name}.{layer}": (rows, n)
        for name, rows in (("q", n), ("k", n_kv), ("v", n_kv), ("o", n))
        for layer in range(N_LAYER)
    }
    values = {
        name: (rng.standard_normal(shape) * n**-0.5).astype(np.float32)
        for name, shape in shapes.items()
    }
    return make_executors(forward, model_config, values)


def read(
    plan: Any, sequence: Any, ids: list[int], sizes: list[int]
) -> NDArray[np.float32]:
    """Logits of all tokens, read in passes of these sizes, over and over."""
    rows: list[NDArray[np.float32]] = []
    first = 0
    for n in sizes * len(ids):
        if first >= len(ids):
            return np.concatenate(rows)
        rows.append(plan.forward(Batch.of(ids[first : first + n], sequence, "all")))
        first += n
    raise AssertionError("not reached")


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_logits_are_those_with_all_pages_kept(executors: Any, kv_type: str) -> None:
    ids = np.random.default_rng(1).integers(0, N_VOCAB, N_FAR).tolist()
    other = ids[::-1]
    found = []
    for is_kept in (False, True):
        plan: Plan = executors.plan(kv_type=kv_type, n_threads=2)
        assert plan._pool.window == WINDOW
        if is_kept:
            plan._pool.window = None
        trunk = plan.new_sequence()
        logits = [read(plan, trunk, ids, [48, 1, 17, 48, 30])]
        branch = trunk.fork()
        logits.append(read(plan, trunk, other[:90], [48, 1]))
        branch.truncate(N_FAR - 100)
        logits.append(read(plan, branch, other[:90], [20]))
        found.append(np.concatenate(logits))
        most = 2 * most_pages(N_FAR + 90, PAGE, plan._pool.window, plan.n_batch)
        assert plan.n_pages_used <= most
        assert (trunk.n_gone > 0) is not is_kept
    np.testing.assert_array_equal(found[0], found[1])


def test_logits_are_the_references(executors: Any) -> None:
    ids = np.random.default_rng(1).integers(0, N_VOCAB, N_FAR).tolist()
    plan, reference = executors.plan(), executors.reference()
    got = read(plan, plan.new_sequence(), ids, [48])
    want = read(reference, reference.new_sequence(), ids, [256])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


def test_one_layer_that_sees_all_keeps_all(executors: Any) -> None:
    def partly(ops: Any, config: Any, weights: Mapping[str, Any]) -> Any:
        x = ops.embedding(weights["embd"])
        for layer, window in enumerate((WINDOW, None)):
            q, k, v = (ops.linear(x, weights[f"{name}.{layer}"]) for name in "qkv")
            x = ops.attention(q, k, v, state=key_values(layer, window), scale=0.25)
        return ops.linear(ops.wanted(x), weights["out"])

    executors.forward = partly
    plan = executors.plan()
    sequence = plan.new_sequence()
    read(plan, sequence, [1] * N_FAR, [48])
    assert sequence.n_pages == -(-N_FAR // PAGE)
