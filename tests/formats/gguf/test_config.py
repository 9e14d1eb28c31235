"""Hyperparameters from metadata: defaults, odd spellings, and refused values."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.config import (
    AttentionConfig,
    ExpertConfig,
    FeedForwardConfig,
    LayerConfig,
    ModelConfig,
    RopeConfig,
)
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.config import read_architecture, read_config
from llamacy.formats.gguf.file import GGUFFile, open_gguf

MINIMAL: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 8,
    "llama.feed_forward_length": 172,
    "llama.context_length": 512,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.vocab_size": 100,
}


def model(**changes: Any) -> GGUFFile:
    """Stand in for a file with the minimal keys and `changes`; None leaves one out.

    `rope__freq_base` stands for `llama.rope.freq_base`.
    """
    metadata = dict(MINIMAL)
    for name, value in changes.items():
        key = "llama." + name.replace("__", ".")
        metadata.pop(key, None)
        if value is not None:
            metadata[key] = value
    return cast(GGUFFile, SimpleNamespace(path=Path("m.gguf"), metadata=metadata))


EXPERTS = {"expert_count": 8, "expert_used_count": 2}


@pytest.mark.parametrize("keys", [{}, {"expert_count": 0, "expert_used_count": 0}])
def test_a_dense_model_has_no_expert_config(keys: dict[str, Any]) -> None:
    assert read_config(model(**keys)).experts is None


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ExpertConfig(8, 2)),
        (
            {
                "expert_feed_forward_length": 40,
                "expert_shared_feed_forward_length": 80,
                "expert_weights_scale": 1.0,
            },
            ExpertConfig(8, 2, n_ff=40, n_ff_shared=80),
        ),
        ({"expert_weights_norm": True}, ExpertConfig(8, 2, is_normalized=True)),
        ({"expert_weights_norm": False}, ExpertConfig(8, 2, is_normalized=False)),
    ],
)
def test_expert_keys_become_an_expert_config(
    keys: dict[str, Any], expected: ExpertConfig
) -> None:
    assert read_config(model(**EXPERTS, **keys)).experts == expected


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"expert_count": 513}, "expert_count: wanted 0 to 512, found 513"),
        ({"expert_count": -1}, "expert_count: wanted 0 to 512, found -1"),
        ({"expert_used_count": 9}, "expert_used_count: wanted 1 to 8, found 9"),
        ({"expert_used_count": 0}, "expert_used_count: wanted 1 to 8, found 0"),
        ({"expert_used_count": np.array([2, 0])}, "wanted 1 to 8, found 0 in layer 1"),
        ({"expert_used_count": np.array([2, 9])}, "wanted 0 to 8, found 9 in layer 1"),
        ({"expert_used_count": np.array([2])}, "wanted a whole number, or 2 of them"),
        ({"expert_feed_forward_length": np.array([8, -1])}, "found -1 in layer 1"),
        ({"expert_used_count": None}, "expert_used_count: .*no such key"),
        ({"expert_feed_forward_length": 1 << 25}, "expert_feed_forward_length"),
        ({"expert_shared_feed_forward_length": -1}, "expert_shared_feed_forward"),
        ({"expert_weights_scale": float("nan")}, "expert_weights_scale"),
        ({"expert_weights_norm": 1}, "expert_weights_norm: wanted true or false"),
    ],
)
def test_invalid_expert_keys_are_refused(changes: dict[str, Any], match: str) -> None:
    keys = EXPERTS | changes
    with pytest.raises(FormatError, match=match):
        read_config(model(**keys))


def test_experts_may_be_the_only_networks_that_have_a_width() -> None:
    """Qwen 3.5's config.json has no other, nor have files that are made of it."""
    keys = EXPERTS | {"feed_forward_length": None}
    config = read_config(model(**keys, expert_feed_forward_length=40))
    assert [each.feed_forward.n_ff for each in config.layers] == [40, 40]
    with pytest.raises(FormatError, match="feed_forward_length"):
        read_config(model(**keys))


def test_an_expert_scale_other_than_1_is_unsupported() -> None:
    keys = {"expert_count": 8, "expert_used_count": 2, "expert_weights_scale": 2.5}
    with pytest.raises(UnsupportedError, match="expert_weights_scale: wanted 1"):
        read_config(model(**keys))


ROUTER = {
    "expert_gating_func": 1,
    "expert_group_count": 4,
    "expert_group_used_count": 2,
    "expert_shared_count": 3,
    "expert_weights_scale": 2.5,
    "leading_dense_block_count": 1,
    "block_count": 3,
}


def router(**changes: Any) -> ModelConfig:
    """Read a file of a family whose router has keys of its own."""
    return read_config(with_family("glm4moe", **EXPERTS | ROUTER | changes))


def test_a_router_and_dense_first_layers_are_read() -> None:
    config = router()
    assert config.experts == ExpertConfig(
        8, 2, n_shared=3, gating="softmax", scale=2.5, n_group=4, n_group_used=2
    )
    dense, *others = [layer.feed_forward.experts for layer in config.layers]
    assert dense is None and all(each is not None for each in others)


def test_a_router_that_is_not_described_is_the_familys() -> None:
    for layer in router(expert_gating_func=0, leading_dense_block_count=0).layers:
        experts = layer.feed_forward.experts
        assert experts is not None
        assert (experts.gating, experts.is_normalized) == ("sigmoid", False)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"expert_group_count": 3}, "expert_group_count: wanted a divisor of 8"),
        ({"expert_group_count": 9}, "expert_group_count: wanted 0 to 8"),
        ({"expert_group_used_count": 5}, "expert_group_used_count: wanted 1 to 4"),
        (
            {"expert_used_count": 5, "expert_group_used_count": 2},
            "expert_group_used_count: wanted 3 to 4, found 2",
        ),
        ({"expert_gating_func": -1}, "expert_gating_func"),
        ({"leading_dense_block_count": -1}, "leading_dense_block_count"),
        ({"expert_shared_count": 513}, "expert_shared_count: wanted 0 to 512"),
    ],
)
def test_an_invalid_router_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(FormatError, match=match):
        router(**changes)


def test_a_gating_without_a_name_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="expert_gating_func: wanted 0 to 3"):
        router(expert_gating_func=4)


@pytest.mark.parametrize("key", ["expert_gating_func", "leading_dense_block_count"])
def test_a_router_of_another_family_is_unsupported(key: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{key}: wanted 0, found 2"):
        read_config(model(**EXPERTS, **{key: 2}))


def with_key(key: str, value: Any) -> GGUFFile:
    file = model()
    file.metadata[key] = value
    return file


def with_family(name: str, **changes: Any) -> GGUFFile:
    """Return `model(**changes)` as a file of another family."""
    file = model(**changes)
    renamed = {k.replace("llama.", f"{name}."): v for k, v in file.metadata.items()}
    file.metadata.clear()
    file.metadata.update(renamed | {"general.architecture": name})
    return file


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


def test_an_array_of_equal_values_is_one_value() -> None:
    config = read_config(
        model(
            attention__head_count=np.array([8, 8], np.int32),
            attention__head_count_kv=np.array([4, 4], np.uint32),
            feed_forward_length=np.array([96, 96], np.uint64),
        )
    )
    assert (config.n_head, config.n_head_kv, config.n_ff) == (8, 4, 96)
    assert {type(n) for n in (config.n_head, config.n_head_kv, config.n_ff)} == {int}
    assert config.layers[0] == config.layers[1]


def heads(config: ModelConfig) -> list[tuple[int, int, int, int]]:
    """Heads of queries and of keys, and their sizes for keys and values, by layer."""
    mixers = [layer.attention for layer in config.layers]
    return [(m.n_head, m.n_head_kv, m.head_dim, m.value_dim) for m in mixers]


def test_arrays_of_layers_that_differ() -> None:
    config = read_config(
        model(
            attention__head_count=np.array([8, 6], np.int32),
            attention__head_count_kv=np.array([2, 3], np.uint32),
            attention__key_length=np.array([16, 8], np.int64),
            attention__value_length=np.array([12, 8], np.uint8),
            feed_forward_length=np.array([96, 128], np.uint64),
        )
    )
    assert heads(config) == [(8, 2, 16, 12), (6, 3, 8, 8)]
    assert [layer.feed_forward.n_ff for layer in config.layers] == [96, 128]
    assert [layer.attention.scale for layer in config.layers] == [
        0.25,
        1 / math.sqrt(8),
    ]
    # of layers that differ, the largest
    assert (config.n_head, config.n_head_kv, config.head_dim) == (8, 3, 16)
    assert config.n_ff == 128
    # all dimensions of each layer's own heads are rotated
    ropes = [layer.attention.rope for layer in config.layers]
    assert ropes == [config.rope, replace(config.rope, n_dims=8, has_factors=False)]


def test_one_number_of_layers_that_otherwise_differ() -> None:
    arrays = {"attention__head_count_kv": np.array([4, 2], np.uint32)}
    config = read_config(model(**arrays, rope__dimension_count=4))
    assert heads(config) == [(8, 4, 8, 8), (8, 2, 8, 8)]
    assert [layer.attention.rope for layer in config.layers] == [config.rope] * 2


def test_values_need_not_be_as_long_as_keys() -> None:
    config = read_config(model(attention__key_length=16))  # values: n_embd / n_head
    assert heads(config) == [(8, 8, 16, 8)] * 2
    config = read_config(model(attention__value_length=24))
    assert heads(config) == [(8, 8, 8, 24)] * 2
    file = model(attention__head_count=128, attention__key_length=16)
    with pytest.raises(FormatError, match="value_length: wanted 1 to .* found 0"):
        read_config(file)  # n_embd is less than n_head
    assert config.head_dim == config.rope.n_dims == 8


def test_layers_with_a_window_may_have_sizes_of_their_own() -> None:
    keys = {
        "attention__sliding_window": 20,
        "attention__sliding_window_pattern": np.array([True, False]),
        "attention__key_length": 32,
        "attention__value_length": 32,
        "attention__key_length_swa": 16,
        "attention__value_length_swa": 8,
        "rope__dimension_count": 24,
        "rope__dimension_count_swa": 12,
    }
    config = read_config(model(**keys))
    assert heads(config) == [(8, 8, 16, 8), (8, 8, 32, 32)]
    assert [layer.attention.window for layer in config.layers] == [20, None]
    ropes = [layer.attention.rope for layer in config.layers]
    assert ropes == [replace(config.rope, n_dims=12, has_factors=False), config.rope]
    assert config.rope.n_dims == 24
    with pytest.raises(FormatError, match=r"rope\.dimension_count_swa: wanted 2 to 16"):
        read_config(model(**keys | {"rope__dimension_count_swa": 24}))
    del keys["rope__dimension_count_swa"]  # then the other key is for all
    with pytest.raises(FormatError, match=r"rope\.dimension_count: wanted 2 to 16"):
        read_config(model(**keys))


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("llama", [20] * 6),
        ("gemma3", [20] * 5 + [None]),
        ("olmo2", [20, 20, 20, None, 20, 20]),
        ("qwen2", [None] * 6),
        ("unknown", [None] * 6),
    ],
)
def test_windows_by_the_rule_of_the_family(name: str, windows: list[Any]) -> None:
    config = read_config(with_family(name, block_count=6, attention__sliding_window=20))
    assert [layer.attention.window for layer in config.layers] == windows
    assert (config.window, config.windowed_layers) == (20, None)


def test_the_pattern_of_a_file_goes_before_the_rule_of_the_family() -> None:
    """The family has no windows."""
    flags = np.array([False, True, False, True])
    for name in ("qwen2", "unknown"):
        file = with_family(
            name,
            block_count=4,
            attention__sliding_window=20,
            attention__sliding_window_pattern=flags,
        )
        windows = [layer.attention.window for layer in read_config(file).layers]
        assert windows == [None, 20, None, 20]


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("attention.head_count", "attention in every layer"),
        ("attention.head_count_kv", "attention in every layer"),
        ("feed_forward_length", "a feed-forward network in every layer"),
    ],
)
def test_a_layer_that_lacks_a_part_is_not_supported(key: str, wanted: str) -> None:
    file = with_key(f"llama.{key}", np.array([8, 0], np.int32))
    message = f"llama.{key}: wanted {wanted}, found 0 in layer 1"
    with pytest.raises(UnsupportedError, match=message) as caught:
        read_config(file)
    assert caught.value.field == f"llama.{key}"


def test_the_head_length_may_have_its_own_key() -> None:
    config = read_config(model(attention__key_length=128, attention__value_length=128))
    assert config.head_dim == config.rope.n_dims == 128


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ("none", 1.0)),
        ({"rope__scaling__factor": 4.0}, ("linear", 4.0)),
        ({"rope__scale_linear": 2.0}, ("linear", 2.0)),
        ({"rope__scaling__factor": 4.0, "rope__scale_linear": 2.0}, ("linear", 4.0)),
        ({"rope__scaling__factor": 0.0}, ("none", 1.0)),
        ({"rope__scaling__type": "none", "rope__scaling__factor": 4.0}, ("none", 1.0)),
        (
            {"rope__scaling__type": "linear", "rope__scaling__factor": 8},
            ("linear", 8.0),
        ),
        ({"rope__scaling__type": "longrope"}, ("longrope", 1.0)),
        ({"rope__scaling__dynamic_factor": 3.0}, ("dynamic", 3.0)),
        ({"rope__scaling__type": "yarn"}, ("yarn", 1.0)),
        ({"rope__scaling__type": "yarn", "rope__scaling__factor": 2.5}, ("yarn", 2.5)),
    ],
)
def test_each_kind_of_rope_scaling_is_read(
    keys: dict[str, Any], expected: tuple[str, float]
) -> None:
    rope = read_config(model(**keys)).rope
    assert (rope.scaling, rope.factor) == expected
    assert rope.ext_factor == (1.0 if rope.scaling == "yarn" else 0.0)


def test_all_keys_of_yarn_are_read() -> None:
    scaling = {
        "type": "yarn",
        "factor": 4.0,
        "original_context_length": 128,
        "attn_factor": 1.5,
        "yarn_ext_factor": 0.5,
        "yarn_attn_factor": 3.0,
        "yarn_beta_fast": 16.0,
        "yarn_beta_slow": 2.0,
    }
    keys = {f"rope__scaling__{key}": value for key, value in scaling.items()}
    assert read_config(model(**keys)).rope == RopeConfig(
        n_dims=8,
        freq_base=10000.0,
        scaling="yarn",
        factor=4.0,
        n_ctx_orig=128,
        attn_factor=1.5,
        ext_factor=0.5,
        beta_fast=16.0,
        beta_slow=2.0,
    )


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


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (None, None),
        (0, (True, True, True, True)),
        (1, (False, False, False, False)),
        (2, (True, False, True, False)),
        (3, (True, True, False, True)),
        (np.array([False, True, True, False]), (False, True, True, False)),
        (np.array([0, 0, 0, 1], np.int32), (False, False, False, True)),
    ],
)
def test_the_pattern_says_which_layers_have_a_window(
    pattern: Any, expected: tuple[bool, ...] | None
) -> None:
    keys = {
        "attention__sliding_window": 20,
        "attention__sliding_window_pattern": pattern,
    }
    config = read_config(model(block_count=4, **keys))
    assert config.window == 20
    assert config.windowed_layers == expected


def test_yarn_attention_factor_without_extrapolation() -> None:
    keys = {
        "rope__scaling__attn_factor": 1.5,
        "rope__scaling__yarn_attn_factor": 3.0,
        "rope__scaling__yarn_ext_factor": -1.0,
    }
    assert read_config(model(**keys)).rope.attn_factor == 4.5
    yarn = model(rope__scaling__type="yarn", **keys)
    assert read_config(yarn).rope.attn_factor == 1.5
    assert read_config(yarn).rope.ext_factor == 1.0


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


@pytest.mark.parametrize("factor", [0.5, 1e-30])
def test_a_yarn_factor_below_1_is_refused(factor: float) -> None:
    file = model(rope__scaling__type="yarn", rope__scaling__factor=factor)
    with pytest.raises(FormatError, match=r"rope\.scaling\.factor"):
        read_config(file)


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
