"""Metadata that no model can have, or none that is supported: refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.config import read_config
from tests.support.gguf_metadata import MINIMAL, heads, model, with_key

# Keys whose value goes by another one's, which the error may name instead.
OTHERS_AT_FAULT = {
    "embedding_length": "attention.head_count",
    "attention.key_length": "rope.dimension_count",
}


@pytest.mark.parametrize("key", MINIMAL)
def test_a_missing_key_is_named(key: str) -> None:
    file = model()
    del file.metadata[key]
    with pytest.raises(FormatError, match="found no such key") as caught:
        read_config(file)
    assert caught.value.field == key
    assert caught.value.path == "m.gguf"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("block_count", 0),
        ("block_count", 4097),
        ("block_count", "2"),
        ("block_count", True),
        ("block_count", 2.0),
        ("embedding_length", (1 << 20) + 1),
        ("embedding_length", -64),
        ("embedding_length", 65),  # not divided by the heads: names the heads
        ("attention.head_count", 0),
        ("attention.head_count", np.array([8], np.uint32)),
        ("attention.head_count", np.array([8.0, 8.0], np.float32)),
        ("attention.head_count", np.array([], np.uint32)),
        ("attention.head_count_kv", 3),
        ("attention.head_count_kv", 16),
        ("attention.head_count_kv", 0),
        ("attention.key_length", 0),
        ("feed_forward_length", 1 << 40),
        ("feed_forward_length", np.array([0, 0], np.uint32)),
        ("feed_forward_length", np.array([8, 1 << 40], np.uint64)),
        ("feed_forward_length", np.array([8, -8], np.int64)),
        ("attention.head_count", np.array([8, 1 << 20], np.uint32)),
        ("attention.head_count", np.array([8, 8, 8], np.uint32)),
        ("attention.head_count_kv", np.array([4, 3], np.uint32)),
        ("attention.head_count_kv", np.array([0, 0], np.uint32)),
        ("attention.head_count_kv", np.array([-1, 4], np.int8)),
        ("attention.key_length", np.array([8, 0], np.uint32)),
        ("attention.key_length", np.array([8, 1 << 17], np.uint32)),
        ("attention.key_length", np.array([8, 7], np.uint32)),
        ("attention.value_length", np.array([8], np.uint32)),
        ("attention.value_length", "8"),
        ("attention.key_length_swa", 0),
        ("attention.value_length_swa", np.array([True, True], bool)),
        ("context_length", 1 << 31),
        ("attention.layer_norm_rms_epsilon", 0.0),
        ("attention.layer_norm_rms_epsilon", -1e-5),
        ("attention.layer_norm_rms_epsilon", float("nan")),
        ("attention.layer_norm_rms_epsilon", float("inf")),
        ("attention.layer_norm_rms_epsilon", "1e-5"),
        ("vocab_size", 0),
        ("vocab_size", 1 << 25),
        ("rope.dimension_count", 7),
        ("rope.dimension_count", 0),
        ("rope.dimension_count", 10),
        ("rope.freq_base", 1.0),
        ("rope.freq_base", 0.0),
        ("rope.freq_base", float("nan")),
        ("rope.freq_base", [10000.0]),
        ("rope.scaling.type", 3),
        ("rope.scaling.factor", -2.0),
        ("rope.scaling.factor", float("inf")),
        ("rope.scaling.factor", 1e-45),
        ("rope.scaling.original_context_length", -1),
        ("rope.scaling.attn_factor", 0.0),
        ("rope.scaling.yarn_beta_fast", float("nan")),
        ("rope.scaling.yarn_beta_slow", 0.0),
        ("rope.scaling.yarn_beta_slow", 5e-324),
        ("rope.scale_linear", float("nan")),
        ("rope.scaling.finetuned", 1),
        ("rope.freq_base_swa", 1.0),
        ("rope.freq_base_swa", float("inf")),
        ("attention.sliding_window", -1),
        ("attention.sliding_window", 1 << 31),
        ("attention.sliding_window", 20.0),
        ("attention.sliding_window_pattern", -1),
        ("attention.sliding_window_pattern", 1 << 13),
        ("attention.sliding_window_pattern", "all"),
        ("attention.sliding_window_pattern", np.array([True], bool)),
        ("attention.sliding_window_pattern", np.array([1, 2], np.int32)),
        ("attention.scale", -0.1),
        ("attention.scale", 1e7),
        ("attn_logit_softcapping", float("nan")),
        ("final_logit_softcapping", 1e-30),
        ("embedding_scale", "12"),
        ("residual_scale", float("inf")),
        ("logit_scale", -8.0),
    ],
)
def test_an_impossible_value_is_refused_and_named(name: str, value: Any) -> None:
    with pytest.raises(FormatError) as caught:
        read_config(with_key(f"llama.{name}", value))
    assert not isinstance(caught.value, UnsupportedError)
    named = OTHERS_AT_FAULT.get(name, name)
    assert caught.value.field in (f"llama.{name}", f"llama.{named}")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (
            {"attention__head_count_kv": np.array([4, 0], np.uint32)},
            "attention.head_count_kv",
        ),
        ({"feed_forward_length": np.array([0, 9], np.int64)}, "feed_forward_length"),
        ({"rope__scaling__type": "dynamic"}, "rope.scaling.type"),
        ({"rope__scaling__type": ""}, "rope.scaling.type"),
        (
            {"rope__scaling__dynamic_factor": 3.0, "rope__scaling__factor": 2.0},
            "rope.scaling.dynamic_factor",
        ),
        (
            {
                "rope__scaling__dynamic_factor": 3.0,
                "attention__sliding_window": 8,
                "rope__dimension_count_swa": 4,
            },
            "rope.scaling.dynamic_factor",
        ),
    ],
)
def test_unsupported_features_are_refused_by_name(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        read_config(model(**changes))
    assert caught.value.field == f"llama.{field}"


@pytest.mark.parametrize("tokens", [[], "abc", np.zeros(3, np.int32)])
def test_an_invalid_vocabulary_is_refused(tokens: Any) -> None:
    with pytest.raises(FormatError, match=r"tokenizer\.ggml\.tokens"):
        read_config(with_key("tokenizer.ggml.tokens", tokens))


ALL_KEYS = sorted(MINIMAL) + [
    "general.name",
    "tokenizer.ggml.tokens",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.attention.key_length_swa",
    "llama.attention.value_length_swa",
    "llama.rope.dimension_count_swa",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.scaling.yarn_ext_factor",
    "llama.rope.scaling.original_context_length",
    "llama.rope.scaling.finetuned",
    "llama.rope.freq_base_swa",
    "llama.attention.sliding_window",
    "llama.attention.sliding_window_pattern",
    "llama.attention.scale",
    "llama.attn_logit_softcapping",
    "llama.logit_scale",
]
values = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-2, 130),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["yarn", "linear", "none", "llama"]),
    st.lists(st.text(max_size=2), max_size=3),
    st.lists(st.integers(-2, 9), max_size=3).map(lambda n: np.array(n, np.int32)),
    st.lists(st.floats(width=32), max_size=3).map(lambda n: np.array(n, np.float32)),
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(ALL_KEYS), values, max_size=4))
def test_any_metadata_give_an_error_or_a_sound_model(changes: dict[str, Any]) -> None:
    file = model()
    file.metadata.update(changes)
    try:
        config = read_config(file)
    except FormatError as error:
        assert error.field.startswith(("llama.", "general.", "tokenizer.")) or (
            "general.architecture" in changes
        )
        return
    assert len(config.layers) == config.n_layer
    for layer in config.layers:
        mixer = layer.attention
        assert mixer.n_head % mixer.n_head_kv == 0
        assert mixer.rope is not None
        assert 2 <= mixer.rope.n_dims <= mixer.head_dim <= config.head_dim
        assert mixer.rope.n_dims % 2 == 0
        assert mixer.window is None or mixer.window >= 1
        assert 0 < mixer.scale < np.inf
        assert min(mixer.value_dim, mixer.n_head_kv, layer.feed_forward.n_ff) >= 1
    if len(set(heads(config))) == 1:
        assert config.n_head % config.n_head_kv == 0
    assert 2 <= config.rope.n_dims <= config.head_dim
    assert config.rope.n_dims % 2 == 0
    assert np.isfinite([config.norm_eps, config.rope.freq_base]).all()
    assert config.rope.n_ctx_orig >= 1
    assert config.window is None or config.window >= 1
    assert config.windowed_layers is None or len(config.windowed_layers) == (
        config.n_layer
    )
    constants = (config.attention_scale, config.attention_softcap, config.logit_scale)
    assert all(x is None or 0 < x < np.inf for x in constants)
    assert min(config.n_layer, config.n_ff, config.n_vocab, config.n_ctx_train) >= 1
