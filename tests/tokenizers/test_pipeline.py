"""Steps of a tokenizer.json that a GGUF file carries are checked like all it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llamacy.errors import FormatError, UnsupportedError
from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

BERT = {"normalizers": [], "pre_tokenizers": [{"type": "BertPreTokenizer"}]}


def make(text: Any) -> Tokenizer:
    metadata = {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": ["[UNK]", "▁a", "b"],
        "tokenizer.ggml.token_type": [2, 1, 1],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.llamacy.pipeline": text,
    }
    return tokenizer_from_metadata(metadata, "m.gguf")


def test_the_library_takes_the_steps() -> None:
    tokenizer = make(json.dumps(BERT | {"longest_word": 2}))
    assert tokenizer.encode("ab A abb", add_bos=False) == [1, 2, 0, 0]


@pytest.mark.parametrize(
    "text",
    [
        3,
        "{",
        "[]",
        json.dumps({"normalizers": 3}),
        json.dumps({"normalizers": [3]}),
        json.dumps({"normalizers": [{}]}),
        json.dumps(BERT | {"longest_word": 10**9}),
        json.dumps(BERT | {"cleans": 1}),
        json.dumps(BERT | {"normalizers": [{"type": "Precompiled"}]}),
        json.dumps(BERT | {"normalizers": [{"type": "NFC"}] * 2000}),
    ],
)
def test_broken_steps_are_refused(text: Any) -> None:
    with pytest.raises(FormatError, match="pipeline"):
        make(text)


@pytest.mark.parametrize(
    "steps",
    [
        {"normalizers": [{"type": "ByteLevel"}]},
        {"pre_tokenizers": [{"type": "Split"}]},
        {
            "normalizers": [
                {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 9}
            ]
            * 2
        },
    ],
)
def test_other_steps_are_refused(steps: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="pipeline"):
        make(json.dumps(BERT | steps))
