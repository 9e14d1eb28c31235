"""Model families as Hugging Face has them: a row each, with the other names of things.

A row says which GGUF architecture a class of transformers is, how its tensors' names
translate, and which of its tensors GGUF files have in another form. The forms are
those llama.cpp's converter gives them. Adding a family is adding a row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from llamacy.formats.gguf_config import MAX_CTX
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

_logger = logging.getLogger("llamacy")

OUTSIDE: Final = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
"""Names of what is outside the layers."""

LAYER: Final = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Names of the parts of a layer, after ``model.layers.N.``."""

IGNORED: Final = ("rotary_emb.inv_freq",)
"""Ends of names that old checkpoints have and nothing needs: computed from the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One class of models of transformers.

    Attributes
    ----------
    architecture : its name in ``general.architecture``.
    layer : names of the parts of a layer, in GGUF by those in Hugging Face's files.
    is_interleaved : whether GGUF has side by side the rows of Q and K that are rotated
        together, which in Hugging Face's files are half a head apart.
    norm_offset : what GGUF files have added to the weights of norms.
    is_tied : whether the embeddings serve as the output matrix, where nothing is said.
    activations : names of the one activation of the feed-forward part.
    settings : checks and adds what only this family has.
    """

    architecture: str
    layer: Mapping[str, str] = field(default_factory=lambda: LAYER)
    is_interleaved: bool = False
    norm_offset: float = 0.0
    is_tied: bool = False
    activations: tuple[str, ...] = ("silu", "swish")
    settings: Callable[[JsonObject, Sizes, Metadata], None] | None = None


def _llama_settings(config: JsonObject, sizes: Sizes, metadata: Metadata) -> None:
    """Refuse heads that are rotated in part, and say what is left out of account."""
    n_dims = metadata.values["llama.rope.dimension_count"]
    if n_dims != sizes.head_dim:
        config.refuse("partial_rotary_factor", 1, n_dims / sizes.head_dim)
    if "sliding_window" not in config:
        return
    window = config.integer("sliding_window", 1, MAX_CTX)
    if window < sizes.n_ctx_train:
        _logger.warning(
            "%s: sliding_window: attention is not limited to the last %d tokens here, "
            "as it is not in GGUF files of this family",
            config.path, window,
        )  # fmt: skip


_LLAMA: Final = Family(
    architecture="llama",
    is_interleaved=True,
    settings=_llama_settings,
)

FAMILIES: Final = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _LLAMA,
}
"""Families by the name of their class, in ``architectures`` of config.json."""
