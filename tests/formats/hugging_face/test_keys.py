"""Every key of config.json is read, harmless, or refused by its name.

`transformers_5.json` holds the keys that transformers 5.24 has for each class, and
their defaults, without lists of one item a layer; of classes that see images, those of
their texts. Keys of MiniCPM, InternLM 2, Jina's own classes, and of LLaMA and LFM2 as
encoders are from the code beside their weights.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face import jina_bert
from llamacy.formats.hugging_face.classes import CLASSIFIERS, DEFAULTS, MODEL_TYPES
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.hugging_face.families import FAMILIES
from llamacy.formats.hugging_face.keys import HARMLESS, REFUSED, own_keys
from llamacy.formats.json_text import JsonObject
from tests.support.config_cases import NEEDED

_SNAPSHOT = json.loads(Path(__file__).with_name("transformers_5.json").read_text())
WHOLE: dict[str, dict[str, Any]] = {
    name: _SNAPSHOT["every class"] | keys
    for name, keys in _SNAPSHOT.items()
    if name != "every class"
}
WHOLE |= {name: WHOLE[encoder] for name, encoder in CLASSIFIERS.items()}
THEIRS = {name: keys.get("text_config", keys) for name, keys in WHOLE.items()}
"""The keys of each class; of one with parts for images those of its text part."""
COMPUTED = (
    *("head_dim", "num_key_value_heads", "num_kv_heads"),
    *("ffn_hidden_size", "rope_parameters", "moe_layer_end_index"),
    *("mamba_dt_rank", "time_step_rank"),
)
"""Keys whose defaults transformers computes before it writes them."""


def object_of(**values: Any) -> JsonObject:
    return JsonObject(Path("config.json"), values)


def test_tables_are_of_the_same_classes() -> None:
    assert set(DEFAULTS) == set(FAMILIES) == set(THEIRS)
    of_jina = {name for name in jina_bert.FAMILIES if "V3" not in name}
    assert set(MODEL_TYPES.values()) == set(THEIRS) - set(CLASSIFIERS) - of_jina
    assert not HARMLESS & set(REFUSED)


@pytest.mark.parametrize("name", DEFAULTS)
def test_keys_of_transformers_are_read_with_its_defaults_or_harmless(name: str) -> None:
    defaults = DEFAULTS[name]
    for key, value in THEIRS[name].items():
        if key == "num_local_experts":
            assert value in (defaults.get("num_experts"), defaults.get(key))
        elif key not in defaults:
            assert key in HARMLESS or (key in REFUSED and not value), key
        elif key not in COMPUTED:
            assert defaults[key] == value, key


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_file_of_transformers_is_read_without_a_warning(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = object_of(**WHOLE[name] | {"architectures": [name]})
    config.values.pop("head_dim", None)
    config.values.update(NEEDED.get(name, {}))
    assert read_config(config, "name").metadata.values
    assert not caplog.records


@pytest.mark.parametrize(("model_type", "name"), MODEL_TYPES.items())
@pytest.mark.parametrize("architectures", [None, [], "absent", "model"])
def test_the_model_type_stands_in_for_the_class(
    model_type: str, name: str, architectures: Any
) -> None:
    config = object_of(
        model_type=model_type,
        architectures=architectures,
        text_config={},
        **NEEDED.get(name, {}),
    )
    if architectures == "absent":
        del config.values["architectures"]
    elif architectures == "model":
        bare = re.sub("For(CausalLM|ConditionalGeneration)", "Model", name)
        config.values["architectures"] = [bare]
    family = FAMILIES[name]
    wanted = family.dense if name == "NomicBertModel" else family
    assert read_config(config, "name").family is wanted


def test_a_missing_key_has_the_default_of_the_class_and_null_is_another_thing() -> None:
    def own(name: str, **values: Any) -> dict[str, Any]:
        return own_keys(object_of(**values), name).values

    assert own("MistralForCausalLM")["num_key_value_heads"] == 8
    assert own("MistralForCausalLM", sliding_window=None)["sliding_window"] is None
    assert own("Qwen3ForCausalLM")["head_dim"] == 128
    assert own("GptOssForCausalLM")["rope_parameters"]["factor"] == 32
    # an object that is empty, or false, counts as missing
    values: tuple[Any, ...] = ({}, [], False, 0, "")
    for empty in values:
        found = own("LlamaForCausalLM", rope_scaling=empty, quantization_config=empty)
        assert found["rope_scaling"] is found["quantization_config"] is None
    # an object that is null is the default, and a base of rotations
    assert own("GptOssForCausalLM", rope_parameters=None)["rope_parameters"]["factor"]
    assert own("Gemma3ForCausalLM", rope_theta=None)["rope_theta"] == 1e6
    # a truth value that is null is the default
    assert own("Gemma2ForCausalLM", tie_word_embeddings=None)["tie_word_embeddings"]
    # either name of the number of experts
    for key in ("num_experts", "num_local_experts"):
        assert own("Qwen3MoeForCausalLM", **{key: 6})["num_experts"] == 6
        assert own("MixtralForCausalLM", **{key: 6})["num_local_experts"] == 6


def test_keys_that_nobody_reads_are_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = {
        "sliding_window": 32,  # Mistral's
        "novelty": 3,
        "off": False,
        "nothing": None,
        "torch_dtype": "bfloat16",
        "rope_scaling": {"type": "linear", "factor": 2.0, "mrope_section": [1]},
    }
    own = own_keys(object_of(**values), "LlamaForCausalLM")
    assert "sliding_window" not in own.values
    (record,) = caplog.records
    assert record.getMessage() == (
        "config.json: sliding_window, novelty, rope_scaling.mrope_section passed over: "
        "keys that LlamaForCausalLM does not read"
    )


@pytest.mark.parametrize("key", REFUSED)
def test_keys_that_change_the_model_are_refused(key: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{key}: wanted none, found True"):
        own_keys(object_of(**{key: True}), "LlamaForCausalLM")
    assert own_keys(object_of(**{key: False}), "LlamaForCausalLM").values


@pytest.mark.parametrize("names", [("1", "3"), ("01", "03"), ("1", "01"), ("1", "x")])
def test_gemma_4s_layers_without_a_window_have_sizes_by_their_numbers(
    names: tuple[str, str],
) -> None:
    config = object_of(
        architectures=["Gemma4ForCausalLM"],
        num_hidden_layers=4,
        layer_types=2 * ["sliding_attention", "full_attention"],
        per_layer_config={name: {"head_dim": 48} for name in names},
    )
    if {name.lstrip("0") for name in names} == {"1", "3"}:
        made = read_config(config, "name").metadata.values
        assert made["gemma4.attention.key_length"] == 48
        return
    with pytest.raises(FormatError, match="wanted the layers without a window, 1, 3"):
        read_config(config, "name")


def test_a_family_with_experts_in_all_layers_refuses_dense_ones() -> None:
    kinds = ["dense", *["sparse"] * 27]
    config = object_of(architectures=["MellumForCausalLM"], mlp_layer_types=kinds)
    config.values["num_hidden_layers"] = len(kinds)
    with pytest.raises(UnsupportedError, match="mlp_layer_types: wanted experts in"):
        read_config(config, "name")


def test_positions_of_ministral_3_are_scaled_where_a_file_does_not_say() -> None:
    read = read_config(object_of(architectures=["Ministral3ForCausalLM"]), "name")
    made = read.metadata.values
    assert made["mistral3.rope.scaling.factor"] == 16
    assert made["mistral3.attention.temperature_scale"] == np.float32(0.1)


@pytest.mark.parametrize(
    "changes",
    [{"quantization": {"bits": 4}}, {"quantization_config": {"quant_method": "awq"}}],
)
def test_texts_beside_a_part_for_images_are_not_read_in_an_unknown_quantization(
    changes: dict[str, Any],
) -> None:
    name = "Qwen2VLForConditionalGeneration"
    config = object_of(architectures=[name], text_config={"vocab_size": 99}, **changes)
    with pytest.raises(UnsupportedError, match="wanted fp8, compressed-tensors"):
        read_config(config, "name")


@pytest.mark.parametrize("name", sorted(set(DEFAULTS) - {"NemotronHForCausalLM"}))
def test_more_layers_than_any_model_has_are_refused(name: str) -> None:
    """Before as many kinds of layers are written out; Nemotron-H names each layer."""
    counts = dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers"), 10**30)
    with pytest.raises(FormatError, match="num_hidden_layers: wanted 1 to"):
        read_config(object_of(architectures=[name], **counts), "model")
