"""Tiny random models of each family, as GGUF and folder, give transformers' logits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.kernels.levels import Level
from tests.support import transformers_gguf
from tests.support.forward_passes import error, logits_of

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

Array = NDArray[np.float32]
N_CTX, N_VOCAB, N_TOKENS, WINDOW = 128, 96, 70, 20

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LINEAR = {"rope_type": "linear", "factor": 4.0}
YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "truncate": True,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.3, 1.6, 2.0, 2.5, 3.1, 3.8],
    "long_factor": [1.0, 2.0, 4.0, 7.0, 11.0, 16.0, 22.0, 29.0],
}
GEMMA = {
    "num_hidden_layers": 7,
    "head_dim": 24,
    "query_pre_attn_scalar": 24,
    "sliding_window": WINDOW,
    "tie_word_embeddings": True,
}
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 4.0}
GEMMA3_ROPE = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    "full_attention": {**LINEAR, "rope_theta": 1e6},
}
GEMMA4 = {
    "num_hidden_layers": 6,
    "head_dim": 16,
    "global_head_dim": 32,
    "sliding_window": WINDOW,
    "layer_types": 2 * (["sliding_attention"] * 2 + ["full_attention"]),
    "final_logit_softcapping": 4.0,
    "hidden_size_per_layer_input": 0,
    "vocab_size_per_layer_input": N_VOCAB,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
}
KEYS_AS_VALUES = {"attention_k_eq_v": True, "num_global_key_value_heads": 1}
SMALL_EXPERTS = {
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 32,
}
GPT_OSS = {
    "num_local_experts": 5,
    "num_experts_per_tok": 2,
    "head_dim": 16,
    "sliding_window": WINDOW,
    "rope_parameters": {**YARN, "rope_theta": 150000.0, "truncate": False},
}
ROUTER = {
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "routed_scaling_factor": 1.5,
}
GROUPS = {"n_group": 3, "topk_group": 2}
ALPHA = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 1.0, "alpha": 50.0}
ERNIE = {
    "moe_num_experts": 6,
    "moe_k": 2,
    "moe_intermediate_size": 32,
    "moe_num_shared_experts": 2,
}
COHERE2MOE = {
    "num_hidden_layers": 5,
    "head_dim": 16,
    "num_experts": 6,
    "num_shared_experts": 2,
    "expert_selection_fn": "sigmoid",
    "sliding_window": WINDOW,
    "prefix_dense_intermediate_size": 96,
    "mlp_layer_types": ["dense"] + ["sparse"] * 4,
    "first_k_dense_replace": 1,
    "tie_word_embeddings": True,
}
GPT2 = {
    "num_key_value_heads": None,
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": N_CTX,
    "tie_word_embeddings": True,
}
FALCON = {"num_key_value_heads": None, "tie_word_embeddings": True}
NEW_FALCON = {"new_decoder_architecture": True, "num_kv_heads": 2}
GPTNEOX = {
    "num_key_value_heads": None,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
    },
}
GROWING = YARN | {
    "rope_theta": 10000.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.5,
}
# the cases' names, and their settings in addition to SIZES
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, multi-head": ("Llama", {"num_key_value_heads": 4}),
    "llama, grouped-query": ("Llama", {}),
    "llama, multi-query": ("Llama", {"num_key_value_heads": 1}),
    "llama, tied": ("Llama", {"tie_word_embeddings": True}),
    "llama, biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, head_dim": ("Llama", {"head_dim": 24}),
    "llama, theta": ("Llama", {"rope_theta": 500000.0}),
    "llama, llama3": ("Llama", {"rope_scaling": LLAMA3}),
    "llama, linear": ("Llama", {"rope_scaling": LINEAR}),
    "llama, yarn": ("Llama", {"rope_scaling": YARN}),
    "llama, window": ("Mistral", {"sliding_window": WINDOW, "head_dim": 16}),
    "qwen2": ("Qwen2", {}),
    "qwen2, tied": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2, yarn": ("Qwen2", {"rope_scaling": YARN}),
    "qwen3": ("Qwen3", {"head_dim": 24}),
    "qwen3, tied": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "gemma2": ("Gemma2", GEMMA | CAPS),
    "gemma2, 27b": (
        "Gemma2",
        GEMMA | CAPS | {"num_hidden_layers": 46, "query_pre_attn_scalar": 16},
    ),
    "gemma3": ("Gemma3Text", GEMMA),
    "gemma3, capped logits": ("Gemma3Text", GEMMA | {"final_logit_softcapping": 4.0}),
    "gemma3, linear": ("Gemma3Text", GEMMA | {"rope_parameters": GEMMA3_ROPE}),
    "gemma3, 27b": (
        "Gemma3Text",
        GEMMA | {"num_hidden_layers": 62, "query_pre_attn_scalar": 16},
    ),
    "gemma4": ("Gemma4Text", GEMMA4),
    "gemma4, shared": (
        "Gemma4Text",
        GEMMA4
        | {
            "num_kv_shared_layers": 3,
            "hidden_size_per_layer_input": 32,
            "use_double_wide_mlp": True,
        },
    ),
    "gemma4, keys as values": ("Gemma4Text", GEMMA4 | KEYS_AS_VALUES),
    "gemma4, experts": (
        "Gemma4Text",
        GEMMA4
        | KEYS_AS_VALUES
        | {
            "enable_moe_block": True,
            "num_experts": 5,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
        },
    ),
    "phi3": ("Phi3", {}),
    "phi3, window": ("Phi3", {"sliding_window": WINDOW}),
    "phi3, partial rotary": ("Phi3", {"partial_rotary_factor": 0.5}),
    "phi3, long context": (
        "Phi3",
        {"rope_parameters": LONGROPE, "original_max_position_embeddings": 32},
    ),
    "phi3, short context": (
        "Phi3",
        {"rope_parameters": LONGROPE, "original_max_position_embeddings": 96},
    ),
    "smollm3": ("SmolLM3", {"num_hidden_layers": 5}),
    "granite": (
        "Granite",
        {
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.4,
            "attention_multiplier": 0.1,
            "logits_scaling": 5.0,
        },
    ),
    "mixtral": ("Mixtral", {"num_local_experts": 5}),
    "mixtral, all used": ("Mixtral", {"num_local_experts": 2}),
    "qwen2moe": ("Qwen2Moe", SMALL_EXPERTS | {"shared_expert_intermediate_size": 96}),
    "qwen2moe, normalised": (
        "Qwen2Moe",
        SMALL_EXPERTS | {"norm_topk_prob": True, "shared_expert_intermediate_size": 32},
    ),
    "qwen2moe, no biases": (
        "Qwen2Moe",
        SMALL_EXPERTS | {"qkv_bias": False, "shared_expert_intermediate_size": 32},
    ),
    "qwen3moe": ("Qwen3Moe", SMALL_EXPERTS | {"head_dim": 24, "norm_topk_prob": True}),
    "qwen3moe, not normalised": ("Qwen3Moe", SMALL_EXPERTS | {"norm_topk_prob": False}),
    "gpt-oss": ("GptOss", GPT_OSS),
    "gpt-oss, by layers": (
        "GptOss",
        GPT_OSS | {"layer_types": ["full_attention"] + ["sliding_attention"] * 2},
    ),
    "glm4moe": ("Glm4Moe", ROUTER | {"attention_bias": True, "head_dim": 16}),
    "glm4moe, large": (
        "Glm4Moe",
        ROUTER
        | {"use_qk_norm": True, "n_shared_experts": 2, "first_k_dense_replace": 2},
    ),
    "glm4moe, groups": (
        "Glm4Moe",
        ROUTER | GROUPS | {"norm_topk_prob": False},
    ),
    "dots1": ("Dots1", ROUTER | {"norm_topk_prob": True}),
    "dots1, groups": ("Dots1", ROUTER | GROUPS | {"first_k_dense_replace": 0}),
    "ernie4_5-moe": ("Ernie4_5_Moe", ERNIE),
    "ernie4_5-moe, none shared": (
        "Ernie4_5_Moe",
        ERNIE | {"moe_num_shared_experts": 0, "tie_word_embeddings": True},
    ),
    "hunyuan-moe": ("HunYuanMoEV1", {"num_experts": 6, "moe_topk": 2, "head_dim": 16}),
    "hunyuan-moe, alpha": (
        "HunYuanMoEV1",
        {"num_experts": 6, "moe_topk": 6, "head_dim": 16, "rope_parameters": ALPHA},
    ),
    "cohere2moe": ("Cohere2Moe", COHERE2MOE | {"rms_norm_eps": None}),
    "cohere2moe, softmax": (
        "Cohere2Moe",
        COHERE2MOE | {"expert_selection_fn": "softmax", "num_shared_experts": 0},
    ),
    "gpt2": ("GPT2", GPT2),
    "gpt2, n_inner": ("GPT2", GPT2 | {"n_inner": 96}),
    "starcoder2": ("Starcoder2", {}),
    "starcoder2, window": ("Starcoder2", {"sliding_window": WINDOW}),
    "starcoder2, no biases": ("Starcoder2", {"use_bias": False}),
    "phi2": ("Phi", {"partial_rotary_factor": 0.5}),
    "gemma": ("Gemma", {"head_dim": 24, "tie_word_embeddings": True}),
    "command-r": ("Cohere", {"tie_word_embeddings": True}),
    "command-r, norms": ("Cohere", {"use_qk_norm": True, "tie_word_embeddings": True}),
    "cohere2": (
        "Cohere2",
        {
            "num_hidden_layers": 5,
            "head_dim": 16,
            "sliding_window": WINDOW,
            "tie_word_embeddings": True,
        },
    ),
    "stablelm": ("StableLm", {"use_qkv_bias": True, "partial_rotary_factor": 0.5}),
    "stablelm, 12b": (
        "StableLm",
        {"qk_layernorm": True, "use_parallel_residual": True},
    ),
    "falcon, 7b": ("Falcon", FALCON),
    "falcon, 40b": ("Falcon", FALCON | NEW_FALCON),
    "falcon, 11b": ("Falcon", FALCON | NEW_FALCON | {"num_ln_in_parallel_attn": 1}),
    "falcon, multi-head": ("Falcon", FALCON | {"multi_query": False}),
    "gptneox": ("GPTNeoX", GPTNEOX),
    "gptneox, in turn": ("GPTNeoX", GPTNEOX | {"use_parallel_residual": False}),
    "arcee": ("Arcee", {}),
    "apertus": ("Apertus", {"rope_parameters": LLAMA3 | {"rope_theta": 10000.0}}),
    "mistral3": ("Ministral3", {"head_dim": 16, "rope_parameters": GROWING}),
    "exaone4": (
        "Exaone4",
        {
            "sliding_window": None,
            "layer_types": ["full_attention"] * 3,
            "rope_parameters": LLAMA3 | {"rope_theta": 10000.0},
        },
    ),
    "exaone4, windows": ("Exaone4", {"num_hidden_layers": 5, "sliding_window": WINDOW}),
    "olmoe": ("Olmoe", {"num_experts": 8, "num_experts_per_tok": 3}),
    "glm4": ("Glm4", {"head_dim": 16}),
    "seed_oss": ("SeedOss", {"head_dim": 24}),
    "ernie4_5": ("Ernie4_5", {"head_dim": 24, "tie_word_embeddings": True}),
    "hunyuan-dense": ("HunYuanDenseV1", {"head_dim": 24}),
    "olmo2": ("Olmo2", {}),
    "olmo3": ("Olmo3", {"num_hidden_layers": 5, "sliding_window": WINDOW}),
}
SMALL = ("bias", "alpha_p", "alpha_n")
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": N_CTX,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    # wide enough for attention to choose, and logits to differ
    "initializer_range": 0.2,
    "pad_token_id": None,
    # other attention implementations leave scores uncapped
    "attn_implementation": "eager",
}


@pytest.fixture(scope="session")
def make_oracle(tmp_path_factory: Any) -> Callable[[str], tuple[Path, Array]]:
    """Make a case's model once: tests come in the order of levels, not of cases."""
    return cache(lambda name: saved_model(name, tmp_path_factory.mktemp("oracle")))


@pytest.fixture(params=CASES, ids=str)
def oracle(
    request: pytest.FixtureRequest, make_oracle: Callable[[str], tuple[Path, Array]]
) -> tuple[Path, Array]:
    """A GGUF file, and the logits that transformers computes for `tokens()`.

    The folder of the same name beside it contains the model as transformers saves it.
    """
    return make_oracle(request.param)


def saved_model(name: str, folder: Path) -> tuple[Path, Array]:
    torch.manual_seed(0)
    family, changes = CASES[name]
    config = getattr(transformers, f"{family}Config")(**SIZES | changes)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith(SMALL) or "norm" in key:
                parameter.add_(0.1 * torch.randn_like(parameter))
            if key.endswith("q_norm.weight") and family == "Gemma4Text":
                parameter.mul_(0.3)  # scores are not scaled
            if key.endswith(("router.scale", "per_expert_scale")):
                parameter.add_(0.2 * torch.randn_like(parameter))
        for key, buffer in model.named_buffers():
            if key.endswith("correction_bias"):
                buffer.add_(0.1 * torch.randn_like(buffer))
            if key.endswith("layer_scalar"):
                buffer.add_(0.2 * torch.randn_like(buffer))
        logits = model(torch.tensor([tokens()])).logits[0].numpy()
    path = folder / f"{name}.gguf"
    transformers_gguf.write(path, config, model)
    # the embedding of a tied model and its layers are in separate files
    shard = "100KB" if "tied" in name else "1GB"
    model.save_pretrained(path.with_suffix(""), max_shard_size=shard)
    return path, logits


def tokens() -> list[int]:
    ids: list[int] = np.random.default_rng(1).integers(0, N_VOCAB, N_TOKENS).tolist()
    return ids


def test_the_reference_gives_the_logits_of_transformers(
    oracle: tuple[Path, Array],
) -> None:
    path, want = oracle
    assert error(run(path, "reference"), want) <= 1e-4


def test_the_plan_gives_the_logits_of_transformers(
    oracle: tuple[Path, Array], selected_level: Level
) -> None:
    path, want = oracle
    assert error(run(path, "plan"), want) <= 2e-4


def test_a_folder_gives_the_logits_of_transformers(oracle: tuple[Path, Array]) -> None:
    path, want = oracle
    assert error(run(path.with_suffix(""), "reference"), want) <= 1e-4


def test_a_converted_folder_gives_the_same_logits(
    oracle: tuple[Path, Array], tmp_path: Path
) -> None:
    path, want = oracle
    folder, converted = path.with_suffix(""), tmp_path / path.name
    got = run(folder, "plan")
    assert error(got, want) <= 2e-4
    llamacy.convert(folder, converted)
    np.testing.assert_array_equal(run(converted, "plan"), got)


def run(path: Path, kind: Any) -> Array:
    return logits_of(path, tokens(), kind)
