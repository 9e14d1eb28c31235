"""Where a text has been alike before: found without looking through it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamacy.generation.drafting.lookup import LONGEST, Lookup

A_TO_Z = list(range(26))


def after(*texts: str) -> Lookup:
    """Return a lookup of the first text that has accepted the letters of the others."""
    lookup = Lookup(map(ord, texts[0]))
    for letter in "".join(texts[1:]):
        lookup.accept(ord(letter))
    return lookup


def proposal(lookup: Lookup, n: int) -> str:
    return "".join(map(chr, lookup.propose(n)))


@pytest.mark.parametrize("n_read", [1, 5, 30, 52])
def test_it_proposes_what_followed_where_the_text_was_alike(n_read: int) -> None:
    text = "the quick brown fox jumps over a lazy dog; the quick"
    lookup = after(text[:n_read], text[n_read:])
    assert proposal(lookup, 10) == " brown fox"
    assert lookup.expected == ord(" ")
    assert lookup.n_alike >= len("the quick")


def test_of_several_places_the_last_is_taken() -> None:
    assert proposal(after("one two three, one two four, one", " two"), 5) == " four"


def test_a_pair_of_tokens_counts_more_than_a_later_single_one() -> None:
    lookup = after("ab1 cb2 ", "ab")
    assert (proposal(lookup, 2), lookup.n_alike) == ("1 ", 2)
    lookup = after("ab1 cb2 ", "xb")
    assert (proposal(lookup, 2), lookup.n_alike) == ("2 ", 1)


def test_a_token_that_is_new_has_no_source() -> None:
    lookup = after("abcabc", "x")
    assert (lookup.propose(3), lookup.expected, lookup.n_alike) == ([], None, 0)


@pytest.mark.parametrize("text", ["a", "ab"])
def test_a_short_text_has_no_source(text: str) -> None:
    assert Lookup(map(ord, text)).propose(1) == []


def test_a_loop_is_proposed_for_as_long_as_wanted() -> None:
    assert proposal(after("he said: ha", "haha"), 7) == "hahahah"
    assert proposal(after("aa"), 5) == "aaaaa"


def test_a_replaced_word_is_come_back_from() -> None:
    lookup = after("my d is set, my d is kept, at", "@ my q")
    assert proposal(lookup, 3) == ""
    lookup.accept(ord(" "))
    assert proposal(lookup, 5) == "is ke"
    assert (lookup.n_alike, lookup.is_resumed) == (1, True)


def test_it_does_not_come_back_to_a_place_that_was_left_long_ago() -> None:
    text = "an uncommon beginning, and then some other words. an uncom"
    lookup = after(text, "XYZUVWPQR")
    lookup.accept(ord("n"))
    assert not lookup.is_resumed


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.lists(st.integers(0, 3), max_size=60),
)
def test_the_source_is_alike_and_no_repeated_token_is_without_one(
    read: list[int], generated: list[int]
) -> None:
    lookup, text = Lookup(read), list(read)
    for token in [*generated, 0]:
        tokens = lookup.propose(100)
        assert bool(tokens) == (text[-1] in text[:-1]) == (lookup.n_alike > 0)
        if tokens:
            assert lookup.expected == tokens[0]
            n = min(lookup.n_alike, LONGEST)
            repeats = [
                place
                for place in range(n, len(text))
                if text[place - n : place] == text[-n:]
                and (text[place:] + tokens)[:100] == tokens
            ]
            assert repeats
        lookup.accept(token)
        text.append(token)


def test_a_long_text_has_tables_of_a_bounded_size() -> None:
    lookup = Lookup(n % 50_021 for n in range(300_000))
    place = 300_000 % 50_021
    assert lookup.propose(3) == [place, place + 1, place + 2]
    assert len(lookup._after_pair) == len(lookup._after_token) == 2**17
