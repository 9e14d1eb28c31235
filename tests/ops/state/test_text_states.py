"""States of a fixed size: shared until written, kept at marks, and gone back to."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.errors import OutOfMemoryError
from llamacy.ops.reference.sequence import ReferenceSequence
from llamacy.ops.state import pages
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import Page, PagePool
from llamacy.ops.state.snapshots import PERIOD, Snapshots
from llamacy.ops.state.specs import Recurrence
from llamacy.ops.state.windows import MARGIN

SIZE, STATE_BYTES, N_SNAPSHOTS, MOST = 8, 64, 3, 60
TAKEN = 2**32 - 1


def new_pool(window: int | None = None) -> PagePool:
    return PagePool(SIZE, SIZE, window, text_bytes=STATE_BYTES, n_snapshots=N_SNAPSHOTS)


@pytest.fixture
def pool() -> PagePool:
    return new_pool()


def at(address: int) -> Page:
    return next(page for page in _pages_of_all if page.address == address)


_pages_of_all: list[Page] = []


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Find blocks by their addresses, as kernels do."""

    class Watched(Page):
        __slots__ = ()

        def __init__(self, data: np.ndarray) -> None:
            super().__init__(data)
            _pages_of_all.append(self)

    monkeypatch.setattr(pages, "Page", Watched)
    yield
    _pages_of_all.clear()


def after(state: int, tokens: list[int]) -> int:
    """A recurrence: each token changes the whole state."""
    for token in tokens:
        state = (state * 31 + token + 1) % TAKEN
    return state


def numbers(page: Page) -> np.ndarray:
    return page.data.view(np.uint32)


def run(sequence: PagedSequence, tokens: list[int]) -> None:
    """Read tokens, as a pass does; the states are of one number, many times."""
    sequence.reserve(len(tokens))
    run_part(sequence, tokens)


def run_part(sequence: PagedSequence, tokens: list[int]) -> None:
    """Read the first tokens of those that there is room for."""
    done = 0
    for span in sequence.spans(len(tokens)):
        before = set(numbers(at(span.before)).tolist())
        assert len(before) == 1
        state = after(before.pop(), tokens[done : done + span.n_rows])
        numbers(at(span.after))[:] = state
        done += span.n_rows
    assert done == len(tokens)
    sequence.advance(len(tokens))


def state_of(sequence: PagedSequence) -> int:
    """The state that a pass over the next token would read."""
    sequence.reserve(1)
    (first, *_) = sequence.spans(1)
    state = int(numbers(at(first.before))[0])
    sequence.reserve(1)  # planning anew changes nothing
    return state


def held_by(sequences: list[PagedSequence]) -> Counter[Page]:
    """How often each block is held, by states and by what is planned."""
    held: Counter[Page] = Counter()
    for each in sequences:
        states = each._states
        assert states is not None
        planned = [block for _, block in states._next if block is not states._now]
        held.update(states.blocks + planned)
    return held


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([None, 7]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [*("fork", "read", "read", "read", "mark", "truncate", "truncate")]
                + ["close", "thin", "abandon", "plan", "draft"]
            ),
            st.integers(0, MOST),
        ),
        max_size=40,
    ),
)
def test_a_text_has_its_own_state_whatever_the_others_do(
    window: int | None, actions: list[tuple[str, int]]
) -> None:
    pool = new_pool(window)
    texts: dict[PagedSequence, list[int]] = {PagedSequence(pool): []}
    for number, (action, n) in enumerate(actions):
        sequence = list(texts)[n % len(texts)]
        text = texts[sequence]
        if action == "fork":
            texts[sequence.fork()] = list(text)
        elif action == "read" and n:
            tokens = [number * 7 + i for i in range(n)]
            run(sequence, tokens)
            text += tokens
        elif action == "draft":
            sequence.try_rows(5)
            run(sequence, [n] * 5)
            text += [n] * 5
            assert all(sequence.can_go_back(len(text) - i) for i in range(5))
        elif action == "mark":
            sequence.mark([len(text), len(text) + n // 2, len(text) + n])
        elif action == "truncate":
            n_kept = min(n, len(text))
            nearest = sequence.nearest(n_kept)
            states = sequence._states
            assert states is not None
            assert nearest in (n_kept, 0, *states.lengths)
            assert sequence.can_go_back(n_kept) == (nearest == n_kept)
            sequence.truncate(n_kept)
            del text[nearest:]
        elif action == "thin":
            n_before = len(sequence.snapshots)
            assert sequence.thin() == (n_before > 1)
        elif action == "plan":
            sequence.reserve(n + 1)
        elif action == "abandon":
            sequence.reserve(n + 1)
            is_own = any(one.before == one.after for one in sequence.spans(n + 1))
            for span in sequence.spans(n + 1):
                numbers(at(span.after))[:] = TAKEN
            sequence.abandon()
            assert is_own or sequence.n_past == len(text)
            del text[sequence.n_past :]
        elif action == "close" and len(texts) > 1:
            del texts[sequence]
            sequence.close()
        for each, its in texts.items():
            assert each.n_past == len(its)
            assert len(each.snapshots) <= N_SNAPSHOTS
            assert list(each.snapshots) == sorted(each.snapshots)
            assert state_of(each) == after(0, its)
        held = held_by(list(texts))
        assert all(block.n_holders == times for block, times in held.items())
        assert pool.states is not None and pool.states.n_used == len(held)
    for each in texts:
        each.close()
    assert pool.states is not None and pool.states.n_used == 0


def test_marks_are_kept_in_the_middle_of_a_pass(pool: PagePool) -> None:
    sequence, text = PagedSequence(pool), list(range(30))
    sequence.mark([10, 17, 29])
    run(sequence, text)
    assert sequence.snapshots == (10, 17, 29)
    assert [sequence.nearest(n) for n in (9, 10, 16, 28, 29, 30)] == [
        0,
        10,
        10,
        17,
        29,
        30,
    ]
    sequence.truncate(20)
    assert sequence.n_past == 17
    assert list(sequence.snapshots) == [10, 17]
    assert state_of(sequence) == after(0, text[:17])


def test_rows_before_an_adapter_acts_are_a_part_of_their_own(pool: PagePool) -> None:
    sequence, text = PagedSequence(pool), list(range(12))
    sequence.adapted_from = 5
    sequence.mark([3, 5, 9])
    sequence.reserve(len(text))
    run_part(sequence, text[:5])
    assert sequence.n_past == 5
    run_part(sequence, text[5:])
    assert sequence.snapshots == (3, 5, 9)
    sequence.truncate(7)
    assert sequence.n_past == 5
    assert state_of(sequence) == after(0, text[:5])


def test_the_oldest_goes_and_never_the_newest(pool: PagePool) -> None:
    sequence = PagedSequence(pool)
    for length in range(1, 6):
        run(sequence, [1])
        sequence.mark([length])
    assert sequence.snapshots == (3, 4, 5)
    assert [sequence.thin() for _ in range(4)] == [True, True, False, False]
    assert list(sequence.snapshots) == [5]


def test_memory_counts_what_is_shared_once(pool: PagePool) -> None:
    one = PagedSequence(pool)
    run(one, [1] * SIZE)
    one.mark([SIZE])
    two = one.fork()
    assert one.memory == two.memory
    assert sum(one.memory.values()) == SIZE + STATE_BYTES == pool.bytes_used
    run(two, [2])  # now each has a state, and the snapshot is that of one
    both = {**one.memory, **two.memory}
    assert sum(both.values()) == 2 * SIZE + 2 * STATE_BYTES == pool.bytes_used


def test_long_texts_are_kept_every_few_thousand_tokens(pool: PagePool) -> None:
    sequence = PagedSequence(pool)
    for _ in range(3):
        run(sequence, [5] * (PERIOD // 2 + 100))
    assert sequence.snapshots == (PERIOD,)
    snapshots: Snapshots[str] = Snapshots(2)
    assert snapshots.due(0, 3 * PERIOD) == [PERIOD, 2 * PERIOD, 3 * PERIOD]
    assert snapshots.due(PERIOD, 2 * PERIOD - 1) == []


def test_a_snapshot_whose_pages_are_gone_is_of_no_use() -> None:
    sequence = PagedSequence(new_pool(window=4))
    sequence.mark([SIZE, 3 * SIZE])
    run(sequence, [1] * 4 * SIZE)
    assert sequence.nearest(2 * SIZE) == SIZE
    run(sequence, [1] * (MARGIN + 8))
    assert sequence.nearest(3 * SIZE) in (0, 3 * SIZE)
    run(sequence, [1] * 4 * SIZE)
    assert sequence.nearest(3 * SIZE) == 0
    sequence.truncate(3 * SIZE)
    assert (sequence.n_past, sequence.n_pages) == (0, 0)


def test_a_text_that_finds_no_memory_stays_as_it_was(
    pool: PagePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = PagedSequence(pool)
    run(sequence, [1, 2, 3])
    sequence.mark([3, 4])

    def fail(nbytes: int) -> Page:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(pages, "Page", fail)
        with pytest.raises(OutOfMemoryError, match="64 more bytes of recurrent states"):
            sequence.reserve(2)
    assert sequence.n_past == 3
    run(sequence, [4, 5])
    assert state_of(sequence) == after(0, [1, 2, 3, 4, 5])


def test_it_is_said_why_tokens_are_read_again(
    pool: PagePool, caplog: pytest.LogCaptureFixture
) -> None:
    sequence = PagedSequence(pool)
    sequence.mark([4])
    run(sequence, [1] * 9)
    with caplog.at_level(logging.DEBUG, "llamacy"):
        sequence.truncate(7)
    assert "a text of 9 tokens, of which 7 are to stay, goes back to 4" in caplog.text


SPEC = Recurrence(2, n_channels=3, n_columns=2, n_head=1, key_dim=2, value_dim=2)


def test_the_reference_keeps_and_goes_back_likewise() -> None:
    sequence = ReferenceSequence()

    def read(first: int, n: int) -> None:
        sequence.begin()
        for length in range(first + 1, first + n + 1):
            columns = sequence.columns(SPEC) + length
            sequence.keep_columns(SPEC, length, columns)
            sequence.keep_matrices(SPEC, length, sequence.matrices(SPEC) - length)
        sequence.advance(n)

    sequence.mark([3, 5])
    read(0, 7)
    assert [sequence.nearest(n) for n in (2, 4, 6, 7)] == [0, 3, 5, 7]
    twin = sequence.fork()
    sequence.truncate(6)
    assert sequence.n_past == 5
    assert sequence.columns(SPEC)[0, 0] == 1 + 2 + 3 + 4 + 5
    assert sequence.matrices(SPEC).shape == (1, 2, 2)
    sequence.keep_columns(SPEC, 6, np.zeros((2, 3), np.float32))
    sequence.begin()  # a pass that was broken off has left nothing
    assert sequence.columns(SPEC)[0, 0] == 15
    assert twin.n_past == 7
    assert twin.columns(SPEC)[0, 0] == 28
    assert twin.thin()
    twin.truncate(4)
    assert twin.n_past == 0
    assert not twin.columns(SPEC).any()
