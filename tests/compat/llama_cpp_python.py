"""The public API of llama-cpp-python 0.3.36's class Llama, by its source.

Values beside arguments are examples that do not ask for the default; None stands beside
those that a call cannot do without.
"""

from __future__ import annotations

from typing import Any

from llamacy.compat.llama_cpp import LlamaGrammar
from llamacy.compat.llama_cpp.llama_speculative import LlamaPromptLookupDecoding

CONSTRUCTOR: dict[str, Any] = {
    "model_path": None,
    "n_gpu_layers": -1,
    "split_mode": 2,
    "main_gpu": 1,
    "tensor_split": [0.5, 0.5],
    "vocab_only": True,
    "use_mmap": False,
    "use_mlock": True,
    "kv_overrides": {"llama.expert_used_count": 2},
    "seed": 7,
    "n_ctx": 64,
    "n_batch": 8,
    "n_ubatch": 128,
    "n_threads": 1,
    "n_threads_batch": 1,
    "rope_scaling_type": 2,
    "pooling_type": 1,
    "attention_type": 1,
    "rope_freq_base": 10000.0,
    "rope_freq_scale": 1.0,
    "yarn_ext_factor": 1.0,
    "yarn_attn_factor": 2.0,
    "yarn_beta_fast": 16.0,
    "yarn_beta_slow": 2.0,
    "yarn_orig_ctx": 4096,
    "logits_all": True,
    "embedding": True,
    "offload_kqv": False,
    "flash_attn": True,
    "op_offload": True,
    "swa_full": True,
    "no_perf": True,
    "last_n_tokens_size": 32,
    "lora_base": "base.gguf",
    "lora_scale": 0.5,
    "lora_path": "",
    "numa": True,
    "chat_format": "chatml",
    "chat_handler": lambda **_: None,
    "draft_model": LlamaPromptLookupDecoding(),
    "tokenizer": object(),
    "type_k": 1,
    "type_v": 1,
    "spm_infill": True,
    "verbose": False,
}

SAMPLING: dict[str, Any] = {
    "top_k": 10,
    "top_p": 0.5,
    "min_p": 0.1,
    "typical_p": 0.9,
    "repeat_penalty": 1.1,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "tfs_z": 0.5,
    "mirostat_mode": 2,
    "mirostat_tau": 4.0,
    "mirostat_eta": 0.2,
    "logits_processor": [],
    "grammar": LlamaGrammar.from_string('root ::= "a"'),
}

COMPLETION: dict[str, Any] = {
    "prompt": None,
    "suffix": "end",
    "max_tokens": 3,
    "temperature": 0.5,
    "logprobs": 1,
    "echo": True,
    "stop": ["\n"],
    "stream": True,
    "seed": 7,
    "model": "mine",
    "stopping_criteria": lambda ids, logits: False,
    "logit_bias": {5: 1.0},
    **SAMPLING,
}

CHAT: dict[str, Any] = {
    "messages": None,
    "functions": [{"name": "add", "parameters": {}}],
    "function_call": {"name": "add"},
    "tools": [],
    "tool_choice": "auto",
    "temperature": 0.5,
    "stream": True,
    "stop": ["\n"],
    "seed": 7,
    "response_format": {"type": "json_object"},
    "max_tokens": 3,
    "model": "mine",
    "logit_bias": {5: 1.0},
    "logprobs": True,
    "top_logprobs": 2,
    **SAMPLING,
}

MEMBERS = frozenset(
    """close create_chat_completion create_chat_completion_openai_v1 create_completion
    create_embedding ctx detokenize embed eval eval_logits eval_tokens from_pretrained
    generate load_state logits_to_logprobs longest_token_prefix model n_ctx n_embd
    n_vocab pooling_type reset sample save_state set_cache set_seed token_bos token_eos
    token_nl tokenize tokenizer cache chat_format chat_handler context_params
    draft_model input_ids kv_overrides last_n_tokens_size lora_base lora_path lora_scale
    metadata model_params model_path n_batch n_threads n_threads_batch n_tokens numa
    scores spm_infill tensor_split tokenizer_ verbose""".split()
)
"""Methods, properties and attributes."""
