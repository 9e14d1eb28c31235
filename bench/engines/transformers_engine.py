"""transformers on PyTorch: a LLaMA of the file's shape, random weights in bfloat16.

Speed does not depend on the weights' values, so no file is converted; a quantised file
and a float file of the same shape are the same work here.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers


class TransformersEngine:
    """See `serve.Engine`."""

    def __init__(self, config: transformers.LlamaConfig, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        self.versions = {
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        }
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16
        )
        self._model = model.eval()
        self._cache = transformers.DynamicCache(config=config)

    @torch.inference_mode()
    def read(self, tokens: list[int]) -> None:
        # A prompt of any length is one pass, as in transformers' own `generate`.
        self._model(
            torch.tensor([tokens]),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )

    def truncate(self, n: int) -> None:
        beyond = self._cache.get_seq_length() - n
        if beyond:
            self._cache.crop(-beyond)

    @torch.inference_mode()
    def open_texts(self, n_texts: int, tokens: list[int], n_more: int) -> None:
        self._n_texts = n_texts
        self._texts = transformers.DynamicCache(config=self._model.config)
        if tokens:
            self._read_all([tokens] * n_texts)

    def read_together(self, token: int) -> None:
        self._read_all([[token]] * self._n_texts)

    @torch.inference_mode()
    def _read_all(self, tokens: list[list[int]]) -> None:
        self._model(
            torch.tensor(tokens),
            past_key_values=self._texts,
            use_cache=True,
            logits_to_keep=1,
        )


def load(job: dict[str, Any]) -> TransformersEngine:
    return TransformersEngine(llama_config(job["shape"]), job["n_threads"])


def llama_config(shape: dict[str, Any]) -> transformers.LlamaConfig:
    """Return the shape as a configuration of transformers."""
    return transformers.LlamaConfig(
        vocab_size=shape["n_vocab"],
        hidden_size=shape["n_embd"],
        intermediate_size=shape["n_ff"],
        num_hidden_layers=shape["n_layer"],
        num_attention_heads=shape["n_head"],
        num_key_value_heads=shape["n_head_kv"],
        head_dim=shape["head_dim"],
        max_position_embeddings=shape["n_ctx_train"],
        rms_norm_eps=shape["norm_eps"],
        tie_word_embeddings=shape["tied"],
    )
