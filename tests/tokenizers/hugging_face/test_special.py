"""Special tokens from the files beside a vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llamacy.errors import FormatError
from llamacy.tokenizers.hugging_face import read_tokenizer_files
from tests.support.hugging_face import sentencepiece, write_json

PREFIX = "tokenizer.ggml."
BOS_FIRST = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vocabulary of six tokens."""
    texts, types = ["<unk>", "<s>", "</s>", "a", "▁a", "<pad>"], [2, 3, 3, 1, 1, 3]
    data = sentencepiece(texts, [0.0] * len(texts), types)
    (tmp_path / "tokenizer.model").write_bytes(data)
    return tmp_path


def values(folder: Path, **files: Any) -> dict[str, Any]:
    for name, content in files.items():
        write_json(folder / f"{name}.json", content)
    made = read_tokenizer_files(folder)
    assert made is not None
    assert set(made.values) == set(made.types)
    return made.values


def test_special_tokens_by_text_override_those_by_number(folder: Path) -> None:
    config = {"bos_token_id": 2, "eos_token_id": [2, 3], "pad_token_id": 99}
    found = values(folder, config=config, tokenizer_config={"bos_token": "<s>"})
    assert found[f"{PREFIX}bos_token_id"] == 1
    assert found[f"{PREFIX}eos_token_id"] == 2
    assert f"{PREFIX}padding_token_id" not in found
    assert f"{PREFIX}unknown_token_id" not in found
    older = {"unk_token": "<unk>", "pad_token": {"content": "<pad>"}}
    found = values(folder, special_tokens_map=older)
    assert found[f"{PREFIX}unknown_token_id"] == 0
    assert found[f"{PREFIX}padding_token_id"] == 5


@pytest.mark.parametrize("wrong", [{"bos_token": ["<s>"]}, {"bos_token": {"a": 1}}])
def test_special_tokens_of_an_unknown_form_count_as_absent(
    folder: Path, wrong: Any
) -> None:
    found = values(folder, tokenizer_config=wrong, config={"bos_token_id": "1"})
    assert f"{PREFIX}bos_token_id" not in found


@pytest.mark.parametrize(
    ("settings", "processor", "wanted"),
    [
        ({}, None, None),
        ({"add_bos_token": False}, None, False),
        ({"add_bos_token": True}, {"type": "ByteLevel"}, True),
        ({}, {"type": "ByteLevel"}, False),
        ({}, BOS_FIRST, True),
        ({"add_bos_token": None}, BOS_FIRST, True),
        ({}, {"type": "Sequence", "processors": [BOS_FIRST]}, True),
        ({"bos_token": "</s>"}, BOS_FIRST, False),
    ],
)
def test_whether_texts_begin_with_bos(
    folder: Path, settings: Any, processor: Any, wanted: bool | None
) -> None:
    whole = {"post_processor": processor, "added_tokens": []}
    settings = {"bos_token": "<s>"} | settings
    found = values(folder, tokenizer=whole, tokenizer_config=settings)
    assert found.get(f"{PREFIX}add_bos_token") == wanted


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config", {"vocab_size": 0}),
        ("config", {"vocab_size": "6"}),
        ("config", {"vocab_size": 2**40}),
        ("added_tokens", {"<x>": -1}),
        ("added_tokens", {"<x>": 2**24}),
        ("added_tokens", {"<x>": "1"}),
        ("tokenizer_config", {"added_tokens_decoder": []}),
        ("tokenizer_config", {"added_tokens_decoder": {"-1": {"content": "a"}}}),
        ("tokenizer_config", {"added_tokens_decoder": {"9" * 99: {"content": "a"}}}),
        ("tokenizer_config", {"added_tokens_decoder": {"6": {"content": 3}}}),
        ("tokenizer_config", {"added_tokens_decoder": {"6": None}}),
        ("tokenizer", {"added_tokens": [3]}),
        ("tokenizer", {"added_tokens": [{"id": 6}]}),
        ("tokenizer", {"post_processor": {"single": 3}}),
        ("tokenizer", {"post_processor": {"type": "TemplateProcessing", "single": 3}}),
        (
            "tokenizer",
            {"post_processor": {"type": "TemplateProcessing", "single": [3]}},
        ),
    ],
)
def test_broken_files_are_named(folder: Path, name: str, content: Any) -> None:
    write_json(folder / f"{name}.json", content)
    with pytest.raises(FormatError) as caught:
        read_tokenizer_files(folder)
    assert caught.value.path == str(folder / f"{name}.json")
