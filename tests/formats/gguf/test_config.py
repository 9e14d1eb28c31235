"""Hyperparameters from metadata: defaults, odd spellings, scales and caps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from llamacy.config import (
    AttentionConfig,
    FeedForwardConfig,
    LayerConfig,
    ModelConfig,
    RopeConfig,
)
from llamacy.formats.gguf.config import read_architecture, read_config
from llamacy.formats.gguf.file import open_gguf
from tests.support.gguf_metadata import model, with_key


def test_config_of_a_real_model(shared: Path) -> None:
    with open_gguf(shared / "models/stories260K-Q8_0.gguf") as file:
        config = read_config(file)
    assert config == ModelConfig(
        architecture="llama",
        name="stories260K",
        n_layer=5,
        n_embd=64,
        n_head=8,
        n_head_kv=4,
        n_ff=172,
        n_vocab=512,
        head_dim=8,
        n_ctx_train=512,
        norm_eps=float(np.float32(1e-5)),
        rope=RopeConfig(n_dims=8, freq_base=10000.0, n_ctx_orig=512),
    )
    rope = RopeConfig(n_dims=8, freq_base=10000.0, n_ctx_orig=512)
    mixer = AttentionConfig(8, 4, 8, 8, scale=1 / math.sqrt(8), window=None, rope=rope)
    assert config.layers == (LayerConfig(mixer, FeedForwardConfig(172)),) * 5


def test_missing_optional_keys_get_defaults() -> None:
    config = read_config(model())
    assert config.name == ""
    assert config.n_head_kv == 8
    assert config.head_dim == 8
    assert config.rope == RopeConfig(n_dims=8, freq_base=10000.0, n_ctx_orig=512)


def test_keys_are_prefixed_with_the_architecture() -> None:
    file = model()
    renamed = {k.replace("llama.", "other."): v for k, v in file.metadata.items()}
    file.metadata.clear()
    file.metadata.update(renamed | {"general.architecture": "other"})
    assert read_architecture(file) == "other"
    assert read_config(file).architecture == "other"


def test_the_vocabulary_decides_n_vocab_and_not_the_key() -> None:
    file = with_key("tokenizer.ggml.tokens", ["a", "b"])
    assert read_config(file).n_vocab == 2
    del file.metadata["llama.vocab_size"]
    assert read_config(file).n_vocab == 2


def test_the_head_length_may_have_its_own_key() -> None:
    config = read_config(model(attention__key_length=128, attention__value_length=128))
    assert config.head_dim == config.rope.n_dims == 128


def test_scales_and_caps_of_families_are_read() -> None:
    config = read_config(
        model(
            attention__scale=0.25,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30,
            embedding_scale=12.0,
            residual_scale=0.5,
            logit_scale=8.0,
            rope__freq_base_swa=5000.0,
            rope__scaling__finetuned=False,
        )
    )
    assert config.attention_scale == 0.25
    assert (config.attention_softcap, config.logit_softcap) == (50, 30)
    assert (config.embedding_scale, config.residual_scale) == (12, 0.5)
    assert config.logit_scale == 8
    assert config.rope.local_freq_base == 5000
    assert not config.rope.is_finetuned


def test_scales_and_caps_of_zero_mean_the_default() -> None:
    zeros = dict.fromkeys(
        [
            *("attention__scale", "attn_logit_softcapping", "final_logit_softcapping"),
            *("embedding_scale", "residual_scale", "logit_scale"),
        ],
        0.0,
    )
    config = read_config(model(**zeros, attention__sliding_window=0))
    assert config == read_config(model())
    assert config.attention_scale is config.attention_softcap is None
    assert config.embedding_scale == config.residual_scale == config.logit_scale == 1
    assert config.window is None
