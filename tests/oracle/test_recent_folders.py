"""Folders of recent classes, and the texts of those that see images, give their logits.

MiniCPM and InternLM 2, which transformers does not have, are Granite's and LLaMA's
models under their names.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from tests.support.forward_passes import check_conversions, error, logits_of

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]
N_VOCAB, N_TOKENS, WINDOW = 96, 70, 20
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
    "pad_token_id": None,
}
FIVE = SIZES | {"num_hidden_layers": 5, "sliding_window": WINDOW}
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
SECTIONS = {"rope_parameters": DEFAULT | {"mrope_section": [3, 3, 2]}}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 5e5,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
}
GROWING = YARN | {"mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.5}
IMAGES = {"depth": 1, "num_heads": 2, "patch_size": 4, "hidden_size": 32}
IMAGES |= {"intermediate_size": 48, "out_hidden_size": 64}
LEVELS = {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
PIXTRAL = {
    "model_type": "pixtral",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "head_dim": 16,
    "patch_size": 4,
    "image_size": 16,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 32}
GRANITE = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.4,
    "attention_multiplier": 0.1,
    "logits_scaling": 5.0,
}
MELLUM = {
    "head_dim": 16,
    "layer_types": ["sliding_attention"] * 3 + ["full_attention", "sliding_attention"],
    "rope_parameters": {"sliding_attention": DEFAULT, "full_attention": YARN},
}

LAGUNA = {
    "head_dim": 16,
    "num_attention_heads_per_layer": [4, 6, 6, 6, 4],
    "layer_types": ["full_attention", *["sliding_attention"] * 3, "full_attention"],
    "rope_parameters": {
        "sliding_attention": DEFAULT,
        "full_attention": YARN | {"partial_rotary_factor": 0.5},
    },
    "shared_expert_intermediate_size": 48,
    "moe_routed_scaling_factor": 2.5,
}
PHIMOE = {
    "num_local_experts": 6,
    "router_jitter_noise": 0.1,
    "attention_bias": True,
    "lm_head_bias": True,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "original_max_position_embeddings": 96,
        "short_factor": [1.0, 1.1, 1.3, 1.6, 2.0, 2.5, 3.1, 3.8],
        "long_factor": [1.0, 2.0, 4.0, 7.0, 11.0, 16.0, 22.0, 29.0],
        "short_mscale": 1.15,
        "long_mscale": 1.15,
    },
}


def seeing(text: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    return {
        "text_config": SIZES | text,
        "vision_config": images,
        "tie_word_embeddings": text.get("tie_word_embeddings", False),
    }


SCAN_KINDS = ["linear_attention", "full_attention", "linear_attention"]
GRANITE_H = {
    "layer_types": SCAN_KINDS,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_d_state": 16,
    "shared_intermediate_size": 96,
    **GRANITE,
}
FALCON_H1 = {
    **{"mamba_d_ssm": 96, "mamba_n_heads": 6, "mamba_d_head": 16, "head_dim": 16},
    **{"mamba_d_state": 16, "mamba_n_groups": 2, "mamba_expand": 2},
    **{"embedding_multiplier": 3.0, "lm_head_multiplier": 0.5, "key_multiplier": 0.7},
    **{"attention_in_multiplier": 1.2, "attention_out_multiplier": 0.9},
    **{"ssm_in_multiplier": 1.1, "ssm_out_multiplier": 0.7},
    "mlp_multipliers": [0.8, 0.6],
    "ssm_multipliers": [0.5, 0.9, 1.1, 0.8, 1.3],
}
NEMOTRON_H = {key: SIZES[key] for key in SIZES if key != "num_hidden_layers"} | {
    "layers_block_type": [*SCAN_KINDS, "mlp"],
    "head_dim": 16,
    "ssm_state_size": 16,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "n_groups": 2,
    "time_step_min": 1e-30,  # else steps are not less, whatever their limit
}
NEMOTRON_H_MOE = NEMOTRON_H | {
    "layers_block_type": [*SCAN_KINDS, "moe"],
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "moe_shared_expert_intermediate_size": 48,
    "routed_scaling_factor": 1.5,
}
MAMBA2 = {
    **{"vocab_size": N_VOCAB, "hidden_size": 64, "num_hidden_layers": 3},
    **{"num_heads": 8, "head_dim": 16, "state_size": 16, "n_groups": 2},
    **{"initializer_range": 0.2, "pad_token_id": None, "residual_in_fp32": False},
}
JAMBA = {
    **{"num_hidden_layers": 4, "attn_layer_period": 3, "attn_layer_offset": 1},
    **{"num_experts": 4, "num_experts_per_tok": 2},
    **{"mamba_d_state": 16, "mamba_dt_rank": 8},
}
MAMBA = {
    **{"vocab_size": N_VOCAB, "hidden_size": 64, "num_hidden_layers": 3},
    **{"initializer_range": 0.2, "pad_token_id": None, "residual_in_fp32": False},
}
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 24,
    "v_head_dim": 16,
}
DEEPSEEK = LATENT | {
    "n_routed_experts": 12,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 32,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 1.5,
}
MISTRAL4 = DEEPSEEK | {"first_k_dense_replace": 0, "norm_topk_prob": True}
SCORED = YARN | {"mscale": 0.7, "mscale_all_dim": 0.7}
GROUPS = {"n_group": 3, "topk_group": 2}
KINDS = {"layer_types": ["conv", "full_attention", "conv", "full_attention", "conv"]}
LFM3_KINDS = KINDS["layer_types"][:3] + ["conv", "sliding_attention"]
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "deepseek2, lite": (
        "DeepseekV2",
        SIZES | DEEPSEEK | {"q_lora_rank": None, "rope_parameters": SCORED},
    ),
    "deepseek2, groups": (
        "DeepseekV2",
        SIZES | DEEPSEEK | GROUPS | {"topk_method": "group_limited_greedy"},
    ),
    "deepseek2, v3": (
        "DeepseekV3",
        SIZES | DEEPSEEK | GROUPS | {"rope_parameters": SCORED | {"mscale": 1.0}},
    ),
    "deepseek2, one yarn": (
        "DeepseekV3",
        SIZES | DEEPSEEK | {"n_group": 1, "topk_group": 1, "rope_parameters": YARN},
    ),
    "deepseek2, glm": ("Glm4MoeLite", SIZES | DEEPSEEK | {"v_head_dim": 40}),
    "mistral4": ("Mistral4", SIZES | MISTRAL4 | {"rope_parameters": GROWING}),
    "mistral4, groups": (
        "Mistral4",
        SIZES | MISTRAL4 | GROUPS | {"first_k_dense_replace": 1, "q_lora_rank": None},
    ),
    "mistral4, images": (
        "Mistral3",
        seeing(
            {"model_type": "mistral4", "rope_parameters": GROWING, **MISTRAL4}, PIXTRAL
        ),
    ),
    "deepseek2, youtu": ("Youtu", SIZES | LATENT | {"tie_word_embeddings": True}),
    "lfm2": ("Lfm2", FIVE | KINDS | {"block_multiple_of": 32}),
    "lfm2, older keys": (
        "Lfm2",
        FIVE
        | {"full_attn_idxs": [1, 3], "block_auto_adjust_ff_dim": False}
        | {"conv_L_cache": 5, "tie_word_embeddings": True},
    ),
    "lfm2moe": (
        "Lfm2Moe",
        FIVE | KINDS | EXPERTS | {"num_dense_layers": 2, "routed_scaling_factor": 1.5},
    ),
    "lfm2moe, no bias": (
        "Lfm2Moe",
        FIVE | KINDS | EXPERTS | {"use_expert_bias": False},
    ),
    "lfm3": ("Lfm3", FIVE | {"layer_types": LFM3_KINDS, "head_dim": 16}),
    "lfm3, plain": (
        "Lfm3",
        FIVE
        | {"layer_types": LFM3_KINDS, "head_dim": 16, "attention_bias": True}
        | {"use_sandwich_norm": False, "use_attention_gate": False},
    ),
    "granitehybrid": (
        "GraniteMoeHybrid",
        SIZES | GRANITE_H | {"num_local_experts": 0, "num_experts_per_tok": 0},
    ),
    "granitehybrid, experts": (
        "GraniteMoeHybrid",
        SIZES
        | GRANITE_H
        | {"num_local_experts": 6, "intermediate_size": 32}
        | {"mamba_n_groups": 2, "position_embedding_type": "rope"},
    ),
    "falcon-h1": ("FalconH1", SIZES | FALCON_H1),
    "falcon-h1, norm": (
        "FalconH1",
        SIZES
        | FALCON_H1
        | {"mamba_rms_norm": True, "mamba_norm_before_gate": False}
        | {"tie_word_embeddings": True, "lm_head_multiplier": 3.0},
    ),
    "nemotron_h": ("NemotronH", NEMOTRON_H),
    "nemotron_h_moe": ("NemotronH", NEMOTRON_H_MOE),
    "nemotron_h_moe, groups": (
        "NemotronH",
        NEMOTRON_H_MOE
        | {"n_group": 3, "topk_group": 2, "norm_topk_prob": False}
        | {"num_nextn_predict_layers": 1},
    ),
    "nemotron_h_moe, latent": (
        "NemotronH",
        NEMOTRON_H_MOE
        | {"moe_latent_size": 32, "mlp_bias": True}
        | {"layers_block_type": ["moe", *SCAN_KINDS, "mlp"]},
    ),
    "jamba": ("Jamba", SIZES | JAMBA),
    "jamba, other sizes": (
        "Jamba",
        SIZES
        | JAMBA
        | {"mamba_d_state": 8, "mamba_d_conv": 5, "mamba_dt_rank": "auto"}
        | {"mamba_expand": 1, "hidden_size": 72, "mamba_conv_bias": False}
        | {"expert_layer_period": 3, "expert_layer_offset": 0},
    ),
    "jamba, dense": (
        "Jamba",
        SIZES | JAMBA | {"num_experts": 1, "tie_word_embeddings": True},
    ),
    "mamba": ("Mamba", MAMBA),
    "mamba, falcon": ("FalconMamba", MAMBA | {"mixer_rms_eps": 0.01}),
    "mamba2": ("Mamba2", MAMBA2),
    "qwen2vl": ("Qwen2VL", seeing(SECTIONS, IMAGES | {"embed_dim": 32})),
    "qwen2.5vl": (
        "Qwen2_5_VL",
        seeing(SECTIONS, IMAGES | {"fullatt_block_indexes": [0]}),
    ),
    "qwen3vl": ("Qwen3VL", seeing(SECTIONS | {"head_dim": 24}, IMAGES | LEVELS)),
    "qwen3vl, tied": (
        "Qwen3VL",
        seeing({"head_dim": 16, "tie_word_embeddings": True}, IMAGES | LEVELS),
    ),
    "qwen3vlmoe": (
        "Qwen3VLMoe",
        seeing(SECTIONS | EXPERTS | {"head_dim": 16}, IMAGES | LEVELS),
    ),
    "mistral3": (
        "Mistral3",
        seeing({"model_type": "ministral3", "rope_parameters": GROWING}, PIXTRAL),
    ),
    "mistral3, small": (
        "Mistral3",
        seeing({"model_type": "mistral", "sliding_window": None}, PIXTRAL),
    ),
    "hunyuan-dense, alpha": (
        "HunYuanDenseV1",
        SIZES
        | {
            "head_dim": 24,
            "rope_parameters": {**DEFAULT, "rope_type": "dynamic", "factor": 1.0}
            | {"alpha": 9.0},
        },
    ),
    "seed_oss, biases": (
        "SeedOss",
        SIZES | {"head_dim": 24, "attention_out_bias": True, "mlp_bias": True},
    ),
    "mellum": ("Mellum", FIVE | EXPERTS | MELLUM),
    "granitemoe": ("GraniteMoe", SIZES | GRANITE | {"num_local_experts": 5}),
    "granitemoe, shared": (
        "GraniteMoeShared",
        SIZES | GRANITE | {"num_local_experts": 5, "shared_intermediate_size": 96},
    ),
    "granite_swa": ("GraniteSWA", FIVE | GRANITE),
    "granite_swa, positions": (
        "GraniteSWA",
        FIVE | GRANITE | {"layer_rope_theta": [0, 10000.0, 10000.0, 10000.0, 0]},
    ),
    "granite_swa, experts": (
        "GraniteMoeSWA",
        FIVE | GRANITE | {"num_local_experts": 5, "shared_intermediate_size": 96},
    ),
    "laguna": ("Laguna", FIVE | EXPERTS | LAGUNA),
    "laguna, gates of numbers": (
        "Laguna",
        SIZES
        | {**EXPERTS, "head_dim": 16, "gating": "per-element", "sliding_window": 0}
        | {"mlp_layer_types": ["dense", "dense", "sparse"], "attention_bias": True},
    ),
    "phimoe": ("Phimoe", SIZES | PHIMOE),
    "phimoe, plain": (
        "Phimoe",
        SIZES | {"num_local_experts": 3, "rope_parameters": DEFAULT},
    ),
    "minicpm": (
        "Granite",
        SIZES
        | GRANITE
        | {"attention_multiplier": 0.25, "residual_multiplier": 1.4 / math.sqrt(3)},
    ),
    "internlm2": ("Llama", SIZES),
}


def make(name: str, folder: Path) -> Array:
    """Save a model of the table; return its logits."""
    torch.manual_seed(0)
    family, settings = copy.deepcopy(CASES[name])  # classes add to their settings
    end = "ForConditionalGeneration" if "text_config" in settings else "ForCausalLM"
    config = getattr(transformers, f"{family}Config")(**settings)
    of_class = getattr(transformers, f"{family}{end}")
    model = of_class._from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for parameter_name, parameter in (
            *model.named_parameters(),
            *(each for each in model.named_buffers() if each[0].endswith("bias")),
        ):
            if "norm" in parameter_name or parameter_name.endswith(("bias", "sinks")):
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "router" in parameter_name or parameter_name.endswith("gate.weight"):
                parameter.normal_(0, 0.2)
        logits: Array = model(input_ids=torch.tensor([tokens()])).logits[0].numpy()
    model.save_pretrained(folder)
    if name == "minicpm":
        change_config(
            folder, "MiniCPM", scale_emb=3, scale_depth=1.4, dim_model_base=12.8
        )
    elif name == "internlm2":
        change_config(folder, "InternLM2", bias=False)
        rename(folder)
    return logits


def change_config(folder: Path, name: str, **settings: Any) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    kept = {key: values[key] for key in (*SIZES, "rms_norm_eps") if key in values}
    kept |= settings | {"architectures": [f"{name}ForCausalLM"]}
    path.write_text(json.dumps(kept))


def rename(folder: Path) -> None:
    """Give LLaMA's tensors InternLM 2's names, and group those of attention."""
    from safetensors.torch import load_file, save_file

    names = {
        "model.embed_tokens": "model.tok_embeddings",
        "lm_head": "output",
        "input_layernorm": "attention_norm",
        "self_attn.o_proj": "attention.wo",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "feed_forward.w1",
        "mlp.up_proj": "feed_forward.w3",
        "mlp.down_proj": "feed_forward.w2",
    }
    theirs, made = load_file(folder / "model.safetensors"), {}
    for layer in range(3):
        prefix = f"model.layers.{layer}."
        q, k, v = (theirs.pop(f"{prefix}self_attn.{x}_proj.weight") for x in "qkv")
        groups = [x.reshape(2, -1, 16, 64) for x in (q, k, v)]
        made[f"{prefix}attention.wqkv.weight"] = torch.cat(groups, 1).reshape(-1, 64)
    for name, tensor in theirs.items():
        for old, new in names.items():
            name = name.replace(old, new)
        made[name] = tensor
    save_file(made, folder / "model.safetensors")


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, N_VOCAB, N_TOKENS).tolist()
    return ids


def run(path: Path, kind: Any) -> Array:
    return logits_of(path, tokens(), kind)


@pytest.mark.parametrize("name", CASES)
def test_a_folder_and_its_conversion_give_the_logits_of_transformers(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    want = make(name, folder)
    caplog.clear()
    assert error(run(folder, "reference"), want) <= 1e-4
    sees = "text_config" in CASES[name][1]
    left_out = [each for each in caplog.messages if "only texts are read" in each]
    assert len(left_out) == sees
    check_conversions(folder, tokens(), want)


@pytest.mark.parametrize("name", ["deepseek2, v3", "deepseek2, glm"])
def test_a_layer_that_drafts_is_left_out(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from safetensors.torch import load_file, save_file

    want, path = make(name, tmp_path), tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"num_nextn_predict_layers": 1}))
    n_layer, n_embd = config["num_hidden_layers"], config["hidden_size"]
    last, drafting = (f"model.layers.{n}." for n in (n_layer - 1, n_layer))
    tensors = load_file(tmp_path / "model.safetensors")
    for each in [each for each in tensors if each.startswith(last)]:
        tensors[each.replace(last, drafting)] = tensors[each].clone()
    for part in ("embed_tokens", "shared_head.head"):
        tensors[f"{drafting}{part}.weight"] = torch.ones(N_VOCAB, n_embd)
    for part in ("enorm", "hnorm", "shared_head.norm"):
        tensors[f"{drafting}{part}.weight"] = torch.ones(n_embd)
    tensors[f"{drafting}eh_proj.weight"] = torch.ones(n_embd, 2 * n_embd)
    save_file(tensors, tmp_path / "model.safetensors")
    assert error(run(tmp_path, "reference"), want) <= 1e-4
    (passed,) = (each for each in caplog.messages if "tensors passed over" in each)
    assert drafting in passed
    llamacy.convert(tmp_path, tmp_path / "model.gguf")
    assert not any(key.endswith("nextn_predict_layers") for key in keys_of(tmp_path))
    assert error(run(tmp_path / "model.gguf", "plan"), want) <= 2e-4


def keys_of(folder: Path) -> dict[str, Any]:
    with open_gguf(folder / "model.gguf") as file:
        return dict(file.metadata)


def test_merged_experts_with_columns_for_rows_are_turned(tmp_path: Path) -> None:
    """Published files of Qwen 3 VL have them so, those that transformers saves not."""
    from safetensors.torch import load_file, save_file

    want = make("qwen3vlmoe", tmp_path)
    tensors = {
        name: tensor.transpose(1, 2).contiguous() if "mlp.experts" in name else tensor
        for name, tensor in load_file(tmp_path / "model.safetensors").items()
    }
    save_file(tensors, tmp_path / "model.safetensors")
    assert error(run(tmp_path, "reference"), want) <= 1e-4
