"""adapter_config.json: each key is used, harmless or refused; patterns are bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.formats.json_text import JsonObject
from llamacy.formats.lora.peft_settings import HARMLESS, USED, Scales, read_scales

Q0, Q10 = "model.layers.0.self_attn.q_proj", "model.layers.10.self_attn.q_proj"
UP10 = "model.layers.10.mlp.up_proj"


def read(**settings: Any) -> Scales:
    values = {"peft_type": "LORA", "lora_alpha": 2} | settings
    return read_scales(JsonObject(Path("adapter_config.json"), values))


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("q_proj", {Q0, Q10}),
        (r".*\.0\.self_attn\.q_proj", {Q0}),
        ("^model.layers.0.self_attn.q_proj", {Q0}),
        ("layers.10.mlp.up_proj", {UP10}),
        ("proj", set()),  # matches whole parts of a name only, as in PEFT
        (r"model\.layers\.(1[0-9]|2[0-3])\..*", {Q10, UP10}),
        (r"layers\.\d+\.(?:self_attn|mlp)\.(q|up)_proj", {Q0, Q10, UP10}),
        (r".*layers\.[0-9]+\.(self_attn|mlp)\..*_proj", {Q0, Q10, UP10}),
        (r"(?!.*\.0\.self).*q_proj", {Q0, Q10}),  # after "model.layers.0."
        ("q_proj|up_proj", {Q0, Q10, UP10}),
        ("self_attn.q_proj$", {Q0, Q10}),
    ],
)
def test_keys_of_alpha_pattern_are_regular_expressions(
    pattern: str, matching: set[str]
) -> None:
    scales = read(alpha_pattern={pattern: 6, "never": 1})
    found = {module for module in (Q0, Q10, UP10) if scales.of(module, 2) == 3}
    assert found == matching
    assert scales.of("lm_head", 2) == 1


def test_the_first_pattern_that_matches_counts() -> None:
    scales = read(alpha_pattern={".*q_proj": 6, Q0: 8})
    assert scales.of(Q0, 2) == 3


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+", "(.*)*", ".*.*.*.*.*", "(a|a)*x", "(?:.|.)" * 30, "(.?)" * 40,
        "(", ")", "a{2,9999}", r"(.)\1", "(?i)Q_PROJ", "[", "*", "\\", "(?P<x>a)",
    ],
)  # fmt: skip
def test_patterns_that_could_take_forever_are_refused(pattern: str) -> None:
    with pytest.raises(llamacy.UnsupportedError, match="alpha_pattern"):
        read(alpha_pattern={pattern: 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lora_bias", True),
        ("layer_replication", [[0, 2]]),
        ("use_qalora", True),
        ("trainable_token_indices", [5]),
        ("megatron_config", {"x": 1}),
        ("some_future_key", 1),
    ],
)
def test_keys_that_change_the_result_are_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(llamacy.UnsupportedError, match=f"json: {key}: wanted"):
        read(**{key: value})


def test_no_key_is_both_used_and_harmless() -> None:
    assert not USED & HARMLESS


def test_patterns_are_for_the_names_of_parameters_that_are_adapted() -> None:
    scales = read(
        alpha_pattern={"mlp.gate": 6, "gate.weight": 8, "q_proj": 10},
        target_parameters=["mlp.gate.weight", "mlp.experts.down_proj"],
    )
    router = "model.layers.0.mlp.gate"
    assert scales.of(router, 2) == 4
    assert scales.of(f"{router}_proj", 2) == 1
    assert scales.of(Q0, 2) == 5
