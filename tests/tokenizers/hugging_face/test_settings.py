"""Every key of tokenizer_config.json is used, known, or named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.settings import (
    HARMLESS,
    USED,
    check_settings,
    override_prefix,
)

WRITTEN = {
    "CodeLlamaTokenizer": "clean_up_tokenization_spaces eot_token extra_special_tokens "
    "fill_token middle_token prefix_token suffix_token use_default_system_prompt",
    "CohereTokenizer": "cls_token errors mask_token sep_token",
    "GemmaTokenizer": "mask_token pad_token",
    "GPT2Tokenizer": "errors",
    "GPTNeoXTokenizer": "errors trim_offsets",
    "LlamaTokenizer": "clean_up_tokenization_spaces use_default_system_prompt legacy",
    "Qwen2Tokenizer": "errors pad_token split_special_tokens",
    "Qwen3_5Tokenizer": "merges_file vocab_file",
}
"""Keys that classes of transformers 5 write, beside those of all."""
ALL = "add_prefix_space backend bos_token eos_token model_max_length unk_token"


@pytest.mark.parametrize("name", WRITTEN)
def test_the_keys_that_transformers_writes_are_known(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [*ALL.split(), *WRITTEN[name].split()]
    values = dict.fromkeys(keys, None) | {"tokenizer_class": name}
    with caplog.at_level(logging.WARNING, "llamacy"):
        check_settings(JsonObject(Path("x"), values), Metadata())
    assert not caplog.records


def test_no_key_is_in_two_lists() -> None:
    listed = [key for keys in HARMLESS.values() for key in keys.split()]
    assert len(listed) == len(set(listed))
    assert not USED.intersection(listed)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"add_prefix_space": False}, False),
        ({"add_prefix_space": True}, True),
        ({"add_prefix_space": None}, True),
        ({}, True),
    ],
)
def test_a_setting_decides_whether_tokenizer_model_adds_a_space(
    settings: dict[str, bool | None], wanted: bool
) -> None:
    metadata = Metadata()
    key = "tokenizer.ggml.add_space_prefix"
    override_prefix(JsonObject(Path("x"), dict(settings)), metadata)
    assert key not in metadata.values  # a byte-level vocabulary has no such key
    metadata.flag(key, True)
    override_prefix(JsonObject(Path("x"), dict(settings)), metadata)
    assert metadata.values[key] is wanted
