"""WordPiece and Unigram vocabularies of GGUF files give llama.cpp's ids and texts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from llamacy.tokenizers import Tokenizer, tokenizer_from_metadata

MADE: dict[str, Any] = json.loads(
    Path(__file__).with_name("llama_cpp_vectors.json").read_text("utf-8")
)
"""Vocabularies and rows that make_vectors.py writes."""


@pytest.fixture(params=sorted(MADE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(name: str) -> Tokenizer:
    keys = dict(MADE[name]["keys"])
    if "precompiled_charsmap" in keys:
        keys["precompiled_charsmap"] = [*base64.b64decode(keys["precompiled_charsmap"])]
    metadata = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    return tokenizer_from_metadata(metadata, f"{name}.gguf")


def test_ids_are_those_of_llama_cpp(name: str) -> None:
    tokenizer = load(name)
    for row in MADE[name]["rows"]:
        assert tokenizer.encode(row["text"]) == row["ids"]


def test_special_tokens_are_found_where_llama_cpp_finds_them(name: str) -> None:
    tokenizer, n = load(name), 0
    for row in MADE[name]["rows"]:
        wanted = row.get("special", row["ids"])
        n += "special" in row
        assert tokenizer.encode(row["text"], parse_special=True) == wanted
    assert n >= 1


def test_texts_are_those_of_llama_cpp_but_for_the_first_space(name: str) -> None:
    tokenizer = load(name)
    for row in MADE[name]["rows"]:
        got = tokenizer.decode(row["ids"])
        assert got in (row["decoded"], row["decoded"].removeprefix(" "))
