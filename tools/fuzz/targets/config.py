"""Folders of safetensors: config.json, generation_config.json, the list of tensors."""

from __future__ import annotations

from typing import Any

from llamacy.errors import LlamacyError
from llamacy.model_files.inspecting import inspect_file
from llamacy.model_files.opening import open_model
from llamacy.sampling.file_defaults import file_defaults

from .. import files
from ..documents import data_of, document_of

_FOLDER = files.scratch()
_MOST = 1 << 16  # weights of a tensor that are computed

_LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "vocab_size": 8,
    "eos_token_id": 2,
}
_LLAMA_3_ROPE: dict[str, Any] = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
_LONG = {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
_GENERATION = {
    "temperature": 0.6,
    "top_p": 0.95,
    "top_k": 20,
    "repetition_penalty": 1.1,
    "do_sample": True,
    "eos_token_id": [2, 3],
}
_SHAPES = {
    "self_attn.q_proj": [32, 32],
    "self_attn.k_proj": [16, 32],
    "self_attn.v_proj": [16, 32],
    "self_attn.o_proj": [32, 32],
    "mlp.gate_proj": [64, 32],
    "mlp.up_proj": [64, 32],
    "mlp.down_proj": [32, 64],
    "input_layernorm": [32],
    "post_attention_layernorm": [32],
}


def _tensors(dtype: str = "F32", *more: str) -> dict[str, list[Any]]:
    shapes = _SHAPES | {name: [16] for name in more if "norm" in name}
    shapes |= {name: [32] for name in more if "layernorm" in name}
    made = {
        f"model.layers.0.{name}.weight": [dtype, size] for name, size in shapes.items()
    }
    made["model.embed_tokens.weight"] = [dtype, [8, 32]]
    made["model.norm.weight"] = [dtype, [32]]
    return made


def _folder(name: str, tensors: dict[str, Any], **changes: Any) -> bytes:
    kind = name.removesuffix("ForCausalLM").lower()
    config = _LLAMA | {"architectures": [name], "model_type": kind} | changes
    return data_of(
        {
            "config.json": {k: v for k, v in config.items() if v != "absent"},
            "generation_config.json": _GENERATION,
            "tensors": tensors,
        }
    )


def seeds() -> list[bytes]:
    """Return folders of several families."""
    norms = ("self_attn.q_norm", "self_attn.k_norm")
    sandwich = ("pre_feedforward_layernorm", "post_feedforward_layernorm")
    gemma_3 = _tensors("F32", *norms, *sandwich)
    phi = {name: entry for name, entry in _tensors().items() if "_proj" not in name}
    for part, shape in (
        ("self_attn.qkv_proj", [64, 32]),
        ("self_attn.o_proj", [32, 32]),
        ("mlp.gate_up_proj", [128, 32]),
        ("mlp.down_proj", [32, 64]),
    ):
        phi[f"model.layers.0.{part}.weight"] = ["F32", shape]
    biases = {
        f"model.layers.0.self_attn.{part}_proj.bias": ["F32", [n]]
        for part, n in (("q", 32), ("k", 16), ("v", 16))
    }
    gemma = {"hidden_activation": "gelu_pytorch_tanh", "head_dim": 16}
    gemma |= {"sliding_window": 8, "query_pre_attn_scalar": 16}
    rope = {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}
    rope |= {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 32}
    mixture = {
        name: entry for name, entry in _tensors("BF16", *norms).items()
        if ".mlp." not in name
    }  # fmt: skip
    mixture["model.layers.0.mlp.gate.weight"] = ["BF16", [2, 32]]
    for i in range(2):
        for part, shape in (("gate", [32, 32]), ("up", [32, 32]), ("down", [32, 32])):
            name = f"model.layers.0.mlp.experts.{i}.{part}_proj.weight"
            mixture[name] = ["BF16", shape]
    return [
        _folder("LlamaForCausalLM", _tensors()),
        _folder("LlamaForCausalLM", _tensors("BF16"), rope_scaling=_LLAMA_3_ROPE),
        _folder("MistralForCausalLM", _tensors("F16"), sliding_window=8),
        _folder("Qwen2ForCausalLM", _tensors() | biases, rope_scaling=_YARN),
        _folder("Qwen3ForCausalLM", _tensors("F32", *norms), head_dim=16),
        _folder("Gemma3ForCausalLM", gemma_3, **gemma),
        _folder("Gemma3ForCausalLM", gemma_3, **gemma, rope_parameters=rope),
        _folder("Phi3ForCausalLM", phi, rope_scaling=_LONG),
        _folder("Qwen3MoeForCausalLM", mixture, head_dim=16, **experts),
        _folder("GptOssForCausalLM", mixture, head_dim=16, **experts),
    ]


def run(data: bytes) -> None:
    """Open a folder and plan a model of it."""
    document = document_of(data)
    if document is not None:
        files.write_folder(_FOLDER, document)
        files.attempts(_open, allowed=LlamacyError)


def _open() -> None:
    with open_model(_FOLDER) as file:
        file_defaults(file.metadata, str(_FOLDER))
        file.fingerprint()
        for tensor in file.tensors.values():
            if tensor.n_bytes < _MOST:
                tensor.dequantize()
        inspect_file(file)
