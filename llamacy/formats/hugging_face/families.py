"""Model families in Hugging Face's form: a row each, with the names of their tensors.

A row says which GGUF architecture a class of transformers is, how its tensors' names
translate, and which of its tensors and settings GGUF files have in another form. The
forms are those that llama.cpp's converter writes. Adding a family is adding a row, to
the first of these files that it is in place in:

- `gemma4`: Gemma 4, two kinds of layers of different sizes;
- `mamba`: Jamba and Mamba, layers that scan as Mamba does;
- `mamba2_families`: Granite 4 H, Falcon-H1, Nemotron-H and Mamba-2, layers that scan;
- `delta_rule`: Qwen 3.5 and Qwen3-Next, layers with a delta rule;
- `latent`: latent attention, as in DeepSeek V2 and V3;
- `kimi_delta`: Kimi Linear, layers with Kimi Delta Attention beside latent attention;
- `bailing_hybrid`: Ling 3.0, the same with gates of attention;
- `lfm2`: LFM2 and LFM3, layers that convolve beside those that attend;
- `encoders`: BERT and its kin, which embed texts;
- `bidirectional`: EuroBERT and others, encoders that are families like LLaMA;
- `vision_families`: the texts of models that see images;
- `mixture_families`: mixtures of experts;
- `layer_norm_families`: layer norms, as in GPT-2, GPT-NeoX, Falcon and Command R;
- `dense_families`: all others, like LLaMA.

The keys of config.json are in files beside them: `mixture_classes` and its like.
"""

from __future__ import annotations

from typing import Final

from llamacy.formats.hugging_face import (
    bailing_hybrid,
    bidirectional,
    delta_rule,
    encoders,
    gemma4,
    jina_bert,
    kimi_delta,
    latent,
    lfm2,
    mamba,
    modern_bert,
    nomic_bert,
)
from llamacy.formats.hugging_face.dense_families import DENSE_FAMILIES
from llamacy.formats.hugging_face.layer_norm_families import LAYER_NORM_FAMILIES
from llamacy.formats.hugging_face.mamba2_families import MAMBA2_FAMILIES
from llamacy.formats.hugging_face.mixture_families import MIXTURE_FAMILIES
from llamacy.formats.hugging_face.vision_families import VISION_FAMILIES

NORM: Final = "model.norm"
OUTSIDE: Final = {
    "model.embed_tokens": "token_embd",
    NORM: "output_norm",
    "lm_head": "output",
}
"""Names of the parts outside the layers, which all families have."""

BARE: Final = {
    "self_attn.sinks": "weight",
    "mlp.gate.e_score_correction_bias": "bias",
    "mlp.experts.bias": "weight",
    "mlp.experts.e_score_correction_bias": "bias",
    "mlp.moe_statics.e_score_correction_bias": "bias",
    "mixer.gate.e_score_correction_bias": "bias",
    "mlp.gate.moe_statics.e_score_correction_bias": "bias",
    "feed_forward.expert_bias": "bias",
    "linear_attn.dt_bias": "bias",
    "linear_attn.A_log": "",
    "self_attn.dt_bias": "bias",
    "self_attn.A_log": "",
    "self_attn.forget_gate.dt_bias": "bias",
    "self_attn.forget_gate.A_log": "",
    "attention.dt_bias": "bias",
    "attention.A_log": "",
    "mlp.gate.expert_bias": "bias",
    "block_sparse_moe.gate.e_score_correction_bias": "bias",
    "layer_scalar": "weight",
    **{
        f"{module}.{name}": suffix
        for module in ("mamba", "mixer")
        for name, suffix in (("dt_bias", "bias"), ("A_log", ""), ("D", ""))
    },
    "router.scale": "scale",
    "router.per_expert_scale": "scale",
}
"""Names of parts that are not modules, and what GGUF has after theirs, if anything."""

IGNORED: Final = (
    "rotary_emb.inv_freq",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    "self_attn.masked_bias",
    "position_ids",
    # masks and angles of the oldest checkpoints
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
)
"""Ends of names in old checkpoints that nothing needs: computed from other settings."""

FAMILIES: Final = {
    **DENSE_FAMILIES,
    **LAYER_NORM_FAMILIES,
    **MIXTURE_FAMILIES,
    **VISION_FAMILIES,
    **gemma4.FAMILIES,
    **mamba.FAMILIES,
    **MAMBA2_FAMILIES,
    **latent.FAMILIES,
    **lfm2.FAMILIES,
    **delta_rule.FAMILIES,
    **kimi_delta.FAMILIES,
    **bailing_hybrid.FAMILIES,
    **encoders.FAMILIES,
    **bidirectional.FAMILIES,
    **modern_bert.FAMILIES,
    **nomic_bert.FAMILIES,
    **jina_bert.FAMILIES,
}
"""Families by the name of their class, in `architectures` of config.json."""
