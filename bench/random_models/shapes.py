"""The shapes of real models: at least one of each family.

Sizes are those of the model named; those of `cohere2moe` and `granite_swa`, of which
no small model is published, are those of transformers' defaults, made smaller.
"""

from __future__ import annotations

from typing import Final

from random_models.keys import (
    beside_recurrent,
    delta_rule,
    double_width,
    experts,
    gemma4_windows,
    kimi_delta,
    latent,
    n_deepstack,
    of_kind,
    scan,
    selective_scan,
    shared_layers,
    sizes,
    two_head_counts,
    windows,
)
from random_models.shape import Shape

_OUTPUT: Final = ("output.weight",)  # a matrix of its own, not the embedding
_BIASES: Final = ("attn_q.bias", "attn_k.bias", "attn_v.bias")
_QKV: Final = ("attn_qkv",)
_SELECTION: Final = ("exp_probs_b.bias",)
_NONE_SHARED: Final = {
    ".embedding_length_per_layer_input": 0,
    ".attention.shared_kv_layers": 0,
}
_E2B: Final = shared_layers(5, 20 / 35)
_GEMMA4_OPTIONAL: Final = ("attn_v.weight", "layer_output_scale.weight")
_SHARED_EXPERT: Final = {".leading_dense_block_count": 1}
_SCALES: Final = {
    ".embedding_scale": 12.0,
    ".residual_scale": 0.22,
    ".logit_scale": 8.0,
    ".attention.scale": 0.015625,
}
_NEMOTRON_H: Final = "M-M-M-M*-" + "M-M-M-M-M*-" * 3 + "M-M-M-M-M-"
_NEMOTRON_3: Final = "MEMEM*E" + "MEMEM*E" * 4 + "MEMEMEM*E" + "MEMEMEME"
_LFM2: Final = {".shortconv.l_cache": 3, ".rope.freq_base": 1e6}

SHAPES: Final = {
    "llama-1b": Shape("llama", 16, 128256, sizes(2048, 32, 8, 64, 8192)),
    "llama-8b": Shape("llama", 32, 128256, sizes(4096, 32, 8, 128, 14336), _OUTPUT),
    "apertus-8b": Shape(
        *("apertus", 32, 131072),
        sizes(4096, 32, 8, 128, 21504)
        | {
            **{"xielu.alpha_p": lambda n: [0.8] * n},
            **{"xielu.alpha_n": lambda n: [0.8] * n},
            **{"xielu.beta": lambda n: [0.5] * n},
            **{"xielu.eps": lambda n: [-1e-6] * n},
        },
        _OUTPUT,
    ),
    "arcee-4.5b": Shape("arcee", 36, 128004, sizes(2560, 20, 4, 128, 18432), _OUTPUT),
    "bailingmoe2-16b-a1.4b": Shape(
        *("bailingmoe2", 20, 157184),
        sizes(2048, 16, 4, 128, 5120, rope__dimension_count=64)
        | experts(
            *(256, 8, 512),
            shared_count=1,
            shared_feed_forward_length=512,
            group_count=8,
            group_used_count=4,
            gating_func=2,
            weights_scale=2.5,
            weights_norm=True,
        )
        | {".leading_dense_block_count": 1},
        (*_OUTPUT, *_SELECTION),
        joined=_QKV,
    ),
    "bailingmoe3-8b-a1.3b": Shape(  # Ling 3.0 Tiny
        *("bailingmoe3", 24, 157184),
        latent(1536, 16, 128, 128, 4608, attention__q_lora_rank=256)
        | kimi_delta(3, 7, 11, 15, 19, 23)
        | experts(
            *(128, 8, 512),
            shared_count=1,
            shared_feed_forward_length=512,
            group_count=8,
            group_used_count=4,
            gating_func=2,
            weights_scale=2.5,
            weights_norm=True,
        )
        | {
            ".kda.safe_gate": True,
            ".kda.gate_lower_bound": -5.0,
            ".leading_dense_block_count": 1,
            ".rope.freq_base": 6e6,
        },
        (*_OUTPUT, *_SELECTION),
        n_tiny_layers=4,
    ),
    "cohere2-7b": Shape(
        *("cohere2", 32, 256000),
        sizes(
            4096, 32, 8, 128, 14336, attention__sliding_window=4096, logit_scale=0.25
        ),
        n_tiny_layers=4,
    ),
    "cohere2moe": Shape(
        *("cohere2moe", 40, 256000),
        sizes(4096, 32, 8, 128, 8192, logit_scale=0.25)
        | windows(4096, 4)
        | experts(64, 8, 1024, gating_func=2)
        | {
            ".leading_dense_block_count": 1,
            ".attention.layer_norm_rms_epsilon": 0.0,
        },
        n_tiny_layers=4,
    ),
    "command-r-35b": Shape(
        *("command-r", 40, 256000),
        sizes(8192, 64, 64, 128, 22528, logit_scale=0.0625),
    ),
    "deepseek2-16b-a2.4b": Shape(  # DeepSeek V2 Lite
        *("deepseek2", 27, 102400),
        latent(2048, 16, 128, 128, 10944)
        | experts(64, 6, 1408, shared_count=2, gating_func=1)
        | {".leading_dense_block_count": 1},
        _OUTPUT,
    ),
    "deepseek2-30b-a3b": Shape(  # GLM 4.7 Flash
        *("deepseek2", 47, 154880),
        latent(2048, 20, 192, 256, 10240, attention__q_lora_rank=768)
        | experts(
            *(64, 4, 1536),
            shared_count=1,
            gating_func=2,
            weights_scale=1.8,
            weights_norm=True,
        )
        | {".leading_dense_block_count": 1},
        (*_OUTPUT, *_SELECTION),
    ),
    "dots1-142b-a14b": Shape(
        *("dots1", 62, 152064),
        sizes(4096, 32, 32, 128, 10944)
        | experts(
            *(128, 6, 1408),
            shared_count=2,
            gating_func=2,
            weights_scale=2.5,
            weights_norm=True,
        )
        | {".leading_dense_block_count": 1},
        (*_OUTPUT, *_SELECTION),
    ),
    "ernie4_5-0.3b": Shape("ernie4_5", 18, 103424, sizes(1024, 16, 2, 128, 3072)),
    "ernie4_5-21b-a3b": Shape(
        *("ernie4_5-moe", 28, 103424),
        sizes(2560, 20, 4, 128, 12288)
        | experts(
            *(64, 6, 1536),
            shared_count=2,
            shared_feed_forward_length=3072,
        )
        | {".leading_dense_block_count": 1, ".interleave_moe_layer_step": 1},
        _SELECTION,
    ),
    "exaone4-1.2b": Shape("exaone4", 30, 102400, sizes(2048, 32, 8, 64, 4096)),
    "exaone4-32b": Shape(
        *("exaone4", 64, 102400),
        sizes(5120, 40, 8, 128, 27392) | windows(4096, 4),
        _OUTPUT,
        n_tiny_layers=4,
    ),
    "falcon-7b": Shape("falcon", 32, 65024, sizes(4544, 71, 1, 64, 18176), joined=_QKV),
    "gemma-2b": Shape("gemma", 18, 256000, sizes(2048, 8, 1, 256, 16384)),
    "gemma2-2b": Shape(
        *("gemma2", 26, 256000),
        sizes(
            *(2304, 8, 4, 256, 9216),
            attention__sliding_window=4096,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0,
        ),
    ),
    "gemma3-1b": Shape(
        *("gemma3", 26, 262144),
        sizes(
            1152, 4, 1, 256, 6912, attention__sliding_window=512, rope__freq_base=1e6
        ),
        n_tiny_layers=6,
    ),
    "gemma4-e2b": Shape(
        *("gemma4", 35, 262144),
        sizes(1536, 8, 1, 512, double_width(6144, _E2B))
        | gemma4_windows(512, 5)
        | _E2B,
        _GEMMA4_OPTIONAL,
        n_tiny_layers=10,
    ),
    "gemma4-e4b": Shape(
        *("gemma4", 42, 262144),
        sizes(2560, 8, 2, 512, 10240)
        | gemma4_windows(512, 6)
        | shared_layers(6, 18 / 42),
        _GEMMA4_OPTIONAL,
        n_tiny_layers=12,
    ),
    "gemma4-26b-a4b": Shape(
        *("gemma4", 30, 262144),
        sizes(2816, 16, two_head_counts(8, 2, 6), 512, 2112)
        | gemma4_windows(1024, 6)
        | _NONE_SHARED
        | experts(128, 8, 704),
        ("layer_output_scale.weight", "ffn_down_exps.scale"),
        ("attn_v.weight",),
        n_tiny_layers=6,
    ),
    "gemma4-31b": Shape(
        *("gemma4", 60, 262144),
        sizes(5376, 32, two_head_counts(16, 4, 6), 512, 21504)
        | gemma4_windows(1024, 6)
        | _NONE_SHARED,
        ("layer_output_scale.weight",),
        ("attn_v.weight",),
        n_tiny_layers=6,
    ),
    "glm4-9b": Shape(
        *("glm4", 40, 151552),
        sizes(4096, 32, 2, 128, 13696, rope__dimension_count=64),
        _OUTPUT,
        joined=("ffn_up",),
    ),
    "glm4moe-106b-a12b": Shape(
        *("glm4moe", 46, 151552),
        sizes(4096, 96, 8, 128, 10944, rope__dimension_count=64)
        | experts(
            *(128, 8, 1408),
            shared_count=1,
            gating_func=2,
            weights_scale=1.0,
            weights_norm=True,
        )
        | {".leading_dense_block_count": 1},
        (*_OUTPUT, *_SELECTION),
    ),
    "gpt-oss-20b": Shape(
        *("gpt-oss", 24, 201088),
        sizes(2880, 64, 8, 64, 2880, attention__sliding_window=128)
        | experts(32, 4, 2880),
        (*_OUTPUT, *_BIASES, "attn_output.bias"),
    ),
    "gpt2-large": Shape(
        *("gpt2", 36, 50257),
        sizes(1280, 20, 20, 64, 5120, context_length=1024),
        joined=_QKV,
    ),
    "gptneox-1.4b": Shape(
        *("gptneox", 24, 50304),
        sizes(
            *(2048, 16, 16, 128, 8192),
            rope__dimension_count=32,
            use_parallel_residual=True,
        ),
        _OUTPUT,
        joined=_QKV,
    ),
    "granite-2b": Shape("granite", 40, 49152, sizes(2048, 32, 8, 64, 8192) | _SCALES),
    "granite_swa": Shape(
        *("granite_swa", 32, 49152),
        sizes(2048, 32, 8, 64, 8192) | _SCALES | windows(128, 4),
        n_tiny_layers=4,
    ),
    "granitemoe-3b-a0.8b": Shape(
        *("granitemoe", 32, 49152),
        sizes(1536, 24, 8, 64, 512) | _SCALES | experts(40, 8, 512),
    ),
    "hunyuan-1.8b": Shape("hunyuan-dense", 32, 120832, sizes(2048, 16, 4, 128, 6144)),
    "hunyuan-80b-a13b": Shape(
        *("hunyuan-moe", 32, 128256),
        sizes(4096, 32, 8, 128, 3072)
        | experts(64, 8, 3072, shared_feed_forward_length=3072),
    ),
    "internlm2-1.8b": Shape(
        "internlm2", 24, 92544, sizes(2048, 16, 8, 128, 8192), _OUTPUT
    ),
    "jamba-3b": Shape(
        *("jamba", 28, 65536),
        sizes(2560, 20, beside_recurrent(1, 7, 21), 128, 8192)
        | selective_scan(5120, 160),
        ("ssm_conv1d.bias",),
        n_tiny_layers=8,
    ),
    "jamba-52b-a12b": Shape(
        *("jamba", 32, 65536),
        sizes(4096, 32, beside_recurrent(8, 4, 12, 20, 28), 128, 14336)
        | selective_scan(8192, 256)
        | {
            ".expert_count": 16,
            ".expert_used_count": lambda n: [2 * (layer % 2) for layer in range(n)],
        },
        (*_OUTPUT, "ssm_conv1d.bias"),
        n_tiny_layers=6,
    ),
    "kimi-linear-48b-a3b": Shape(
        *("kimi-linear", 27, 163840),
        latent(2304, 32, 128, 128, 9216)
        | kimi_delta(3, 7, 11, 15, 19, 23, 26)
        | experts(256, 8, 1024, shared_count=1, gating_func=2, weights_scale=2.446)
        | {".leading_dense_block_count": 1},
        (*_OUTPUT, *_SELECTION),
        n_tiny_layers=4,
    ),
    "laguna-33b-a3b": Shape(
        *("laguna", 40, 100352),
        sizes(2048, 48, 8, 128, 8192)
        | experts(
            *(256, 8, 512),
            shared_feed_forward_length=512,
            gating_func=2,
            weights_scale=2.5,
            weights_norm=True,
        )
        | {
            ".attention.sliding_window": 512,
            ".attention.sliding_window_pattern": lambda n: [
                bool(layer % 4) for layer in range(n)
            ],
            ".leading_dense_block_count": 1,
        },
        (*_OUTPUT, *_SELECTION),
        n_tiny_layers=5,
    ),
    "qwen35-0.8b": Shape(
        *("qwen35", 24, 248320),
        sizes(1024, 8, 2, 256, 3584) | delta_rule(16),
        n_tiny_layers=4,
    ),
    "qwen35-0.8b-mtp": Shape(
        *("qwen35", 24, 248320),
        sizes(1024, 8, 2, 256, 3584) | delta_rule(16),
        ("nextn.shared_head_norm.weight",),
        n_tiny_layers=4,
        has_mtp=True,
    ),
    "qwen35-4b": Shape(
        *("qwen35", 32, 248320),
        sizes(2560, 16, 4, 256, 9216) | delta_rule(32),
        n_tiny_layers=4,
    ),
    "qwen35moe-35b-a3b": Shape(
        *("qwen35moe", 40, 248320),
        sizes(2048, 16, 2, 256, 5632)
        | experts(256, 8, 512, shared_feed_forward_length=512)
        | delta_rule(32),
        _OUTPUT,
        n_tiny_layers=4,
    ),
    "qwen3next-80b-a3b": Shape(
        *("qwen3next", 48, 151936),
        sizes(2048, 16, 2, 256, 5120)
        | experts(512, 10, 512, shared_feed_forward_length=512)
        | delta_rule(32),
        _OUTPUT,
        n_tiny_layers=4,
    ),
    "lfm2-1.2b": Shape(
        *("lfm2", 16, 65536),
        sizes(2048, 32, beside_recurrent(8, 2, 5, 8, 10, 12, 14), 64, 8192) | _LFM2,
        n_tiny_layers=4,
    ),
    "lfm2moe-8b-a1b": Shape(
        *("lfm2moe", 24, 65536),
        sizes(2048, 32, beside_recurrent(8, 2, 6, 10, 14, 18, 21), 64, 7168)
        | experts(32, 4, 1792, gating_func=2)
        | {".leading_dense_block_count": 2, **_LFM2},
        _SELECTION,
        n_tiny_layers=4,
    ),
    "lfm3-1.7b": Shape(
        *("lfm3", 24, 128000),
        sizes(2048, 16, beside_recurrent(4, *range(2, 24, 2)), 128, 7680)
        | {
            **_LFM2,
            ".shortconv.l_cache": 7,
            ".attention.sliding_window": 256,
            ".attention.sliding_window_pattern": lambda n: [
                layer % 4 == 0 and layer > 0 for layer in range(n)
            ],
        },
        (
            *("attn_gate.weight", "rope_freqs.weight"),
            *("post_attention_norm.weight", "post_ffw_norm.weight"),
        ),
        n_tiny_layers=5,
    ),
    "granitehybrid-3b": Shape(
        *("granitehybrid", 40, 100352),
        sizes(2048, 32, beside_recurrent(8, 5, 15, 25, 35), 64, 8192)
        | {".rope.scaling.finetuned": False, **_SCALES, **scan(64)},
        ("ssm_conv1d.bias",),
        n_tiny_layers=6,
    ),
    "granitehybrid-7b-a1b": Shape(
        *("granitehybrid", 40, 100352),
        sizes(1536, 12, beside_recurrent(4, 5, 15, 25, 35), 128, 512)
        | experts(64, 6, 512, shared_feed_forward_length=1024)
        | {".rope.scaling.finetuned": False, **_SCALES, **scan(48)},
        ("ssm_conv1d.bias",),
        n_tiny_layers=6,
    ),
    "falcon-h1-0.5b": Shape(
        *("falcon-h1", 36, 32784),
        sizes(1024, 8, 2, 64, 2048) | {".rope.freq_base": 1e11, **scan(24)},
        (*_OUTPUT, "ssm_conv1d.bias"),
    ),
    "nemotron-h-8b": Shape(
        *("nemotron_h", 52, 131072),
        sizes(
            *(4096, 32, of_kind(_NEMOTRON_H, "*", 8), 128),
            of_kind(_NEMOTRON_H, "-", 21504),
        )
        | scan(128, n_group=8),
        (*_OUTPUT, "ssm_conv1d.bias"),
        n_tiny_layers=8,
    ),
    "nemotron-3-nano-30b-a3b": Shape(
        *("nemotron_h_moe", 52, 131072),
        sizes(
            *(2688, 32, of_kind(_NEMOTRON_3, "*", 2), 128),
            of_kind(_NEMOTRON_3, "E", 1856),
        )
        | experts(128, 6, 1856, shared_feed_forward_length=3712)
        | {".expert_weights_norm": True, ".expert_weights_scale": 2.5}
        | scan(64, n_group=8),
        (*_OUTPUT, *_SELECTION, "ssm_conv1d.bias"),
        n_tiny_layers=7,
    ),
    "mamba-2.8b": Shape(
        *("mamba", 64, 50280),
        {
            ".context_length": 1 << 20,
            ".embedding_length": 2560,
            **selective_scan(5120, 160),
        },
        ("ssm_conv1d.bias",),
    ),
    "mamba2-2.7b": Shape(
        *("mamba2", 64, 50288),
        {".context_length": 1 << 20, ".embedding_length": 2560, **scan(80)},
        ("ssm_conv1d.bias",),
    ),
    "mellum-12b-a2.5b": Shape(
        *("mellum", 28, 98304),
        sizes(2304, 32, 4, 128, 7168) | windows(1024, 4) | experts(64, 8, 896),
        _OUTPUT,
        n_tiny_layers=4,
    ),
    "minicpm-2b": Shape(
        *("minicpm", 40, 122753),
        sizes(
            *(2304, 36, 36, 64, 5760),
            embedding_scale=12.0,
            residual_scale=1.4 / 40**0.5,
            logit_scale=9.0,
        ),
    ),
    "mistral3-3b": Shape(
        *("mistral3", 26, 131072),
        sizes(
            *(3072, 32, 8, 128, 9216),
            attention__temperature_scale=0.1,
            rope__freq_base=1e6,
            rope__scaling__type="yarn",
            rope__scaling__factor=16.0,
            rope__scaling__original_context_length=16384,
        ),
    ),
    "mistral4-119b-a6b": Shape(  # Mistral Small 4
        *("mistral4", 36, 131072),
        latent(4096, 32, 64, 128, 12288, n_latent=256, attention__q_lora_rank=1024)
        | experts(128, 4, 2048, shared_count=1, weights_norm=True)
        | {
            ".leading_dense_block_count": 0,
            ".rope.scaling.type": "yarn",
            ".rope.scaling.factor": 128.0,
            ".rope.scaling.original_context_length": 8192,
            ".rope.scaling.yarn_log_multiplier": 0.1,
        },
        _OUTPUT,
    ),
    "olmo2-1b": Shape("olmo2", 16, 100352, sizes(2048, 16, 16, 128, 8192), _OUTPUT),
    "olmoe-7b-a1b": Shape(
        "olmoe",
        16,
        50304,
        sizes(2048, 16, 16, 128, 1024) | experts(64, 8, 1024),
        _OUTPUT,
    ),
    "phi2-2.7b": Shape(
        *("phi2", 32, 51200),
        sizes(2560, 32, 32, 80, 10240, rope__dimension_count=32),
        _OUTPUT,
    ),
    "phi3-3.8b": Shape("phi3", 32, 32064, sizes(3072, 32, 32, 96, 8192), _OUTPUT),
    "phimoe-42b-a6.6b": Shape(
        *("phimoe", 32, 32064),
        sizes(4096, 32, 8, 128, 6400) | experts(16, 2, 6400),
        (*_OUTPUT, ".bias"),
    ),
    "qwen2-1.5b": Shape("qwen2", 28, 151936, sizes(1536, 12, 2, 128, 8960), _BIASES),
    "qwen2moe-14b-a2.7b": Shape(
        *("qwen2moe", 24, 151936),
        sizes(2048, 16, 16, 128, 5632)
        | experts(60, 4, 1408, shared_feed_forward_length=5632),
        (*_OUTPUT, *_BIASES),
    ),
    "qwen2vl-2b": Shape(
        *("qwen2vl", 28, 151936),
        sizes(1536, 12, 2, 128, 8960, rope__dimension_sections=[16, 24, 24, 0]),
        _BIASES,
    ),
    "qwen3-1.7b": Shape("qwen3", 28, 151936, sizes(2048, 16, 8, 128, 6144)),
    "qwen3moe-30b-a3b": Shape(
        *("qwen3moe", 48, 151936),
        sizes(2048, 32, 4, 128, 6144) | experts(128, 8, 768),
        _OUTPUT,
    ),
    "qwen3vl-2b": Shape(
        *("qwen3vl", 28, 151936),
        sizes(
            *(2048, 16, 8, 128, 6144),
            rope__dimension_sections=[24, 20, 20, 0],
            n_deepstack_layers=n_deepstack,
        ),
    ),
    "qwen3vlmoe-30b-a3b": Shape(
        *("qwen3vlmoe", 48, 151936),
        sizes(
            *(2048, 32, 4, 128, 6144),
            rope__dimension_sections=[24, 20, 20, 0],
            n_deepstack_layers=n_deepstack,
        )
        | experts(128, 8, 768),
        _OUTPUT,
    ),
    "seed_oss-36b": Shape(
        "seed_oss", 64, 155136, sizes(5120, 80, 8, 128, 27648), (*_OUTPUT, *_BIASES)
    ),
    "smollm3-3b": Shape(
        "smollm3", 36, 128256, sizes(2048, 16, 4, 128, 11008), n_tiny_layers=4
    ),
    "stablelm-1.6b": Shape(
        *("stablelm", 24, 100352),
        sizes(
            *(2048, 32, 32, 64, 5632),
            rope__dimension_count=16,
            use_parallel_residual=False,
        ),
        (*_OUTPUT, *_BIASES, "ffn_norm.weight", "ffn_norm.bias"),
    ),
    "starcoder2-3b": Shape(
        *("starcoder2", 30, 49152),
        sizes(3072, 24, 2, 128, 12288),
        (".bias",),
    ),
}
