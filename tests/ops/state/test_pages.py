"""Pages: taken lazily, shared by count, copied when written to, and given back."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.errors import ArgumentError, ClosedError, OutOfMemoryError
from llamacy.ops.state import pages
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.specs import ALIGNMENT

PAGE_TOKENS, PAGE_BYTES = 8, 256


@pytest.fixture
def pool() -> PagePool:
    return PagePool(PAGE_TOKENS, PAGE_BYTES)


def write(sequence: PagedSequence, n_tokens: int) -> None:
    sequence.reserve(n_tokens)
    sequence.advance(n_tokens)


def contents(sequence: PagedSequence) -> list[int]:
    """The mark in the first byte of each page."""
    return [int(page.data[0]) for page in sequence.pages]


def test_pages_come_with_the_tokens(pool: PagePool) -> None:
    sequence = PagedSequence(pool)
    assert pool.nbytes == 0
    for n_tokens, n_pages in ((1, 1), (7, 1), (1, 2), (20, 4)):
        write(sequence, n_tokens)
        assert sequence.n_pages == n_pages
    assert sequence.n_past == 29
    assert pool.nbytes == 4 * PAGE_BYTES


def test_pages_are_aligned_and_listed_by_address(pool: PagePool) -> None:
    sequence = PagedSequence(pool)
    write(sequence, 30 * PAGE_TOKENS)
    addresses = [page.address for page in sequence.pages]
    assert all(address % ALIGNMENT == 0 for address in addresses)
    assert sequence._pages.addresses[:30].tolist() == addresses
    assert sequence.page_table == sequence._pages.addresses.ctypes.data


def test_closed_pages_are_used_again(pool: PagePool) -> None:
    first = PagedSequence(pool)
    write(first, 3 * PAGE_TOKENS)
    first.close()
    first.close()
    second = PagedSequence(pool)
    write(second, 3 * PAGE_TOKENS)
    assert pool.nbytes == 3 * PAGE_BYTES
    second.close()
    pool.trim()
    assert pool.nbytes == 0
    with pytest.raises(ClosedError):
        first.reserve(1)
    with pytest.raises(ClosedError):
        first.fork()


def test_trimmed_memory_is_returned_once_no_page_is_in_use(pool: PagePool) -> None:
    one, two = PagedSequence(pool), PagedSequence(pool)
    write(one, PAGE_TOKENS)
    write(two, PAGE_TOKENS)
    slab = weakref.ref(one.pages[0].data.base)
    one.close()
    pool.trim()
    assert slab() is not None
    two.close()
    pool.trim()
    assert slab() is None
    write(PagedSequence(pool), PAGE_TOKENS)  # and new memory is taken


def test_a_dropped_sequence_gives_its_pages_back(pool: PagePool) -> None:
    write(PagedSequence(pool), 5)
    pool.trim()
    assert pool.nbytes == 0


def test_a_fork_shares_until_it_writes(pool: PagePool) -> None:
    one = PagedSequence(pool)
    write(one, PAGE_TOKENS + 3)
    for mark, page in enumerate(one.pages):
        page.data[0] = 10 + mark
    two = one.fork()
    assert two.n_past == one.n_past
    assert pool.nbytes == 2 * PAGE_BYTES
    write(two, 1)  # into the second page, which is copied
    two.pages[1].data[0] = 99
    assert pool.nbytes == 3 * PAGE_BYTES
    assert contents(one) == [10, 11]
    assert contents(two) == [10, 99]
    one.close()
    assert contents(two) == [10, 99]
    assert pool.nbytes == 3 * PAGE_BYTES  # one of them spare


def test_truncate(pool: PagePool) -> None:
    sequence = PagedSequence(pool)
    write(sequence, 3 * PAGE_TOKENS)
    sequence.truncate(PAGE_TOKENS + 1)
    assert (sequence.n_past, sequence.n_pages) == (PAGE_TOKENS + 1, 2)
    for n in (-1, PAGE_TOKENS + 2):
        with pytest.raises(ArgumentError, match=rf"wanted 0 to 9, found {n}"):
            sequence.truncate(n)


def test_no_memory(pool: PagePool, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = PagedSequence(pool)
    write(sequence, 3)

    def fail(nbytes: int) -> pages.Page:
        raise MemoryError

    monkeypatch.setattr(pages, "Page", fail)
    with pytest.raises(OutOfMemoryError, match="256 more bytes .* beside 256 in use"):
        sequence.reserve(PAGE_TOKENS)
    assert (sequence.n_past, pool._n_used) == (3, 1)
    write(sequence, PAGE_TOKENS - 3)  # there is room for these


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["new", "fork", "write", "truncate", "close"]),
            st.integers(0, 30),
        ),
        max_size=40,
    )
)
def test_every_page_is_held_as_often_as_it_is_listed(
    actions: list[tuple[str, int]],
) -> None:
    pool = PagePool(PAGE_TOKENS, PAGE_BYTES)
    sequences = [PagedSequence(pool)]
    for action, n in actions:
        sequence = sequences[n % len(sequences)]
        if action == "new":
            sequences.append(PagedSequence(pool))
        elif action == "fork":
            sequences.append(sequence.fork())
        elif action == "write":
            write(sequence, n)
        elif action == "truncate":
            sequence.truncate(min(n, sequence.n_past))
        elif len(sequences) > 1:
            sequences.remove(sequence)
            sequence.close()
        listed = [page for each in sequences for page in each.pages]
        assert all(page.n_holders == listed.count(page) for page in listed)
        assert pool._n_used == len(set(map(id, listed)))
        for each in sequences:
            assert each.n_pages == -(-each.n_past // PAGE_TOKENS)


def test_threads_may_share_a_pool(pool: PagePool) -> None:
    root = PagedSequence(pool)
    write(root, 3)

    def work(n: int) -> None:
        for i in range(50):
            with_root = root.fork()
            write(with_root, (n + i) % 20)
            with_root.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert pool._n_used == 1
    assert root.pages[0].n_holders == 1
