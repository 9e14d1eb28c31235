"""The cache of past texts: what is found, what is kept, what goes first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.generation.prefix_cache import MIN_SHARED, PrefixCache, common_prefix
from tests.support.scripted import ScriptedExecutor, ScriptedSequence


def sequence(executor: ScriptedExecutor, ids: list[int]) -> ScriptedSequence:
    one = executor.new_sequence()
    one.held = list(ids)
    return one


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.lists(st.integers())
)
def test_common_prefix(a: list[int], b: list[int], shared: list[int]) -> None:
    a, b = shared + a, shared + b
    n = common_prefix(a, b)
    assert a[:n] == b[:n]
    assert n in (len(a), len(b)) or a[n] != b[n]


def test_the_longest_beginning_is_found() -> None:
    executor, cache = ScriptedExecutor({}), PrefixCache(100)
    texts = [[1] * 40 + [2] * 40, [1] * 60 + [3] * 20, [4] * 80]
    held = [sequence(executor, ids) for ids in texts]
    for ids, one in zip(texts, held, strict=True):
        cache.put(ids, one)
    assert cache.find([1] * 40 + [2] * 7) == (held[0], 47)
    assert cache.find([1] * 99) == (held[1], 60)
    assert cache.find([4] * (MIN_SHARED - 1)) == (None, 0)
    assert cache.find([5] * 80) == (None, 0)
    assert executor.n_open == 3
    assert cache.clear()
    assert executor.n_open == 0
    assert not cache.clear()


def test_a_text_that_goes_on_replaces_its_beginning() -> None:
    executor, cache = ScriptedExecutor({}), PrefixCache(100)
    short, long = [1] * 40, [1] * 40 + [2] * 40
    cache.put(short, sequence(executor, short))
    cache.put(long, sequence(executor, long))
    assert executor.n_open == 1
    cache.put(short, sequence(executor, short))
    assert executor.n_open == 1
    assert cache.find(long)[1] == 80


def test_a_text_that_cannot_go_back_is_neither_found_nor_takes_anothers_place() -> None:
    executor, cache = ScriptedExecutor({}, reach=50), PrefixCache(100)
    short, long = [1] * 40, [1] * 40 + [2] * 60
    held = sequence(executor, short)
    cache.put(short, held)
    cache.put(long, sequence(executor, long))
    assert executor.n_open == 2
    assert cache.find([1] * 40 + [3] * 60) == (held, 40)
    assert cache.find([1] * 40 + [2] * 20)[1] == 60
    assert cache.find([1] * 40 + [2] * 5) == (held, 40)
    cache.put([1] * 40 + [2] * 5, sequence(executor, [1] * 40 + [2] * 5))
    assert cache.find([1] * 40 + [2] * 5)[1] == 45


def test_the_one_unused_for_longest_goes_first() -> None:
    executor, cache = ScriptedExecutor({}), PrefixCache(6)  # pages of 32
    for letter in (1, 2, 3):
        cache.put([letter] * 64, sequence(executor, [letter] * 64))
    assert cache.find([1] * 64)[1] == 64
    cache.put([4] * 64, sequence(executor, [4] * 64))
    assert [cache.find([letter] * 64)[1] for letter in (1, 2, 3, 4)] == [64, 0, 64, 64]
    assert executor.n_open == 3


def test_shared_pages_count_once() -> None:
    executor, cache = ScriptedExecutor({}), PrefixCache(6)
    for letter in (1, 2, 3):  # four pages in common, and one each
        ids = [9] * 128 + [letter] * 8
        cache.put(ids, sequence(executor, ids))
    assert executor.n_open == 2


def test_what_is_short_or_too_large_is_not_kept() -> None:
    executor = ScriptedExecutor({})
    for cache, n in ((PrefixCache(100), MIN_SHARED - 1), (PrefixCache(0), 64)):
        cache.put([1] * n, sequence(executor, [1] * n))
    PrefixCache(1).put([1] * 64, sequence(executor, [1] * 64))
    assert executor.n_open == 0
