"""Experts and their router from metadata: read, and refused where they cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llamacy.config import ExpertConfig, ModelConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.config import read_config
from tests.support.gguf_metadata import model, with_family

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
