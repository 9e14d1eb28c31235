"""Rotations from metadata: the kinds of scaling, and their keys."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.config import RopeConfig
from llamacy.errors import FormatError
from llamacy.formats.gguf.config import read_config
from tests.support.gguf_metadata import model


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


@pytest.mark.parametrize("factor", [0.5, 1e-30])
def test_a_yarn_factor_below_1_is_refused(factor: float) -> None:
    file = model(rope__scaling__type="yarn", rope__scaling__factor=factor)
    with pytest.raises(FormatError, match=r"rope\.scaling\.factor"):
        read_config(file)
