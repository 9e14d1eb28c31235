"""Every key of a family in a GGUF file is read, harmless, or refused by its name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gguf
import numpy as np
import pytest

from llamacy.errors import UnsupportedError
from llamacy.formats.gguf.embedding import EMBEDDING_KEYS
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.known_keys import HARMLESS, NEUTRAL, USED, check_keys
from llamacy.formats.model_file import ModelFile

# the keys that llama.cpp's converter writes for the families that llamacy runs
WRITTEN = (
    "CONTEXT_LENGTH EMBEDDING_LENGTH BLOCK_COUNT FEED_FORWARD_LENGTH VOCAB_SIZE "
    "EXPERT_COUNT EXPERT_USED_COUNT EXPERT_FEED_FORWARD_LENGTH "
    "EXPERT_SHARED_FEED_FORWARD_LENGTH EXPERT_WEIGHTS_SCALE EXPERT_WEIGHTS_NORM "
    "LOGIT_SCALE RESIDUAL_SCALE EMBEDDING_SCALE ATTN_LOGIT_SOFTCAPPING "
    "FINAL_LOGIT_SOFTCAPPING POOLING_TYPE TENSOR_DATA_LAYOUT"
).split()
WRITTEN_OF_ATTENTION = (
    "HEAD_COUNT HEAD_COUNT_KV KEY_LENGTH VALUE_LENGTH KEY_LENGTH_SWA VALUE_LENGTH_SWA "
    "LAYERNORM_EPS LAYERNORM_RMS_EPS SLIDING_WINDOW SLIDING_WINDOW_PATTERN SCALE"
).split()
WRITTEN_OF_ROPE = (
    "DIMENSION_COUNT DIMENSION_COUNT_SWA DIMENSION_SECTIONS FREQ_BASE FREQ_BASE_SWA "
    "SCALING_TYPE SCALING_FACTOR SCALING_ATTN_FACTOR SCALING_ORIG_CTX_LEN "
    "SCALING_FINETUNED SCALING_YARN_EXT_FACTOR SCALING_YARN_ATTN_FACTOR "
    "SCALING_YARN_BETA_FAST SCALING_YARN_BETA_SLOW"
).split()


def check(**values: Any) -> None:
    metadata = {key.replace("__", "."): value for key, value in values.items()}
    file = SimpleNamespace(path=Path("m.gguf"), metadata=metadata)
    check_keys(Keys(cast(ModelFile, file), "llama"), "llama")


def test_keys_of_the_converter_are_read_or_harmless() -> None:
    for names, holder in (
        (WRITTEN, gguf.Keys.LLM),
        (WRITTEN_OF_ATTENTION, gguf.Keys.Attention),
        (WRITTEN_OF_ROPE, gguf.Keys.Rope),
    ):
        for name in names:
            key = getattr(holder, name).removeprefix("{arch}.")
            assert key in USED | HARMLESS | EMBEDDING_KEYS, key
    assert not USED & NEUTRAL.keys()
    assert not HARMLESS & NEUTRAL.keys()


def test_keys_that_nobody_knows_are_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check(
        general__anything=1,
        tokenizer__ggml__anything=1,
        llama__block_count=1,
        llama__novelty=2,
        llama__rope__novelty=np.ones(3),
        qwen2__block_count=1,
    )
    (record,) = caplog.records
    assert record.getMessage() == (
        "m.gguf: llama.novelty, llama.rope.novelty passed over: keys that llamacy does "
        "not know"
    )
    caplog.clear()
    check(**{f"llama.new{i}": i for i in range(30)})
    assert caplog.records[0].getMessage().count("llama.new") == 8
    assert " and 22 more passed over" in caplog.text


@pytest.mark.parametrize("key", NEUTRAL)
def test_keys_that_change_the_model_are_refused(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    for value in NEUTRAL[key]:
        check(**{f"llama.{key}": value})
        check(**{f"llama.{key}": np.array([value] * 3)})
    other = False if key == "attention.causal" else 7
    for value in (other, np.array([other])):
        with pytest.raises(UnsupportedError, match=rf"llama\.{key}: wanted"):
            check(**{f"llama.{key}": value})
    check(**{f"qwen2.{key}": other})  # another family's
    assert not [each for each in caplog.records if each.levelname == "WARNING"]


def test_files_that_are_no_models_are_refused() -> None:
    check(general__type="model")
    with pytest.raises(UnsupportedError, match="general.type: wanted model, found ada"):
        check(general__type="adapter")


def test_rotated_weights_are_refused() -> None:
    """Bonsai 2's types may be llama.cpp's, but its activations must be rotated, too."""
    with pytest.raises(UnsupportedError, match=r"prism\.hadamard\.block_size: wanted"):
        check(prism__hadamard__block_size=128)
    check(prism__anything=1)
