"""Every key of a GGUF file's vocabulary is used, known, or named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gguf
import pytest

from llamacy.tokenizers import tokenizer_from_metadata


def test_all_keys_of_the_gguf_package_are_known(
    spm_metadata: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    listed = vars(gguf.Keys.Tokenizer).values()
    keys = [key for key in listed if str(key).startswith("tokenizer.")]
    assert len(keys) > 30
    metadata = dict.fromkeys((key.format(name="tool_use") for key in keys), None)
    tokenizer_from_metadata(metadata | spm_metadata(), "x.gguf")
    known = {"tokenizer.ggml.suppress_tokens"}  # of newer versions of the package
    for record in caplog.records:
        assert "unknown keys" not in record.message or known & set(keys)


def test_unknown_keys_are_named_and_bounded(
    spm_metadata: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    strange = {f"tokenizer.ggml.{'x' * 1000}{i}": 1 for i in range(100)}
    tokenizer_from_metadata(spm_metadata() | {"general.name": "a"}, "x.gguf")
    assert not caplog.records
    tokenizer_from_metadata(spm_metadata() | strange, "x.gguf")
    assert "unknown keys: tokenizer.ggml.xxx" in caplog.text
    assert "and 90 more" in caplog.text
    assert len(caplog.text) < 2000
