"""Writes models of transformers as GGUF files, like llama.cpp's converter.

Names, constants and the order of rotated pairs are the format's; the tables at the top
contain the other differences between families.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# by transformers' name of the family
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "mixtral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen2_moe": gguf.MODEL_ARCH.QWEN2MOE,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "qwen3_moe": gguf.MODEL_ARCH.QWEN3MOE,
    "gpt_oss": gguf.MODEL_ARCH.GPT_OSS,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "gemma4_text": gguf.MODEL_ARCH.GEMMA4,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "smollm3": gguf.MODEL_ARCH.SMOLLM3,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "olmo3": gguf.MODEL_ARCH.OLMO2,
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "starcoder2": gguf.MODEL_ARCH.STARCODER2,
    "phi": gguf.MODEL_ARCH.PHI2,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "cohere": gguf.MODEL_ARCH.COMMAND_R,
    "cohere2": gguf.MODEL_ARCH.COHERE2,
    "stablelm": gguf.MODEL_ARCH.STABLELM,
    "falcon": gguf.MODEL_ARCH.FALCON,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
    "arcee": gguf.MODEL_ARCH.ARCEE,
    "apertus": gguf.MODEL_ARCH.APERTUS,
    "glm4_moe": gguf.MODEL_ARCH.GLM4_MOE,
    "dots1": gguf.MODEL_ARCH.DOTS1,
    "ernie4_5_moe": gguf.MODEL_ARCH.ERNIE4_5_MOE,
    "hunyuan_v1_moe": gguf.MODEL_ARCH.HUNYUAN_MOE,
    "cohere2_moe": gguf.MODEL_ARCH.DOTS1,  # gguf 0.19 lacks it; its names are alike
    "ministral3": gguf.MODEL_ARCH.MISTRAL3,
    "exaone4": gguf.MODEL_ARCH.EXAONE4,
    "olmoe": gguf.MODEL_ARCH.OLMOE,
    "glm4": gguf.MODEL_ARCH.GLM4,
    "seed_oss": gguf.MODEL_ARCH.SEED_OSS,
    "ernie4_5": gguf.MODEL_ARCH.ERNIE4_5,
    "hunyuan_v1_dense": gguf.MODEL_ARCH.HUNYUAN_DENSE,
}
WITH_LAYER_NORM = (
    *("gpt2", "starcoder2", "phi", "cohere", "cohere2"),
    *("stablelm", "falcon", "gpt_neox"),
)
# which the package's table of names does not have
GEMMA4_EXPERTS = {
    "scale": "ffn_gate_inp.scale",
    "per_expert_scale": "ffn_down_exps.scale",
    "gate_up_proj": "ffn_gate_up_exps.weight",
    "down_proj": "ffn_down_exps.weight",
}
WITH_ADJACENT_PAIRS = (
    *("llama", "mistral", "mixtral", "smollm3", "granite", "arcee"),
    "ministral3",
)


def write(path: Path, config: Any, model: Any) -> None:
    """Write `model` to `path`, with all tensors in float32."""
    architecture = ARCHITECTURES[config.model_type]
    is_cohere2moe = config.model_type == "cohere2_moe"
    name = "cohere2moe" if is_cohere2moe else gguf.MODEL_ARCH_NAMES[architecture]
    writer = gguf.GGUFWriter(path, name)
    _add_sizes(writer, config)
    _add_rope(writer, config)
    _add_constants(writer, config)
    if config.model_type == "gemma4_text":
        _add_gemma4(writer, config)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    tensors = {name: each.numpy() for name, each in model.state_dict().items()}
    _take_constants(writer, tensors, config)
    _stack_norms(tensors, config)
    for name, tensor in tensors.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        for part, array in _parts(name, tensor, config):
            writer.add_tensor(
                names.get_name(part, try_suffixes=(".weight", ".bias")) or part,
                np.ascontiguousarray(_converted(part, array, config)),
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_gemma4(writer: Any, config: Any) -> None:
    """Write the sizes of both kinds of layers, and what the last ones share."""
    windowed = [kind == "sliding_attention" for kind in config.layer_types]
    n_shared, n_layer = config.num_kv_shared_layers, config.num_hidden_layers
    whole = config.per_layer_config["full_attention"]
    local = config.per_layer_config["sliding_attention"]
    writer.add_sliding_window_pattern(windowed)
    writer.add_shared_kv_layers(n_shared)
    writer.add_embedding_length_per_layer_input(config.hidden_size_per_layer_input)
    writer.add_key_length_swa(local.head_dim)
    writer.add_value_length_swa(local.head_dim)
    writer.add_rope_dimension_count_swa(local.head_dim)
    writer.add_head_count_kv(
        [(local if each else whole).num_key_value_heads for each in windowed]
    )
    n_ff, factor = config.intermediate_size, 1 + config.use_double_wide_mlp
    own = n_layer - n_shared
    writer.add_feed_forward_length([n_ff] * own + [n_ff * factor] * n_shared)
    if config.top_k_experts:
        writer.add_expert_used_count(config.top_k_experts)
    n_rotated = whole.head_dim // 8
    divisors = np.full(whole.head_dim // 2, 1e30, np.float32)
    divisors[:n_rotated] = 1
    writer.add_tensor("rope_freqs.weight", divisors)


def _take_constants(writer: Any, tensors: dict[str, Array], config: Any) -> None:
    """Write xIELU's constants of all layers as keys."""
    if config.model_type != "apertus":
        return
    for key in ("alpha_p", "alpha_n", "beta", "eps"):
        values = [
            tensors.pop(f"model.layers.{i}.mlp.act_fn.{key}").item()
            for i in range(config.num_hidden_layers)
        ]
        writer.add_array(f"xielu.{key}", values)


def _stack_norms(tensors: dict[str, Array], config: Any) -> None:
    """Put the norms of single heads together, a head a row."""
    for i in range(config.num_hidden_layers):
        for part in ("q_layernorm", "k_layernorm"):
            module = f"model.layers.{i}.self_attn.{part}"
            heads = [name for name in tensors if name.startswith(f"{module}.norms.")]
            if heads:
                tensors[f"{module}.weight"] = np.stack([tensors.pop(n) for n in heads])


def _head_dim(config: Any) -> int:
    if config.model_type == "gemma4_text":  # layers differ
        return int(config.per_layer_config["full_attention"].head_dim)
    given = getattr(config, "head_dim", None)
    return int(given or config.hidden_size // config.num_attention_heads)


def _add_sizes(writer: Any, config: Any) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type not in ("cohere2_moe", "gemma4_text"):
        writer.add_feed_forward_length(_n_ff(config))
    if config.model_type != "gemma4_text":
        writer.add_head_count_kv(_n_head_kv(config))
    writer.add_key_length(_head_dim(config))
    writer.add_value_length(_head_dim(config))
    is_rms = getattr(config, "rms_norm_eps", None) is not None
    if config.model_type in WITH_LAYER_NORM or not is_rms:
        keys = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
        eps = [getattr(config, key) for key in keys if hasattr(config, key)]
        writer.add_layer_norm_eps(eps[0])
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _n_ff(config: Any) -> int:
    if config.model_type == "gpt2":
        return int(config.n_inner or 4 * config.n_embd)
    if config.model_type == "falcon":
        return int(config.ffn_hidden_size)
    return int(config.intermediate_size)


def _n_head_kv(config: Any) -> int:
    if config.model_type == "falcon" and not config.new_decoder_architecture:
        return 1 if config.multi_query else int(config.num_attention_heads)
    for key in ("num_kv_heads", "num_key_value_heads"):
        if getattr(config, key, None):
            return int(getattr(config, key))
    return int(config.num_attention_heads)


def _add_rope(writer: Any, config: Any) -> None:
    if config.model_type == "gpt2":
        return
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    factor = rope.get("partial_rotary_factor", 1)
    n_dims = int(_head_dim(config) * (1 if "proportional" in rope.values() else factor))
    writer.add_rope_dimension_count(n_dims)
    alpha = rope.get("alpha", 1) ** (n_dims / (n_dims - 2))
    writer.add_rope_freq_base(rope["rope_theta"] * alpha)
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
        if rope["rope_type"] == "yarn":
            original = rope["original_max_position_embeddings"]
            writer.add_rope_scaling_orig_ctx_len(original)
            if "llama_4_scaling_beta" in rope:
                writer.add_rope_scaling_yarn_log_mul(rope["mscale_all_dim"])
                writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])
    elif rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", _llama3_factors(rope, n_dims))
    elif rope["rope_type"] == "longrope":
        _add_longrope(writer, config, rope)


def _add_longrope(writer: Any, config: Any, rope: dict[str, Any]) -> None:
    original = config.original_max_position_embeddings
    scale = config.max_position_embeddings / original
    writer.add_rope_scaling_orig_ctx_len(original)
    writer.add_rope_scaling_attn_factors(
        float(np.sqrt(1 + np.log(scale) / np.log(original)))
    )
    for length in ("long", "short"):
        factors = np.asarray(rope[f"{length}_factor"], np.float32)
        writer.add_tensor(f"rope_factors_{length}.weight", factors)


def _add_constants(writer: Any, config: Any) -> None:
    added: dict[str, Callable[[Any], None]] = {
        "sliding_window": writer.add_sliding_window,
        "attn_logit_softcapping": writer.add_attn_logit_softcapping,
        "final_logit_softcapping": writer.add_final_logit_softcapping,
        "embedding_multiplier": writer.add_embedding_scale,
        "residual_multiplier": writer.add_residual_scale,
        "attention_multiplier": writer.add_attention_scale,
        "logits_scaling": writer.add_logit_scale,
        "logit_scale": writer.add_logit_scale,
        "use_parallel_residual": writer.add_parallel_residual,
        "num_experts": writer.add_expert_count,
        "n_routed_experts": writer.add_expert_count,
        "moe_num_experts": writer.add_expert_count,
        "num_experts_per_tok": writer.add_expert_used_count,
        "n_group": writer.add_expert_group_count,
        "topk_group": writer.add_expert_group_used_count,
        "n_shared_experts": writer.add_expert_shared_count,
        "moe_num_shared_experts": writer.add_expert_shared_count,
        "num_shared_experts": writer.add_expert_shared_count,
        "routed_scaling_factor": writer.add_expert_weights_scale,
        "first_k_dense_replace": writer.add_leading_dense_block_count,
        "moe_layer_start_index": writer.add_leading_dense_block_count,
        "moe_intermediate_size": writer.add_expert_feed_forward_length,
        "shared_expert_intermediate_size": writer.add_expert_shared_feed_forward_length,
        "norm_topk_prob": writer.add_expert_weights_norm,
    }
    for name, add in added.items():
        if getattr(config, name, None) is not None:
            add(getattr(config, name))
    if config.model_type in ("mixtral", "gpt_oss"):
        writer.add_expert_count(config.num_local_experts)
    if config.model_type == "gpt_oss":
        writer.add_expert_feed_forward_length(config.intermediate_size)
    if config.model_type == "cohere2_moe":
        writer.add_feed_forward_length(
            config.prefix_dense_intermediate_size or config.intermediate_size
        )
        writer.add_expert_feed_forward_length(config.intermediate_size)
        writer.add_leading_dense_block_count(config.mlp_layer_types.count("dense"))
        kinds = {"softmax": gguf.ExpertGatingFuncType.SOFTMAX}
        writer.add_expert_gating_func(
            kinds.get(config.expert_selection_fn, gguf.ExpertGatingFuncType.SIGMOID)
        )
    if config.model_type in ("falcon", "gpt_neox"):
        writer.add_string(f"{writer.arch}.hidden_activation", "gelu_erf")
    if config.model_type in ("gpt_oss", "olmo3", "cohere2_moe", "exaone4"):
        windowed = [kind == "sliding_attention" for kind in config.layer_types]
        writer.add_sliding_window_pattern(windowed)


def _parts(name: str, array: Array, config: Any) -> Iterator[tuple[str, Array]]:
    """Split gate and up of all experts; name tensors that are no module's weight."""
    module, _, part = name.rpartition(".")
    if part == "e_score_correction_bias":
        module = module.replace(".gate.moe_statics", ".moe_statics")
        yield f"{module}.e_score_correction.bias", array.reshape(-1)
        return
    if part in ("sinks", "layer_scalar"):
        yield f"{name}.weight", array
        return
    if config.model_type == "gemma4_text" and part in GEMMA4_EXPERTS:
        yield f"blk.{name.split('.')[2]}.{GEMMA4_EXPERTS[part]}", array
        return
    if not module.endswith("experts"):
        yield name, array
        return
    kind = "bias" if part.endswith("_bias") else "weight"
    part = part.removesuffix("_bias")
    is_gpt_oss = config.model_type == "gpt_oss"
    if is_gpt_oss and kind == "weight":
        array = array.swapaxes(1, 2)
    if part == "gate_up_proj":
        gate, up = array[:, ::2], array[:, 1::2]
        if not is_gpt_oss:
            gate, up = np.split(array, 2, axis=1)
        yield f"{module}.gate_proj.{kind}", gate
        yield f"{module}.up_proj.{kind}", up
    else:
        yield f"{module}.{part}.{kind}", array


def _converted(name: str, array: Array, config: Any) -> Array:
    if config.model_type == "gpt2" and ".c_" in name:
        return array.T
    if "query_key_value" in name:
        n_head_kv, head_dim = _n_head_kv(config), _head_dim(config)
        groups = array.reshape(n_head_kv, -1, head_dim, *array.shape[1:])
        parts = groups[:, :-2], groups[:, -2], groups[:, -1]
        return np.concatenate([part.reshape(-1, *array.shape[1:]) for part in parts])
    is_turned = "q_proj" in name or "k_proj" in name
    if is_turned and config.model_type in WITH_ADJACENT_PAIRS:
        return _pairs_side_by_side(array, _head_dim(config))
    adds_one = ("gemma", "gemma2", "gemma3_text")
    if config.model_type in adds_one and name.endswith("norm.weight"):
        return 1 + array
    return array


def _pairs_side_by_side(array: Array, head_dim: int) -> Array:
    """Make the pairs of rows (0, d/2), (1, d/2 + 1) ... of each head adjacent."""
    heads = array.reshape(-1, 2, head_dim // 2, *array.shape[1:])
    return heads.swapaxes(1, 2).reshape(array.shape)


def _llama3_factors(rope: dict[str, Any], head_dim: int) -> Array:
    """Return the divisors of Llama 3.1's RoPE frequencies (Meta's reference code)."""
    base, factor = rope["rope_theta"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    original = rope["original_max_position_embeddings"]
    wavelength = 2 * np.pi * base ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    factors: Array = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return factors
