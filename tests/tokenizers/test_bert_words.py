"""Words for WordPiece, by llama.cpp's rules."""

from __future__ import annotations

import pytest

from llamacy.tokenizers.bert_words import BertWords


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hello, World", ["hello", ",", "world"]),
        ("Été\u00a0\u3000x", ["ete", "x"]),
        ("e\u0301", ["e"]),
        ("中文x", ["中", "文", "x"]),
        ("a\0b\x07\u200bc\ufffd", ["abc"]),
        # signs are ASCII's symbols, and punctuation of any script
        ("a+b€c。d", ["a", "+", "b€c", "。", "d"]),
        # only the first consonant of a syllable is left
        ("한", ["ᄒ"]),
        # spacing marks go, too
        ("कि", ["क"]),
        ("İ", ["i"]),
        ("  ", []),
    ],
)
def test_texts_are_split_as_by_llama_cpp(text: str, wanted: list[str]) -> None:
    assert BertWords(lowercase=True, strip_accents=True).split(text) == wanted


def test_case_and_accents_stay_where_they_are_not_taken() -> None:
    assert BertWords(lowercase=False, strip_accents=False).split("É 한") == ["É", "한"]
    assert BertWords(lowercase=True, strip_accents=False).split("É") == ["é"]
    assert BertWords(lowercase=False, strip_accents=True).split("É") == ["E"]
