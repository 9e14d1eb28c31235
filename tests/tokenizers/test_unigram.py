"""Unigram vocabularies of GGUF files."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.errors import ArgumentError, FormatError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

TOKENS = ["<pad>", "</s>", "<unk>", "▁", "a", "b", "ab", "▁a", "▁▁", "<x>", "abab", ""]
TYPES = [3, 3, 2, 1, 1, 1, 1, 1, 1, 4, 5, 1]
SCORES = [0, 0, 0, -3, -2, -2, -3, -4, -4, -9, 0, -1.0]


def make(**changes: Any) -> Tokenizer:
    keys = {
        "model": "t5",
        "tokens": TOKENS,
        "token_type": TYPES,
        "scores": SCORES,
        "add_space_prefix": True,
    } | changes
    metadata = {f"tokenizer.ggml.{k}": v for k, v in keys.items() if v is not None}
    return tokenizer_from_metadata(metadata, "m.gguf")


def pieces(text: str, **changes: Any) -> list[str]:
    tokenizer = make(**changes)
    return [tokenizer.piece(i) for i in tokenizer.encode(text, add_bos=False)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("a", ["▁a"]),
        # -3 and -3 rather than -4 and -2
        ("ab", ["▁", "ab"]),
        # as good as two tokens of one letter; the first found stays
        ("  a", ["▁▁", "▁a"]),
        ("xyz", ["▁", "<unk>"]),
        ("xay", ["▁", "<unk>", "a", "<unk>"]),
        # unused tokens are never given, control tokens only on request
        ("abab", ["▁", "ab", "ab"]),
        ("</s>", ["▁", "<unk>"]),
        ("a<x>a", ["▁a", "<x>", "▁a"]),
        ("  ", ["▁▁"]),
    ],
)
def test_the_greatest_sum_of_scores_wins(text: str, wanted: list[str]) -> None:
    assert pieces(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  a   a ", ["▁a", "▁a"]),
        ("   ", []),
        ("a\u00a0a", ["▁a", "<unk>", "a"]),
    ],
)
@pytest.mark.parametrize("prefix", [True, False])
def test_extra_spaces_are_removed_and_one_begins_the_text(
    text: str, wanted: list[str], prefix: bool
) -> None:
    changes = {"remove_extra_whitespaces": True, "add_space_prefix": prefix}
    assert pieces(text, **changes) == wanted


def test_no_space_is_added_where_none_is_asked_for() -> None:
    assert pieces("a a", add_space_prefix=False) == ["a", "▁a"]
    tokenizer = make()
    assert tokenizer.encode("a", continues=True) == [4, 1]
    merging = make(remove_extra_whitespaces=True)
    assert merging.encode(" a", continues=True) == [7, 1]


def test_texts_end_with_a_token_unless_the_file_says_otherwise() -> None:
    assert make().encode("a") == [7, 1]
    assert make(add_eos_token=False).encode("a") == [7]
    assert make(add_bos_token=True, bos_token_id=0).encode("a") == [0, 7, 1]


def test_decoding_gives_the_text() -> None:
    tokenizer = make()
    for text in ("a", "  ab a", "ab<x>a"):
        assert tokenizer.decode(tokenizer.encode(text)) == text.replace(">a", "> a")


def test_an_unknown_character_is_refused_without_a_token_for_it() -> None:
    few = {"tokens": ["a", "▁"], "token_type": [1, 1], "scores": [-1, -2.0]}
    tokenizer = make(**few)
    assert tokenizer.encode("a", add_bos=False) == [1, 0]
    with pytest.raises(ArgumentError, match="no token for some"):
        tokenizer.encode("x", add_bos=False)


def test_long_texts_take_linear_time() -> None:
    assert len(make().encode("ba" * 100_000, add_bos=False)) > 100_000


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": [float("nan")] * len(TOKENS)},
        {"scores": [float("inf")] * len(TOKENS)},
        {"scores": SCORES[:-1]},
        {"scores": None},
        {"remove_extra_whitespaces": 1},
        {"add_space_prefix": "yes"},
        {"precompiled_charsmap": "AAAA"},
        {"precompiled_charsmap": [300] * 8},
        {"tokens": ["a"] * len(TOKENS)},
    ],
)
def test_invalid_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        make(**changes)
