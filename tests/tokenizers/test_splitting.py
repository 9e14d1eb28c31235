"""Texts in chunks of a number of tokens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llamacy
from llamacy.errors import ArgumentError
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bpe import _BYTE_CHARS

STORY = (
    "Once upon a time there was a king. He had two daughters! Were they happy? "
    'They said: "No." And so the tale goes on...\n\n'
    "The second part is shorter.\n- a line\n- another line, which is longer\n\n"
    "And they all lived happily ever after, said the one who had told the tale. "
) * 5


def bpe() -> Tokenizer:
    merges = ["t h", "th e", "i n", "Ġ a"]
    tokens = [*_BYTE_CHARS, *(merge.replace(" ", "") for merge in merges)]
    keys = {"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "merges": merges}
    return tokenizer_from_metadata(
        {f"tokenizer.ggml.{key}": value for key, value in keys.items()}, "none"
    )


def without_bytes() -> Tokenizer:
    tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a"]
    keys: dict[str, Any] = {"model": "llama", "tokens": tokens}
    keys |= {"scores": [0.0] * 7, "token_type": [2, 3, 3, 1, 1, 1, 1]}
    return tokenizer_from_metadata(
        {f"tokenizer.ggml.{key}": value for key, value in keys.items()}, "none"
    )


TOKENIZERS = {
    "demo": llamacy.load_tokenizer("demo"),
    "bpe": bpe(),
    "without bytes": without_bytes(),
}


def count(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_bos=False))


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.sampled_from('ab the. \n"!漢字。é🦙\u0301\ufffd'), max_size=200),
    max_tokens=st.integers(4, 40),
    data=st.data(),
)
def test_chunks_hold_the_text_and_at_most_so_many_tokens(
    tokenizer: Tokenizer, text: str, max_tokens: int, data: st.DataObject
) -> None:
    chunks = tokenizer.split_text(text, max_tokens)
    assert "".join(chunks) == text
    assert all(chunks)
    assert max((count(tokenizer, chunk) for chunk in chunks), default=0) <= max_tokens
    overlap = data.draw(st.integers(0, max_tokens // 2))
    ends = {0}  # where the chunks so far may end: a text can repeat itself
    for chunk in tokenizer.split_text(text, max_tokens, overlap=overlap):
        assert count(tokenizer, chunk) <= max_tokens
        ends = {
            begin + len(chunk)
            for end in ends
            for begin in range(max(0, end - len(chunk) + 1), end + 1)
            if text.startswith(chunk, begin)
            and count(tokenizer, text[begin:end]) <= overlap
        }
    assert len(text) in ends


@pytest.mark.parametrize("max_tokens", [20, 50, 120])
def test_chunks_end_with_paragraphs_sentences_or_words(max_tokens: int) -> None:
    tokenizer = TOKENIZERS["demo"]
    chunks = tokenizer.split_text(STORY, max_tokens)
    assert "".join(chunks) == STORY
    for chunk in chunks:
        assert chunk[-1].isspace()
        assert count(tokenizer, chunk) > max_tokens // 3
    if max_tokens > 100:
        assert {chunk[-2:] for chunk in chunks[:-1]} == {"\n\n"}


def test_sentences_are_preferred_to_words() -> None:
    tokenizer = TOKENIZERS["bpe"]
    text = "aaaa aaaa. aaaa aaaa aaaa"
    assert tokenizer.split_text(text, 16)[0] == "aaaa aaaa. "
    assert tokenizer.split_text("aaaa。aaaaaaaa", 10)[0] == "aaaa。"


def test_chunks_that_overlap_repeat_whole_words() -> None:
    tokenizer = TOKENIZERS["demo"]
    chunks = tokenizer.split_text(STORY, 40, overlap=10)
    for before, after in zip(chunks, chunks[1:], strict=False):
        common = next(n for n in range(len(after), 0, -1) if before.endswith(after[:n]))
        assert 0 < count(tokenizer, after[:common]) <= 10
        assert before[-common - 1].isspace()


def test_a_text_that_fits_is_one_chunk_and_no_text_is_none() -> None:
    tokenizer = TOKENIZERS["demo"]
    assert tokenizer.split_text("Two. Sentences.", 50) == ["Two. Sentences."]
    assert tokenizer.split_text("", 50) == []
    assert tokenizer.split_text(" " * 100_000, 10**9) == [" " * 100_000]


def test_a_long_word_is_cut_where_it_must_be() -> None:
    tokenizer = TOKENIZERS["bpe"]
    assert tokenizer.split_text("b" * 10, 4) == ["bbbb", "bbbb", "bb"]
    assert tokenizer.split_text("🦙🦙", 4) == ["🦙", "🦙"]


def test_a_character_that_needs_more_tokens_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="max_tokens: wanted at least 4, for '🦙'"):
        TOKENIZERS["bpe"].split_text("ab 🦙", 3)


@pytest.mark.parametrize(
    ("text", "max_tokens", "overlap", "match"),
    [
        (7, 10, 0, "^text: wanted a str"),
        ("\ud800", 10, 0, "^text: .*surrogate"),
        ("a", 0, 0, "^max_tokens: wanted an integer of at least 1"),
        ("a", "9", 0, "^max_tokens: wanted"),
        ("a", 10, 6, "^overlap: wanted an integer from 0 to 5"),
        ("a", 10, -1, "^overlap: wanted"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    text: Any, max_tokens: Any, overlap: Any, match: str
) -> None:
    with pytest.raises(ArgumentError, match=match):
        TOKENIZERS["bpe"].split_text(text, max_tokens, overlap=overlap)
