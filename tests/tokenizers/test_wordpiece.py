"""WordPiece vocabularies of GGUF files."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.errors import ArgumentError, FormatError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁the", "▁cat", "s", "▁s", "▁.", "[X]"]


def make(**changes: Any) -> Tokenizer:
    keys = {
        "model": "bert",
        "tokens": TOKENS,
        "token_type": [3, 3, 3, 3, 1, 1, 1, 1, 1, 5],
        "bos_token_id": 2,
        "seperator_token_id": 3,
        "unknown_token_id": 1,
    } | changes
    metadata = {f"tokenizer.ggml.{k}": v for k, v in keys.items() if v is not None}
    return tokenizer_from_metadata(metadata, "m.gguf")


def test_a_text_stands_between_two_tokens_whatever_the_file_says() -> None:
    tokenizer = make(add_bos_token=False, add_eos_token=False)
    assert tokenizer.encode("The cats.") == [2, 4, 5, 6, 8, 3]
    assert tokenizer.encode("the", add_bos=False) == [4]
    assert (tokenizer.bos_id, tokenizer.eos_id) == (2, 3)
    assert 3 in tokenizer.eog_ids


def test_the_class_token_begins_texts_where_no_other_is_named() -> None:
    tokenizer = make(bos_token_id=None, cls_token_id=2)
    assert tokenizer.encode("the") == [2, 4, 3]


def test_the_default_ids_are_those_of_bert() -> None:
    tokens = [f"▁t{i}" for i in range(100)] + ["[UNK]", "[CLS]", "[SEP]"]
    ids = dict.fromkeys(("bos_token_id", "seperator_token_id", "unknown_token_id"))
    tokenizer = make(tokens=tokens, token_type=None, **ids)
    assert tokenizer.encode("t7 x") == [101, 7, 100, 102]


def test_a_word_without_tokens_is_unknown_as_a_whole() -> None:
    assert make().encode("catx the", add_bos=False) == [1, 4]


def test_an_unknown_word_is_refused_without_a_token_for_it() -> None:
    tokenizer = make(unknown_token_id=None)
    assert tokenizer.encode("cat", add_bos=False) == [5]
    with pytest.raises(ArgumentError, match="no token for some"):
        tokenizer.encode("catx")


def test_a_mark_of_spaces_within_a_word_begins_a_token() -> None:
    assert make().encode("cat▁s", add_bos=False) == [5, 7]


def test_text_never_becomes_a_control_token_or_an_unused_one() -> None:
    tokens = [*TOKENS[:-1], "x"]
    types = [3, 3, 3, 3, 1, 1, 1, 1, 1, 3]
    assert make(tokens=tokens, token_type=types).encode("catx", add_bos=False) == [1]
    types[-1] = 5
    assert make(tokens=tokens, token_type=types).encode("catx", add_bos=False) == [1]


def test_long_texts_take_linear_time() -> None:
    # work that grew with the square would take hours
    assert len(make().encode("s" * 200_000, add_bos=False)) == 200_000
    assert make().encode("x" * 200_000, add_bos=False) == [1]


def test_chunks_of_a_text_have_few_tokens() -> None:
    chunks = make().split_text("the cat. the cats. the", 3)
    assert "".join(chunks) == "the cat. the cats. the"
    assert all(len(make().encode(one, add_bos=False)) <= 3 for one in chunks)


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer.lowercase": 1},
        {"normalizer.strip_accents": "yes"},
        {"seperator_token_id": "3"},
        {"cls_token_id": [1], "bos_token_id": None},
    ],
)
def test_values_of_wrong_types_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        make(**changes)


def test_ids_beyond_the_vocabulary_are_refused_in_decode() -> None:
    with pytest.raises(ArgumentError, match="0 to 9"):
        make().decode([10])


def test_control_tokens_are_shown_on_request() -> None:
    tokenizer = make()
    ids = tokenizer.encode("the cats.")
    assert tokenizer.decode(ids) == "the cats."
    assert tokenizer.decode(ids, skip_special=False) == "[CLS] the cats.[SEP]"
