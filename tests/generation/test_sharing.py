"""Which sequence a prompt goes on from, and which reader it waits for."""

from __future__ import annotations

import pytest
from scripted import ScriptedExecutor, ScriptedSequence, Vocabulary, request

from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.prefix_cache import MIN_SHARED, PrefixCache
from llamacy.generation.request import AnyRequest
from llamacy.generation.sharing import find_alike, longest_shared, most_shared_soon
from llamacy.generation.stages import Stage

COMMON = "x" * 100


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor({}, reach=50)


def active(executor: ScriptedExecutor, prompt: str, n_read: int) -> AnyRequest:
    """Return a request that has read the first `n_read` tokens of its prompt."""
    one = request(prompt)
    one.submit(ThreadMailbox())
    one.start(executor.new_sequence())
    executor.sequences[-1].held = one.context.ids[:n_read]
    return one


def held(executor: ScriptedExecutor, text: str) -> tuple[list[int], ScriptedSequence]:
    """Return a text's ids, and a sequence that holds them."""
    sequence = executor.new_sequence()
    sequence.held = Vocabulary.ids(text)
    return Vocabulary.ids(text), sequence


def test_requests_are_alike_that_have_enough_in_common(
    executor: ScriptedExecutor,
) -> None:
    one = request(COMMON)
    near = active(executor, COMMON + "y", 60)
    far = active(executor, COMMON[: MIN_SHARED - 1] + "y", MIN_SHARED)
    unread = request(COMMON)  # has no sequence yet
    (alike,) = find_alike(one, [one, near, far, unread])
    assert alike.request is near
    assert (alike.n_common, alike.n_held) == (100, 60)


def test_the_longest_prefix_is_shared_wherever_it_is(
    executor: ScriptedExecutor,
) -> None:
    one, cache = request(COMMON), PrefixCache(100)
    other = active(executor, COMMON + "y", 60)
    alike = find_alike(one, [other])
    assert longest_shared(one, alike, cache) == (other.context.sequence, 60)
    ids, sequence = held(executor, COMMON[:80] + "z")
    cache.put(ids, sequence)
    assert longest_shared(one, alike, cache) == (sequence, 80)
    assert longest_shared(request("abc"), [], cache) == (None, 0)


def test_a_sequence_that_cannot_go_back_is_not_shared(
    executor: ScriptedExecutor,
) -> None:
    one, cache = request(COMMON + "z"), PrefixCache(0)
    other = active(executor, COMMON + "y" * 100, 151)
    assert longest_shared(one, find_alike(one, [other]), cache) == (None, 0)
    other = active(executor, COMMON + "y" * 100, 150)
    assert longest_shared(one, find_alike(one, [other]), cache).n_tokens == 100


@pytest.mark.parametrize(
    ("stage", "n_soon"),
    [(Stage.READING, 100), (Stage.PARKED, 0), (Stage.GROWING, 0), (Stage.ENDED, 0)],
)
def test_only_a_request_that_reads_will_hold_more_soon(
    executor: ScriptedExecutor, stage: Stage, n_soon: int
) -> None:
    other = active(executor, COMMON + "y", 60)
    other.stage = stage
    assert most_shared_soon(find_alike(request(COMMON + "z"), [other])) == n_soon


def test_a_request_that_has_read_all_in_common_is_not_waited_for(
    executor: ScriptedExecutor,
) -> None:
    other = active(executor, COMMON + "y" * 50, 100)
    assert most_shared_soon(find_alike(request(COMMON + "z"), [other])) == 0
