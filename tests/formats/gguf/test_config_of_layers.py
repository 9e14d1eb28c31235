"""Layers from metadata: their heads, sizes and windows, alike or not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.config import read_config
from tests.support.gguf_metadata import heads, model, with_family, with_key


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
