"""Keys and defaults of the classes in `mamba2_families`: see `classes`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face.common_keys import (
    LLAMA,
    LLAMA_UNBIASED_MLP,
    MODEL,
    Defaults,
)
from llamacy.formats.hugging_face.dense_classes import GRANITE_SCALES

_IN_MAMBA: Final[Defaults] = {
    "mamba_n_heads": 128,
    "mamba_n_groups": 1,
    "mamba_d_state": 256,
    "mamba_d_head": 64,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 256,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
    "time_step_limit": [0.0, math.inf],
}
_STEPS: Final[Defaults] = {  # of training, but for the limit
    "time_step_min": 0.001,
    "time_step_max": 0.1,
    "time_step_floor": 1e-4,
    "time_step_limit": [0.0, math.inf],
}
_EXPERTS: Final[Defaults] = {
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "moe_intermediate_size": 7688,
    "moe_shared_expert_intermediate_size": 7688,
    "moe_latent_size": None,
    "moe_shared_expert_overlap": True,
    "num_experts_per_tok": 2,
    "routed_scaling_factor": 1.0,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
}
MAMBA2_DEFAULTS: Final[Mapping[str, Defaults]] = {
    "GraniteMoeHybridForCausalLM": {
        **LLAMA_UNBIASED_MLP,
        **GRANITE_SCALES,
        **_IN_MAMBA,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 1024,
        "position_embedding_type": None,
        "layer_types": None,
    },
    "FalconH1ForCausalLM": {
        **LLAMA,
        **_IN_MAMBA,
        "vocab_size": 128000,
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "mamba_d_head": 8,
        "mamba_d_ssm": 1024,
        "mamba_norm_before_gate": True,
        "mamba_rms_norm": False,
        "projectors_bias": False,
        "num_logits_to_keep": 1,
        **dict.fromkeys(
            ("embedding_multiplier", "lm_head_multiplier", "key_multiplier"), 1.0
        ),
        **dict.fromkeys(("attention_in_multiplier", "attention_out_multiplier"), 1.0),
        **dict.fromkeys(("ssm_in_multiplier", "ssm_out_multiplier"), 1.0),
        "mlp_multipliers": [1.0, 1.0],
        "ssm_multipliers": [1.0, 1.0, 1.0, 1.0, 1.0],
    },
    "NemotronHForCausalLM": {
        **MODEL,
        **_STEPS,
        "vocab_size": 131072,
        "hidden_size": 4096,
        "intermediate_size": 21504,
        "num_hidden_layers": None,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "layer_norm_epsilon": 1e-5,
        "layers_block_type": None,
        "hybrid_override_pattern": None,
        "hidden_act": None,
        "mlp_hidden_act": "relu2",
        "mamba_hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "use_bias": False,
        "use_conv_bias": True,
        "mamba_proj_bias": False,
        "mamba_num_heads": 128,
        "mamba_head_dim": 64,
        "ssm_state_size": 128,
        "n_groups": 8,
        "conv_kernel": 4,
        "expand": 2,
        "sliding_window": None,
        # which change nothing outside of training and drafting
        "chunk_size": 128,
        "use_mamba_kernels": True,
        "mamba_ssm_cache_dtype": "float32",
        "num_logits_to_keep": 1,
        "rescale_prenorm_residual": True,
        "residual_in_fp32": False,
        "mtp_layers_block_type": ["full_attention", "moe"],
        "mtp_hybrid_override_pattern": None,
        "num_nextn_predict_layers": 0,
        **_EXPERTS,
    },
    "Mamba2ForCausalLM": {
        **MODEL,
        **_STEPS,
        "vocab_size": 32768,
        "hidden_size": 4096,
        "num_hidden_layers": 64,
        "layer_norm_epsilon": 1e-5,
        "num_heads": 128,
        "head_dim": 64,
        "state_size": 128,
        "n_groups": 8,
        "conv_kernel": 4,
        "expand": 2,
        "use_bias": False,
        "use_conv_bias": True,
        # which change nothing outside of training
        "time_step_rank": 256,
        "chunk_size": 256,
        "rescale_prenorm_residual": False,
        "residual_in_fp32": True,
    },
}
